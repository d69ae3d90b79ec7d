// berth-seccomp [capability…]: writes the filter of seccomp.h for these capabilities to the standard output, compiled for
// seccomp(2) by the calls that the OCI runtimes make, so that it is the program they would make of the profile.
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include "agent/runtime/seccomp.h"

namespace berth::runtime {
namespace {

int give_up(const std::string& what, int error) {
  dprintf(STDERR_FILENO, "berth-seccomp: %s: %s\n", what.c_str(), strerror(error));
  return 1;
}

scmp_compare comparison_of(CallRule::If condition) {
  switch (condition) {
    case CallRule::If::equal: return SCMP_CMP_EQ;
    case CallRule::If::not_equal: return SCMP_CMP_NE;
    default: return SCMP_CMP_MASKED_EQ;
  }
}

// "SCMP_ARCH_X86_64" is "x86_64" to libseccomp.
uint32_t architecture_of(std::string_view word) {
  std::string name;
  for (char c : word.substr(strlen("SCMP_ARCH_"))) name += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return seccomp_arch_resolve_name(name.c_str());
}

int compile(const std::vector<std::string>& capabilities) {
  const std::unique_ptr<void, void (*)(void*)> filter(seccomp_init(SCMP_ACT_ERRNO(kRefusedErrno)), seccomp_release);
  if (!filter) return give_up("make a filter", ENOMEM);
  for (std::string_view word : kArchitectures) {
    const int error = seccomp_arch_add(filter.get(), architecture_of(word));
    if (error < 0 && error != -EEXIST) return give_up("add " + std::string(word), -error);
  }
  for (const CallRule& rule : call_rules(capabilities)) {
    const std::string name(rule.call);
    const int call = seccomp_syscall_resolve_name(name.c_str());
    if (call == __NR_SCMP_ERROR) continue;  // newer than libseccomp: refused
    const uint32_t action = rule.error == 0 ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(static_cast<uint16_t>(rule.error));
    const scmp_arg_cmp argument{0, comparison_of(rule.condition), rule.value, rule.value_two};
    const unsigned arguments = rule.condition == CallRule::If::always ? 0 : 1;
    const int error = seccomp_rule_add_array(filter.get(), action, call, arguments, &argument);
    if (error < 0) return give_up("add " + name, -error);
  }
  const int error = seccomp_export_bpf(filter.get(), STDOUT_FILENO);
  return error < 0 ? give_up("write", -error) : 0;
}

}  // namespace
}  // namespace berth::runtime

int main(int count, char** arguments) { return berth::runtime::compile({arguments + 1, arguments + count}); }
