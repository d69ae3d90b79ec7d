// Rules of security groups, pure: what a request's permissions ask for as records (one rule a peer), which of a group's rules
// they mean, and rules as the answers show them. Texts are EC2's own.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/ec2/common.h"
#include "model/ec2/security_groups.h"
#include "records/network.h"

namespace berth::services::ec2 {

using Rule = records::SecurityGroupRule;
using Rules = std::vector<Rule>;

// 6, 17, 1, 58 and -1 by name or number, other protocols by number.
inline constexpr int kAllProtocols = -1;
inline constexpr int kIcmp = 1, kTcp = 6, kUdp = 17, kIcmpV6 = 58;
ApiResult<int> parse_protocol(const std::string& text);
std::string protocol_name(int protocol);
bool has_ports(int protocol);  // TCP, UDP, and ICMP with its type and code

// The text as EC2 keeps it: no bits beyond the prefix; nothing where it is no block.
std::optional<std::string> canonical_ipv4(std::string_view text);
std::optional<std::string> canonical_ipv6(std::string_view text);

// A rule's fields as one request gives them, before they are checked.
struct RuleFields {
  std::optional<std::string> protocol;
  std::optional<int> from_port;
  std::optional<int> to_port;
  std::optional<std::string> cidr_ipv4;
  std::optional<std::string> cidr_ipv6;
  std::optional<std::string> prefix_list_id;
  std::optional<std::string> peer_group_id;
  std::optional<std::string> description;
};
ApiResult<Rule> make_rule(const RuleFields& fields, bool egress);

// One rule for each peer of each permission, without ids; peers that are groups are named by id already. Refused are what is
// no permission, and the same one twice.
ApiResult<Rules> rules_of(const std::vector<model::ec2::IpPermission>& permissions, bool egress);

// The same protocol, range, direction and peer: EC2 takes them for one rule whatever they are described as.
bool same_rule(const Rule& a, const Rule& b);
// "peer: sg-1, TCP, from port: 0, to port: 65535, ALLOW"
std::string rule_text(const Rule& rule);

// Whether `added` may join the group's rules: none is there yet, and neither direction's quota is passed. `prefix_list_sizes` are the
// maximal entries of the prefix lists that rules name: a list counts as many rules.
using PrefixListSizes = std::vector<std::pair<std::string, int>>;
ApiResult<void> check_added(const Rules& present, const Rules& added, const PrefixListSizes& sizes);

ApiResult<void> check_rule_description(const std::string& text);

// Rules by protocol and range, as DescribeSecurityGroups shows them. Of `-1` the ports are left out.
std::vector<model::ec2::IpPermission> permissions_of(const Rules& rules, const std::string& account);

}  // namespace berth::services::ec2
