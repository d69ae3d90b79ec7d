// What the layers of an image show once they are stacked, told without mounting them. Paths are the container's; links are
// followed as a process in it would follow them: from layer to layer (Nix makes such images), and never out of them.
// Layers, topmost first, must not change meanwhile. Blocking reads of directories and small files, from any thread.
#pragma once

#include <string>
#include <vector>

namespace berth::images {

// A regular file's text, at most 1 MiB of it; empty where there is none.
std::string read_from_layers(const std::vector<std::string>& layers, const std::string& path);

// Whether there is nothing, and making directories would lead there: no file stands in the way, and no link that dangles.
bool layers_lack(const std::vector<std::string>& layers, const std::string& path);

}  // namespace berth::images
