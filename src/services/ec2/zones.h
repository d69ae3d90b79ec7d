// A region's zones: names and ids. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace berth::services::ec2 {

// "euc1-az1" of eu-central-1a.
std::string zone_id(std::string_view region, char letter);

// The zone that a name or an id stands for; neither: the first one.
ApiResult<std::string> zone_of(std::string_view region, const std::optional<std::string>& name,
                               const std::optional<std::string>& id);

}  // namespace berth::services::ec2
