// What the layers of an image show once they are stacked, told without mounting them. Paths are the container's;
// links are followed as a process in it would follow them: from layer to layer (Nix makes such images), and never out
// of them. Layers, topmost first, must not change meanwhile. Blocking reads of directories and small files, from any
// thread.
#pragma once

#include <sys/types.h>
#include <time.h>

#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace berth::images {

// A regular file's text, at most 1 MiB of it; empty where there is none.
std::string read_from_layers(const std::vector<std::string>& layers, const std::string& path);

// Whether there is nothing, and making directories would lead there: no file stands in the way, and no link that
// dangles.
bool layers_lack(const std::vector<std::string>& layers, const std::string& path);

// A directory that some layer's archive holds things in without holding it itself, as tools write them that append a
// file to an image: berth-unpack makes and marks it, and it would cover the owner and mode that a lower layer gives.
struct DirectoryAttributes {
  uid_t uid = 0;
  gid_t gid = 0;
  mode_t mode = 0;
  timespec mtime{};
};

// What all of these, and the directories on the way to them, are to look like, by path. Empty for nearly every image,
// and then found out by one look at each layer.
std::map<std::string, DirectoryAttributes> covered_attributes(const std::vector<std::string>& layers);

// Hard links of a layer's archive to files that lower layers hold: berth-unpack leaves a marked, empty file in the
// place of each. By path, those that are shown; where a copy is to be made from, and the directories on the way.
struct LinksToLower {
  std::map<std::string, std::string> sources;
  std::map<std::string, DirectoryAttributes> directories;
};
// Found out for nearly every image, too, by one look at each layer. An error where a link leads nowhere.
Result<LinksToLower> links_to_lower_layers(const std::vector<std::string>& layers);

// Makes of these, at `directory`, a layer to be stacked on the others: that is all it takes. What is there already
// stays.
Result<void> write_attributes(const std::string& directory, std::map<std::string, DirectoryAttributes> attributes,
                              const LinksToLower& links = {});

}  // namespace berth::images
