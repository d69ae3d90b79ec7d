#include "services/ec2/security_group_rules.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <map>
#include <tuple>

#include "base/ipv4.h"
#include "services/ec2/quotas.h"

namespace berth::services::ec2 {
namespace {

namespace m = model::ec2;

constexpr int kPortMax = 65535;
constexpr int kIcmpMax = 255;

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : static_cast<char>(c);
  });
  return out;
}

std::optional<int> number(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

tl::unexpected<ApiError> invalid(std::string text) { return refuse("InvalidParameterValue", std::move(text)); }

ApiResult<void> set_range(Rule& rule, const RuleFields& fields) {
  if (!has_ports(rule.protocol)) return {};  // the ports of other protocols are not looked at
  const bool icmp = rule.protocol == kIcmp || rule.protocol == kIcmpV6;
  if (!fields.from_port || !fields.to_port)
    return icmp ? invalid("Invalid value 'Must specify both type and code with ICMP.' for portRange.")
                : invalid("Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.");
  rule.from_port = *fields.from_port;
  rule.to_port = *fields.to_port;
  if (icmp) {
    const bool held = rule.from_port >= -1 && rule.from_port <= kIcmpMax && rule.to_port >= -1 &&
                      rule.to_port <= kIcmpMax && (rule.from_port != -1 || rule.to_port == -1);
    if (!held) return invalid(fmt::format("ICMP code ({}) or type ({}) out of range", rule.to_port, rule.from_port));
    return {};
  }
  // Some clients write all ports as -1.
  if (rule.from_port == -1 && rule.to_port == -1) rule.from_port = 0, rule.to_port = kPortMax;
  if (rule.from_port < 0 || rule.to_port > kPortMax || rule.from_port > rule.to_port)
    return invalid(fmt::format("Invalid TCP/UDP port range ({}:{})", rule.from_port, rule.to_port));
  return {};
}

ApiResult<void> set_peer(Rule& rule, const RuleFields& fields) {
  const int given = fields.cidr_ipv4.has_value() + fields.cidr_ipv6.has_value() + fields.prefix_list_id.has_value() +
                    fields.peer_group_id.has_value();
  if (given == 0)
    return refuse("MissingParameter",
                  "Missing source specification: include source security group or CIDR information");
  if (given > 1)
    return refuse("InvalidParameterCombination",
                  "Only one of CidrIpv4, CidrIpv6, PrefixListId and ReferencedGroupId may be specified.");
  auto block = [](const std::string& text, const std::optional<std::string>& canonical,
                  std::string& to) -> ApiResult<void> {
    if (!canonical) return invalid(fmt::format("CIDR block {} is malformed", text));
    to = *canonical;
    return {};
  };
  if (fields.cidr_ipv4) return block(*fields.cidr_ipv4, canonical_ipv4(*fields.cidr_ipv4), rule.cidr_ipv4);
  if (fields.cidr_ipv6) return block(*fields.cidr_ipv6, canonical_ipv6(*fields.cidr_ipv6), rule.cidr_ipv6);
  if (fields.prefix_list_id && !fields.prefix_list_id->starts_with("pl-"))
    return refuse("InvalidPrefixListId.Malformed",
                  fmt::format("The prefix list ID '{}' is malformed", *fields.prefix_list_id));
  if (fields.peer_group_id && !fields.peer_group_id->starts_with("sg-"))
    return refuse("InvalidGroupId.Malformed",
                  fmt::format("Invalid id: \"{}\" (expecting \"sg-...\")", *fields.peer_group_id));
  rule.prefix_list_id = fields.prefix_list_id.value_or("");
  rule.peer_group_id = fields.peer_group_id.value_or("");
  return {};
}

// One permission and one of its peers, as the fields of a rule.
std::vector<RuleFields> fields_of(const m::IpPermission& permission) {
  std::vector<RuleFields> out;
  auto add = [&](const std::optional<std::string>& description) -> RuleFields& {
    return out.emplace_back(
        RuleFields{permission.ip_protocol, permission.from_port, permission.to_port, {}, {}, {}, {}, description});
  };
  if (permission.ip_ranges)
    for (const auto& peer : *permission.ip_ranges) add(peer.description).cidr_ipv4 = peer.cidr_ip.value_or("");
  if (permission.ipv6_ranges)
    for (const auto& peer : *permission.ipv6_ranges) add(peer.description).cidr_ipv6 = peer.cidr_ipv6.value_or("");
  if (permission.prefix_list_ids)
    for (const auto& peer : *permission.prefix_list_ids)
      add(peer.description).prefix_list_id = peer.prefix_list_id.value_or("");
  if (permission.user_id_group_pairs)
    for (const auto& peer : *permission.user_id_group_pairs)
      add(peer.description).peer_group_id = peer.group_id.value_or("");
  if (out.empty()) add({});  // refused for its lack of a peer
  return out;
}

std::string upper_protocol(int protocol) {
  switch (protocol) {
    case kAllProtocols: return "ALL";
    case kTcp: return "TCP";
    case kUdp: return "UDP";
    case kIcmp: return "ICMP";
    case kIcmpV6: return "ICMPv6";
    default: return std::to_string(protocol);
  }
}

const std::string& peer_of(const Rule& rule) {
  for (const std::string* peer : {&rule.cidr_ipv4, &rule.cidr_ipv6, &rule.prefix_list_id})
    if (!peer->empty()) return *peer;
  return rule.peer_group_id;
}

// What a rule counts in the quota of a family. References to groups count in both.
int weight(const Rule& rule, bool ipv6, const PrefixListSizes& sizes) {
  if (!rule.peer_group_id.empty()) return 1;
  if (!rule.cidr_ipv4.empty()) return ipv6 ? 0 : 1;
  if (!rule.cidr_ipv6.empty()) return ipv6 ? 1 : 0;
  const auto found =
      std::find_if(sizes.begin(), sizes.end(), [&](const auto& s) { return s.first == rule.prefix_list_id; });
  return ipv6 ? 0 : found == sizes.end() ? 1 : found->second;
}

}  // namespace

ApiResult<int> parse_protocol(const std::string& text) {
  using Name = std::pair<std::string_view, int>;
  static constexpr std::array<Name, 6> kNames{{{"tcp", kTcp},
                                               {"udp", kUdp},
                                               {"icmp", kIcmp},
                                               {"icmpv6", kIcmpV6},
                                               {"all", kAllProtocols},
                                               {"-1", kAllProtocols}}};
  const std::string name = lower(text);
  for (const auto& [known, protocol] : kNames)
    if (name == known) return protocol;
  const auto protocol = number(name);
  if (!protocol || *protocol < 0 || *protocol > 255)
    return invalid(fmt::format("Invalid value '{}' for IP protocol. Unknown protocol.", text));
  return *protocol;
}

std::string protocol_name(int protocol) {
  switch (protocol) {
    case kTcp: return "tcp";
    case kUdp: return "udp";
    case kIcmp: return "icmp";
    case kIcmpV6: return "icmpv6";
    default: return std::to_string(protocol);
  }
}

bool has_ports(int protocol) {
  return protocol == kTcp || protocol == kUdp || protocol == kIcmp || protocol == kIcmpV6;
}

std::optional<std::string> canonical_ipv4(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto address = parse_ipv4(text.substr(0, slash));
  // The reading of the prefix is the network's: digits alone, no leading zeros.
  const auto prefix = parse_network(fmt::format("0.0.0.0{}", text.substr(slash)));
  if (!address || !prefix) return std::nullopt;
  const uint32_t mask = prefix->prefix == 0 ? 0 : ~uint32_t{0} << (32 - prefix->prefix);
  return Ipv4Network{{address->value & mask}, prefix->prefix}.to_string();
}

std::optional<std::string> canonical_ipv6(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos || text.find('\0') != std::string_view::npos) return std::nullopt;
  const std::string host(text.substr(0, slash));
  const std::string_view digits = text.substr(slash + 1);
  const auto prefix = number(digits);
  in6_addr address{};
  if (!prefix || *prefix < 0 || *prefix > 128 || (digits.size() > 1 && digits[0] == '0') ||
      inet_pton(AF_INET6, host.c_str(), &address) != 1)
    return std::nullopt;
  for (int bit = *prefix; bit < 128; ++bit) address.s6_addr[bit / 8] &= static_cast<uint8_t>(~(0x80 >> bit % 8));
  char out[INET6_ADDRSTRLEN];
  inet_ntop(AF_INET6, &address, out, sizeof out);
  return fmt::format("{}/{}", out, *prefix);
}

ApiResult<void> check_rule_description(const std::string& text) {
  static constexpr std::string_view kOthers = " ._-:/()#,@[]+=&;{}!$*";
  const bool held = text.size() <= quotas::kRuleDescriptionBytes && std::all_of(text.begin(), text.end(), [](char c) {
                      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                             kOthers.find(c) != std::string_view::npos;
                    });
  if (held) return {};
  return invalid(
      "Invalid rule description. Valid descriptions are strings less than 256 characters from the following set:  "
      "a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*");
}

ApiResult<Rule> make_rule(const RuleFields& fields, bool egress) {
  Rule rule;
  rule.egress = egress;
  if (!fields.protocol)
    return invalid("Invalid value 'null' for protocol. VPC security group rules must specify protocols explicitly.");
  const auto protocol = parse_protocol(*fields.protocol);
  if (!protocol) return tl::unexpected(protocol.error());
  rule.protocol = *protocol;
  if (auto held = set_range(rule, fields); !held) return tl::unexpected(held.error());
  if (auto held = set_peer(rule, fields); !held) return tl::unexpected(held.error());
  rule.description = fields.description.value_or("");
  if (auto held = check_rule_description(rule.description); !held) return tl::unexpected(held.error());
  return rule;
}

ApiResult<Rules> rules_of(const std::vector<m::IpPermission>& permissions, bool egress) {
  Rules rules;
  for (const m::IpPermission& permission : permissions) {
    for (const RuleFields& fields : fields_of(permission)) {
      auto rule = make_rule(fields, egress);
      if (!rule) return tl::unexpected(rule.error());
      if (std::any_of(rules.begin(), rules.end(), [&](const Rule& other) { return same_rule(other, *rule); }))
        return invalid("The same permission must not appear multiple times");
      if (rules.size() == quotas::kRulesOfRequest)
        return invalid(fmt::format("A request can name at most {} rules.", quotas::kRulesOfRequest));
      rules.push_back(*std::move(rule));
    }
  }
  return rules;
}

bool same_rule(const Rule& a, const Rule& b) {
  auto all = [](const Rule& r) {
    return std::tie(r.egress, r.protocol, r.from_port, r.to_port, r.cidr_ipv4, r.cidr_ipv6, r.prefix_list_id,
                    r.peer_group_id);
  };
  return all(a) == all(b);
}

std::string rule_text(const Rule& rule) {
  std::string range;
  auto of_icmp = [](int value) { return value == -1 ? std::string("ALL") : std::to_string(value); };
  if (rule.protocol == kTcp || rule.protocol == kUdp)
    range = fmt::format(", from port: {}, to port: {}", rule.from_port, rule.to_port);
  else if (has_ports(rule.protocol))
    range = fmt::format(", type: {}, code: {}", of_icmp(rule.from_port), of_icmp(rule.to_port));
  return fmt::format("peer: {}, {}{}, ALLOW", peer_of(rule), upper_protocol(rule.protocol), range);
}

ApiResult<void> check_added(const Rules& present, const Rules& added, const PrefixListSizes& sizes) {
  for (const Rule& rule : added)
    if (std::any_of(present.begin(), present.end(), [&](const Rule& other) { return same_rule(other, rule); }))
      return refuse("InvalidPermission.Duplicate",
                    fmt::format("the specified rule \"{}\" already exists", rule_text(rule)));
  for (const bool egress : {false, true})
    for (const bool ipv6 : {false, true}) {
      int count = 0, grown = 0;
      for (const Rule& rule : present) count += rule.egress == egress ? weight(rule, ipv6, sizes) : 0;
      for (const Rule& rule : added) grown += rule.egress == egress ? weight(rule, ipv6, sizes) : 0;
      if (grown > 0 && count + grown > quotas::kRulesOfGroup)
        return refuse("RulesPerSecurityGroupLimitExceeded",
                      "The maximum number of rules per security group has been reached.");
    }
  return {};
}

std::vector<m::IpPermission> permissions_of(const Rules& rules, const std::string& account) {
  std::map<std::tuple<int, int, int>, m::IpPermission> by_range;
  auto text = [](const std::string& description) {
    return description.empty() ? std::nullopt : std::optional(description);
  };
  for (const Rule& rule : rules) {
    const auto [found, fresh] = by_range.try_emplace({rule.protocol, rule.from_port, rule.to_port});
    m::IpPermission& permission = found->second;
    if (fresh) {
      permission.ip_protocol = protocol_name(rule.protocol);
      if (has_ports(rule.protocol)) permission.from_port = rule.from_port, permission.to_port = rule.to_port;
      permission.user_id_group_pairs.emplace();
      permission.ip_ranges.emplace();
      permission.ipv6_ranges.emplace();
      permission.prefix_list_ids.emplace();
    }
    if (!rule.cidr_ipv4.empty()) {
      auto& peer = permission.ip_ranges->emplace_back();
      peer.cidr_ip = rule.cidr_ipv4, peer.description = text(rule.description);
    } else if (!rule.cidr_ipv6.empty()) {
      auto& peer = permission.ipv6_ranges->emplace_back();
      peer.cidr_ipv6 = rule.cidr_ipv6, peer.description = text(rule.description);
    } else if (!rule.prefix_list_id.empty()) {
      auto& peer = permission.prefix_list_ids->emplace_back();
      peer.prefix_list_id = rule.prefix_list_id, peer.description = text(rule.description);
    } else {
      auto& peer = permission.user_id_group_pairs->emplace_back();
      peer.group_id = rule.peer_group_id, peer.user_id = account, peer.description = text(rule.description);
    }
  }
  std::vector<m::IpPermission> out;
  for (auto& [range, permission] : by_range) out.push_back(std::move(permission));
  return out;
}

}  // namespace berth::services::ec2
