// Account settings: names, values, defaults. Pure.
#pragma once

#include <array>
#include <string_view>

namespace berth::services::ecs {

struct AccountSettingRule {
  std::string_view name;
  std::string_view values;  // separated by '|'
  std::string_view otherwise;
  std::string_view type = "user";
};

// In the order of the model's enum. The long ARN formats are always on: Berth writes no others.
inline constexpr std::array<AccountSettingRule, 11> kAccountSettings{{
    {"serviceLongArnFormat", "enabled", "enabled"},
    {"taskLongArnFormat", "enabled", "enabled"},
    {"containerInstanceLongArnFormat", "enabled", "enabled"},
    {"awsvpcTrunking", "enabled|disabled", "disabled"},
    {"containerInsights", "enhanced|enabled|disabled", "disabled"},
    {"fargateFIPSMode", "enabled|disabled", "disabled"},
    {"tagResourceAuthorization", "on|off", "on"},
    {"fargateTaskRetirementWaitPeriod", "0|7|14", "7"},
    {"guardDutyActivate", "", "off", "aws_managed"},
    {"defaultLogDriverMode", "blocking|non-blocking", "non-blocking"},
    {"fargateEventWindows", "enabled|disabled", "disabled"},
}};

constexpr bool is_one_of(std::string_view values, std::string_view value) {
  for (;;) {
    const size_t at = values.find('|');
    if (!value.empty() && values.substr(0, at) == value) return true;
    if (at == std::string_view::npos) return false;
    values.remove_prefix(at + 1);
  }
}

}  // namespace berth::services::ecs
