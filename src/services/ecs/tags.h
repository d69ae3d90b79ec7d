// Tags: ECS's rules for them, merging, and the tags that ECS itself puts on tasks. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "records/cluster.h"

namespace berth::services::ecs {

inline constexpr size_t kTagsMax = 50;  // a resource's own; aws:… tags do not count

// `error_type`: ClientException for task definitions, InvalidParameterException elsewhere.
ApiResult<void> check_tags(const records::Tags& tags, std::string_view error_type = "InvalidParameterException");
// `over` wins; the order of first appearance stays.
records::Tags merge_tags(records::Tags under, const records::Tags& over);
records::Tags without_tags(records::Tags tags, const std::vector<std::string>& keys);
size_t count_own_tags(const records::Tags& tags);

}  // namespace berth::services::ecs
