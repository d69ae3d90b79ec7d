// CIDRs as callers write them, and what EC2 says of wrong ones. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ipv4.h"
#include "base/result.h"
#include "records/network.h"

namespace berth::services::ec2 {

inline constexpr int kVpcPrefixMin = 16, kVpcPrefixMax = 28;  // of VPCs and subnets (VPC User Guide)

// Host bits are cleared, as AWS does: 100.68.0.18/18 is 100.68.0.0/18. Nothing: not an IPv4 CIDR.
std::optional<Ipv4Network> canonical_cidr(std::string_view text);
std::optional<std::string> canonical_ipv6_cidr(std::string_view text);
// `parameter`: its name in AWS's answer, cidrBlock as a rule.
ApiResult<Ipv4Network> parse_cidr(std::string_view text, std::string_view parameter);
// For a VPC's own blocks: 16 to 28 bits, and no range that no host may have.
ApiResult<Ipv4Network> parse_vpc_cidr(std::string_view text);

// All blocks of a VPC, the primary one first.
std::vector<Ipv4Network> blocks_of(const records::Vpc& vpc);

}  // namespace berth::services::ec2
