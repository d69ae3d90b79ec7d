// CreateTags, DeleteTags, DescribeTags: tags of any object of EC2, by its id.
#pragma once

#include <string_view>

#include "services/ec2/handlers.h"
#include "services/ec2/objects.h"

namespace berth::services::ec2 {

// By the id's prefix; null: no object of ours has such an id.
const Kind* kind_of_id(std::string_view id);

// What DeleteTags leaves. A key without a value goes whatever it has; with one, only where the value is the same. Without any, all
// of the user's own go.
records::Tags left_tags(const records::Tags& tags, const std::optional<std::vector<m::Tag>>& removed);

}  // namespace berth::services::ec2
