// The default system call filter, after Docker's: a list of what is allowed, everything else fails with EPERM. Some calls
// are allowed only to a container that was given the capability they need.
//
// Pure. Everything here depends on the capabilities alone, names such as "CAP_CHOWN", so callers with the same ones may
// share it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace berth::runtime {

// Words of the OCI specification, which libseccomp's are made from.
#if defined(__x86_64__)
inline constexpr std::string_view kArchitectures[] = {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"};
#elif defined(__aarch64__)
inline constexpr std::string_view kArchitectures[] = {"SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"};
#endif
inline constexpr int kRefusedErrno = 1;  // of every call that no rule names

struct CallRule {
  enum class If : uint8_t { always, equal, not_equal, masked_equal };
  std::string_view call;
  int error = 0;  // 0: allowed
  // Of the call's first argument; masked_equal: (argument & value) == value_two.
  If condition = If::always;
  uint64_t value = 0;
  uint64_t value_two = 0;
};

// In the order in which they are to be added. Those that allow a call whatever its arguments come first.
std::vector<CallRule> call_rules(const std::vector<std::string>& capabilities);

// The same as the value of "seccomp" in the OCI configuration.
std::string seccomp_profile(const std::vector<std::string>& capabilities);

}  // namespace berth::runtime
