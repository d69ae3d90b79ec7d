#include "agent/runtime/seccomp.h"

#include <algorithm>

#include "agent/runtime/seccomp_rules.h"
#include "base/json.h"

namespace berth::runtime {
namespace {

struct Argument {
  int index;
  uint64_t value;
  const char* operation;
  uint64_t value_two = 0;
};

void open_rule(json::Writer& w) { w.begin_object().key("names").begin_array(); }

void close_rule(json::Writer& w, const Argument* argument = nullptr, int error = 0) {
  w.end_array().member("action", error == 0 ? "SCMP_ACT_ALLOW" : "SCMP_ACT_ERRNO");
  if (error != 0) w.member("errnoRet", error);
  if (argument != nullptr) {
    w.key("args").begin_array().begin_object();
    w.member("index", argument->index).member("value", static_cast<int64_t>(argument->value));
    w.member("valueTwo", static_cast<int64_t>(argument->value_two)).member("op", argument->operation);
    w.end_object().end_array();
  }
  w.end_object();
}

void rule(json::Writer& w, std::string_view name, const Argument* argument = nullptr, int error = 0) {
  open_rule(w);
  w.string(name);
  close_rule(w, argument, error);
}

}  // namespace

std::string seccomp_profile(const std::vector<std::string>& capabilities) {
  const auto has = [&](std::string_view name) {
    return std::find(capabilities.begin(), capabilities.end(), name) != capabilities.end();
  };
  std::string out;
  json::Writer w(out);
  w.begin_object().member("defaultAction", "SCMP_ACT_ERRNO").member("defaultErrnoRet", 1);
#if defined(__x86_64__)
  w.key("architectures").begin_array().string("SCMP_ARCH_X86_64").string("SCMP_ARCH_X86").string("SCMP_ARCH_X32");
  w.end_array();
#elif defined(__aarch64__)
  w.key("architectures").begin_array().string("SCMP_ARCH_AARCH64").string("SCMP_ARCH_ARM").end_array();
#endif
  w.key("syscalls").begin_array();
  open_rule(w);
  for (std::string_view name : kAllowed) w.string(name);
  for (const CapabilityCalls& more : kAllowedByCapability) {
    if (!has(more.capability)) continue;
    for (size_t at = 0; at < more.calls.size();) {
      const size_t end = std::min(more.calls.find(' ', at), more.calls.size());
      w.string(more.calls.substr(at, end - at));
      at = end + 1;
    }
  }
  close_rule(w);
  for (unsigned personality : kPersonalities) {
    const Argument equal{0, personality, "SCMP_CMP_EQ"};
    rule(w, "personality", &equal);
  }
  const Argument no_vsock{0, kAddressFamilyVsock, "SCMP_CMP_NE"};
  rule(w, "socket", &no_vsock);
  if (!has("CAP_SYS_ADMIN")) {
    const Argument no_namespaces{0, kCloneNewMask, "SCMP_CMP_MASKED_EQ", 0};
    rule(w, "clone", &no_namespaces);
    rule(w, "clone3", nullptr, kEnosys);
  }
  w.end_array().end_object();
  return out;
}

}  // namespace berth::runtime
