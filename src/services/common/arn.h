// ARNs: arn:<partition>:<service>:<region>:<account>:<resource>. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace berth::services::common {

struct Arn {
  std::string partition;
  std::string service;
  std::string region;
  std::string account;
  std::string resource;  // everything after the fifth colon
};
std::optional<Arn> parse_arn(std::string_view text);

}  // namespace berth::services::common
