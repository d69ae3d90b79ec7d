// Small files, whole.
#pragma once

#include <string>

#include "base/result.h"

namespace berth::agent {

// Readers see the old text or the new one. Not synced: after power loss nothing of a task is there anyway.
Result<void> write_file_atomically(const std::string& directory, const std::string& name, const std::string& bytes);
Result<std::string> read_small_file(const std::string& path, size_t bytes_max);
// Whether another process holds the file's lock (flock).
bool is_locked(const std::string& path);

}  // namespace berth::agent
