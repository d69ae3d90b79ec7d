// Runs one program to its end: skopeo and berth-unpack.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace berth::images {

struct ProgramSpec {
  std::vector<std::string> argv;              // argv[0] is a path, or a name looked for on the usual paths
  std::vector<std::string> environment = {};  // added to a plain one (PATH, LC_ALL, proxies of this process)
  int stdin_fd = -1;                          // borrowed; -1 is /dev/null
  int inherited_fd = -1;                      // borrowed; becomes descriptor 3
  int timeout_ms = -1;
  int cancel_fd = -1;  // borrowed; readable means: no longer wanted
};

// What the program said on standard output and error, at most 16 KiB of its end each. A status other than 0 is no error
// here: look at it.
struct ProgramOutcome {
  int status = 0;  // exit status; 128 + signal
  bool timed_out = false;
  bool cancelled = false;
  std::string output;
  std::string errors;
};
// Why somebody cancels.
inline constexpr const char* kEnding = "the daemon is ending";
inline constexpr const char* kNotWanted = "nobody waits for the image any more";
// Blocks; at the timeout and when it is cancelled, the program and its children get SIGKILL.
Result<ProgramOutcome> run_program(const ProgramSpec& spec);

}  // namespace berth::images
