// Tags: ECS's rules for them, beside what every service has (services/common/tags.h). Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "records/cluster.h"
#include "services/common/tags.h"

namespace berth::services::ecs {

using common::count_own_tags;
using common::kTagsMax;
using common::merge_tags;
using common::without_tags;

// `error_type`: ClientException for task definitions, InvalidParameterException elsewhere.
ApiResult<void> check_tags(const records::Tags& tags, std::string_view error_type = "InvalidParameterException");

}  // namespace berth::services::ecs
