// Tags as every service has them: merging, counting, what is reserved. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "records/cluster.h"

namespace berth::services::common {

inline constexpr size_t kTagsMax = 50;  // a resource's own; aws:… tags do not count

// `over` wins; the order of first appearance stays.
records::Tags merge_tags(records::Tags under, const records::Tags& over);
records::Tags without_tags(records::Tags tags, const std::vector<std::string>& keys);
size_t count_own_tags(const records::Tags& tags);
bool is_reserved_tag(std::string_view text);  // begins with aws:, in whatever case
size_t count_characters(std::string_view utf8);

}  // namespace berth::services::common
