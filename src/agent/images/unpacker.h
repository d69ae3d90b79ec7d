// Has berth-unpack unpack layers, each into the directory of its diff id.
#pragma once

#include <string>

#include "base/result.h"

namespace berth::images {

class Unpacker {
 public:
  Unpacker(std::string layers_directory, std::string program)
      : layers_directory_(std::move(layers_directory)), program_(std::move(program)) {}

  std::string directory(const std::string& diff_id) const { return layers_directory_ + "/" + diff_id.substr(7); }
  // Nothing to do where it is there. Not for two threads at a time with one diff id. `cancel_fd` is borrowed:
  // readable, it ends the unpacking with the error ECANCELED.
  Result<void> unpack(const std::string& diff_id, const std::string& blob_path, int cancel_fd = -1) const;

 private:
  const std::string layers_directory_;
  const std::string program_;
};

}  // namespace berth::images
