// AWS's default quotas of a VPC's objects (Amazon VPC quotas), and bounds of one request.
#pragma once

#include <cstddef>

namespace berth::services::ec2::quotas {

inline constexpr int kRulesOfGroup = 60;        // in each direction, of IPv4 and of IPv6 each
inline constexpr size_t kRulesOfRequest = 100;  // one transaction writes them all
inline constexpr size_t kTaggedRulesOfRequest = 50;
inline constexpr size_t kGroupsOfInterface = 5;
inline constexpr size_t kGroupsOfVpc = 2500;
inline constexpr size_t kRuleDescriptionBytes = 255;
inline constexpr size_t kGroupNameBytes = 255;
inline constexpr int kAclEntries = 20;  // in each direction
inline constexpr size_t kAclsOfVpc = 200;
inline constexpr int kPrefixListEntries = 1000;
// Of the versions that a prefix list keeps beside its present one: a record must fit into a transaction.
inline constexpr size_t kPrefixListEntriesKept = 2000;
inline constexpr size_t kTaggedResourcesOfRequest = 100;
inline constexpr size_t kAddressesOfInterface = 50;

}  // namespace berth::services::ec2::quotas
