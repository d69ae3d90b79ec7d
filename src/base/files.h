// Small files, whole.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>

#include "base/result.h"

namespace berth {

// Whether what was written is still there after the machine has lost power. A kill -9 takes nothing either way.
enum class Durable : bool { no, yes };

// Readers see the file as it was or as it is, never a part; where it fails, it is as it was. The bytes go through
// "<path>.new", so that two writers of one file need a lock of their own. `mode` is cut by the umask.
Result<void> replace_file(const std::string& path, const std::string& bytes, Durable durable, mode_t mode = 0600);

// Longer ones are a failure. `flags` go to open(2), O_NOFOLLOW for example.
Result<std::string> read_file(const std::string& path, size_t bytes_max, int flags = 0);

}  // namespace berth
