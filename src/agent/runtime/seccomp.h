// The default system call filter, after Docker's: a list of what is allowed, everything else fails with EPERM. Some calls
// are allowed only to a container that was given the capability they need.
//
// Pure. The text depends on the capabilities alone, so callers with the same ones may share it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace berth::runtime {

// The value of "seccomp" in the OCI configuration. `capabilities` are names such as "CAP_CHOWN".
std::string seccomp_profile(const std::vector<std::string>& capabilities);

}  // namespace berth::runtime
