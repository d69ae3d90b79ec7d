#include "agent/runtime/seccomp.h"

#include <algorithm>

#include "agent/runtime/seccomp_rules.h"
#include "base/json.h"

namespace berth::runtime {
namespace {

bool is_plain(const CallRule& rule) { return rule.error == 0 && rule.condition == CallRule::If::always; }

const char* word_of(CallRule::If condition) {
  switch (condition) {
    case CallRule::If::equal: return "SCMP_CMP_EQ";
    case CallRule::If::not_equal: return "SCMP_CMP_NE";
    default: return "SCMP_CMP_MASKED_EQ";
  }
}

void write_rule(json::Writer& w, const CallRule& rule) {
  w.begin_object().key("names").begin_array().string(rule.call).end_array();
  w.member("action", rule.error == 0 ? "SCMP_ACT_ALLOW" : "SCMP_ACT_ERRNO");
  if (rule.error != 0) w.member("errnoRet", rule.error);
  if (rule.condition != CallRule::If::always) {
    w.key("args").begin_array().begin_object();
    w.member("index", 0).member("value", static_cast<int64_t>(rule.value));
    w.member("valueTwo", static_cast<int64_t>(rule.value_two)).member("op", word_of(rule.condition));
    w.end_object().end_array();
  }
  w.end_object();
}

}  // namespace

std::vector<CallRule> call_rules(const std::vector<std::string>& capabilities) {
  const auto has = [&](std::string_view name) {
    return std::find(capabilities.begin(), capabilities.end(), name) != capabilities.end();
  };
  std::vector<CallRule> rules;
  for (std::string_view name : kAllowed) rules.push_back({name});
  for (const CapabilityCalls& more : kAllowedByCapability) {
    if (!has(more.capability)) continue;
    for (size_t at = 0; at < more.calls.size();) {
      const size_t end = std::min(more.calls.find(' ', at), more.calls.size());
      rules.push_back({more.calls.substr(at, end - at)});
      at = end + 1;
    }
  }
  for (unsigned personality : kPersonalities) {
    rules.push_back({.call = "personality", .condition = CallRule::If::equal, .value = personality});
  }
  rules.push_back({.call = "socket", .condition = CallRule::If::not_equal, .value = kAddressFamilyVsock});
  if (!has("CAP_SYS_ADMIN")) {
    rules.push_back({.call = "clone", .condition = CallRule::If::masked_equal, .value = kCloneNewMask});
    rules.push_back({.call = "clone3", .error = kEnosys});
  }
  return rules;
}

std::string seccomp_profile(const std::vector<std::string>& capabilities) {
  const std::vector<CallRule> rules = call_rules(capabilities);
  std::string out;
  json::Writer w(out);
  w.begin_object().member("defaultAction", "SCMP_ACT_ERRNO").member("defaultErrnoRet", kRefusedErrno);
  w.key("architectures").begin_array();
  for (std::string_view architecture : kArchitectures) w.string(architecture);
  w.end_array();
  w.key("syscalls").begin_array();
  w.begin_object().key("names").begin_array();
  for (const CallRule& rule : rules) {
    if (is_plain(rule)) w.string(rule.call);
  }
  w.end_array().member("action", "SCMP_ACT_ALLOW").end_object();
  for (const CallRule& rule : rules) {
    if (!is_plain(rule)) write_rule(w, rule);
  }
  w.end_array().end_object();
  return out;
}

}  // namespace berth::runtime
