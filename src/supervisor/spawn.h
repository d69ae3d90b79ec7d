// Starts the OCI runtime: no fork of this process's memory.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace berth::supervisor {

// From kRuntimeFd if the daemon gave it, else from the path that is the first argument. Standard input is null; the two
// outputs are those given. Signals are unblocked and as by default. 0 or an errno.
int spawn(const std::vector<std::string>& arguments, int output_fd, int error_fd, pid_t* pid);

}  // namespace berth::supervisor
