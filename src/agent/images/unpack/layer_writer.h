// Writes a layer's entries below the working directory, in overlayfs's form: a whiteout is a character device 0/0, an
// opaque directory carries trusted.overlay.opaque. The caller has made that directory the process's root (confine.h),
// so that no name and no link leads out of it.
#pragma once

#include <string>
#include <vector>

#include "agent/images/unpack/layer_reader.h"

namespace berth::unpack {

class LayerWriter {
 public:
  Result<void> write(const Entry& entry, Content& content);
  // Times of directories, which every entry written into them has changed; then all to the disk.
  Result<void> finish();

 private:
  Result<void> make_parents(const std::string& path);
  Result<bool> make_room(const Entry& entry);  // true: a directory is there already
  Result<void> write_directory(const Entry& entry);
  Result<void> write_file(const Entry& entry, Content& content);
  Result<void> write_hardlink(const Entry& entry);
  Result<void> write_whiteout(const std::string& path);
  Result<void> set_metadata(const Entry& entry);

  std::vector<Entry> directories_;  // for their times; only path and mtime are kept
  bool has_implied_ = false;        // a directory that the archive only has things in
  bool has_links_ = false;          // a hard link to what the archive does not hold
};

}  // namespace berth::unpack
