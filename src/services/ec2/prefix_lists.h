// Managed prefix lists: the caller's own, and AWS's, which can be described and named in rules.
#pragma once

#include <optional>
#include <string>

#include "records/aws_prefix_lists.h"
#include "services/ec2/handlers.h"
#include "services/ec2/objects.h"

namespace berth::services::ec2 {

// How many rules a reference to the list counts as; nothing where there is no such list.
std::optional<int> prefix_list_entries_max(const Work& work, const std::string& id);

}  // namespace berth::services::ec2
