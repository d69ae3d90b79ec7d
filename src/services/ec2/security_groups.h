// Security groups and their rules: the operations. What rules mean is in security_group_rules.h.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "services/ec2/handlers.h"
#include "services/ec2/objects.h"
#include "services/ec2/security_group_rules.h"

namespace berth::services::ec2 {

using GroupPtr = std::shared_ptr<const records::SecurityGroup>;

// By id, or by name in the region's default VPC, as the older operations allow.
ApiResult<GroupPtr> find_group(Work& work, const std::optional<std::string>& id,
                               const std::optional<std::string>& name);
ApiResult<GroupPtr> group_named(Work& work, const std::string& vpc_id, const std::string& name);
// The groups of an interface, all of one VPC, or that VPC's default group where none is named.
ApiResult<std::vector<std::string>> groups_of_interface(Work& work, const records::Subnet& subnet,
                                                        const std::vector<std::string>& asked);

std::string rule_key(const Work& work, const Rule& rule);
Rules rules_in_group(const Work& work, const std::string& group_id);

// Writes the group with the rule that every new one has: everything may go out.
void put_new_group(Work& work, const records::SecurityGroup& group);
}  // namespace berth::services::ec2
