// How what EC2 names is called in the kernel. Pure: the renderer and the agent must agree, also after a restart.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace berth::dataplane {

// For names that must be short, not for secrets.
uint64_t name_hash(std::string_view text);

// The VPC's end of a task's link: t and 56 bits of a hash of the task's id, 15 characters, all that a name may have.
std::string task_link(std::string_view task_id);

// Letters and digits stay, the rest becomes '_': "sg-0123" → "sg_0123". At most 28 characters.
std::string group_set_name(std::string_view id);

// A number for what the kernel knows by number only: a subnet's links (their device group), a NAT gateway's flows (their
// connection mark), a router's packets (their mark, and its routing table). Never below 2^24: what is lower is ours to
// give by hand.
uint32_t number_of(std::string_view id);

// "c_" and 64 bits of a hash of the sorted groups: all interfaces with the same groups share what has this name.
std::string combination_name(const std::vector<std::string>& sorted_groups);

}  // namespace berth::dataplane
