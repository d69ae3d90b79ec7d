#include "services/ec2/security_group_rules.h"

#include <gmock/gmock.h>

#include "services/ec2/quotas.h"

namespace berth::services::ec2 {
namespace {

namespace m = model::ec2;
using testing::ElementsAre;

m::IpPermission permission(const char* protocol, std::optional<int> from, std::optional<int> to,
                           const std::vector<std::string>& ranges) {
  m::IpPermission out;
  out.ip_protocol = protocol, out.from_port = from, out.to_port = to;
  out.ip_ranges.emplace();
  for (const std::string& range : ranges) out.ip_ranges->emplace_back().cidr_ip = range;
  return out;
}

Rule tcp(int from, int to, const std::string& cidr) {
  Rule rule;
  rule.protocol = kTcp, rule.from_port = from, rule.to_port = to, rule.cidr_ipv4 = cidr;
  return rule;
}

TEST(SecurityGroupRules, ProtocolsHaveNamesAndNumbers) {
  struct {
    const char* text;
    int protocol;
  } const cases[] = {{"tcp", 6},     {"TCP", 6}, {"6", 6},   {"udp", 17}, {"17", 17}, {"icmp", 1}, {"1", 1},
                     {"icmpv6", 58}, {"58", 58}, {"-1", -1}, {"all", -1}, {"50", 50}, {"0", 0},    {"255", 255}};
  for (const auto& one : cases) EXPECT_EQ(parse_protocol(one.text), one.protocol) << one.text;
  for (const char* text : {"", "256", "-2", "6x", "ip"})
    EXPECT_EQ(parse_protocol(text).error(), (ApiError{"InvalidParameterValue", std::string("Invalid value '") + text +
                                                                                   "' for IP protocol. Unknown "
                                                                                   "protocol."}));
  EXPECT_EQ(protocol_name(58), "icmpv6");
  EXPECT_EQ(protocol_name(-1), "-1");
  EXPECT_EQ(protocol_name(50), "50");
}

TEST(SecurityGroupRules, BlocksAreCanonical) {
  EXPECT_EQ(canonical_ipv4("100.68.0.18/18"), "100.68.0.0/18");
  EXPECT_EQ(canonical_ipv4("1.2.3.4/32"), "1.2.3.4/32");
  EXPECT_EQ(canonical_ipv4("1.2.3.4/0"), "0.0.0.0/0");
  for (const char* text : {"1.2.3.4", "1.2.3/8", "1.2.3.4/33", "1.2.3.4/", "1.2.3.4/08", "1.2.3.4/-1", "", "x/8"})
    EXPECT_FALSE(canonical_ipv4(text)) << text;
  EXPECT_EQ(canonical_ipv6("::/0"), "::/0");
  EXPECT_EQ(canonical_ipv6("2001:DB8:0:0::1/33"), "2001:db8::/33");
  for (const char* text : {"::", "::/129", "::/", "::/00", "g::/8", "1.2.3.4/8"}) EXPECT_FALSE(canonical_ipv6(text));
}

TEST(SecurityGroupRules, EachPeerIsARule) {
  auto asked = permission("tcp", 80, 81, {"10.0.0.1/8", "0.0.0.0/0"});
  asked.ipv6_ranges.emplace().emplace_back().cidr_ipv6 = "::/0";
  asked.prefix_list_ids.emplace().emplace_back().prefix_list_id = "pl-1";
  auto& pair = asked.user_id_group_pairs.emplace().emplace_back();
  pair.group_id = "sg-1", pair.description = "web";
  const auto rules = rules_of({asked}, true);
  ASSERT_TRUE(rules);
  std::vector<std::string> texts;
  for (const Rule& rule : *rules) {
    texts.push_back(rule_text(rule));
    EXPECT_TRUE(rule.egress);
  }
  EXPECT_THAT(texts, ElementsAre("peer: 10.0.0.0/8, TCP, from port: 80, to port: 81, ALLOW",
                                 "peer: 0.0.0.0/0, TCP, from port: 80, to port: 81, ALLOW",
                                 "peer: ::/0, TCP, from port: 80, to port: 81, ALLOW",
                                 "peer: pl-1, TCP, from port: 80, to port: 81, ALLOW",
                                 "peer: sg-1, TCP, from port: 80, to port: 81, ALLOW"));
  EXPECT_EQ(rules->back().description, "web");
}

TEST(SecurityGroupRules, PortsOfAllAndOfUnknownProtocolsDoNotMatter) {
  for (const char* protocol : {"-1", "50"}) {
    const auto rules = rules_of({permission(protocol, 0, 0, {"0.0.0.0/0"})}, false);
    ASSERT_TRUE(rules);
    EXPECT_EQ(rules->front().from_port, -1);
    EXPECT_TRUE(same_rule(rules->front(), rules_of({permission(protocol, {}, {}, {"0.0.0.0/0"})}, false)->front()));
  }
  EXPECT_EQ(rule_text(rules_of({permission("-1", 0, 0, {"0.0.0.0/0"})}, false)->front()),
            "peer: 0.0.0.0/0, ALL, ALLOW");
  EXPECT_EQ(rule_text(rules_of({permission("icmp", -1, -1, {"0.0.0.0/0"})}, false)->front()),
            "peer: 0.0.0.0/0, ICMP, type: ALL, code: ALL, ALLOW");
}

TEST(SecurityGroupRules, WrongOnesAreRefused) {
  struct {
    m::IpPermission asked;
    const char* code;
    const char* text;
  } const cases[] = {
      {permission("tcp", {}, 80, {"0.0.0.0/0"}), "InvalidParameterValue",
       "Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange."},
      {permission("icmp", {}, {}, {"0.0.0.0/0"}), "InvalidParameterValue",
       "Invalid value 'Must specify both type and code with ICMP.' for portRange."},
      {permission("tcp", 443, 80, {"0.0.0.0/0"}), "InvalidParameterValue", "Invalid TCP/UDP port range (443:80)"},
      {permission("udp", 1, 65536, {"0.0.0.0/0"}), "InvalidParameterValue", "Invalid TCP/UDP port range (1:65536)"},
      {permission("icmp", 256, -1, {"0.0.0.0/0"}), "InvalidParameterValue",
       "ICMP code (-1) or type (256) out of range"},
      {permission("icmp", -1, 0, {"0.0.0.0/0"}), "InvalidParameterValue", "ICMP code (0) or type (-1) out of range"},
      {permission("tcp", 80, 80, {"1.2.3.4/33"}), "InvalidParameterValue", "CIDR block 1.2.3.4/33 is malformed"},
      {permission("tcp", 80, 80, {}), "MissingParameter",
       "Missing source specification: include source security group or CIDR information"},
      {permission("tcp", 80, 80, {"1.2.3.4/8", "1.0.0.0/8"}), "InvalidParameterValue",
       "The same permission must not appear multiple times"},
  };
  for (const auto& one : cases) {
    const auto rules = rules_of({one.asked}, false);
    ASSERT_FALSE(rules) << one.text;
    EXPECT_EQ(rules.error(), (ApiError{one.code, one.text}));
  }
  EXPECT_EQ(rules_of({m::IpPermission{}}, false).error().message,
            "Invalid value 'null' for protocol. VPC security group rules must specify protocols explicitly.");
  std::vector<std::string> many;
  for (size_t i = 0; i <= quotas::kRulesOfRequest; ++i) many.push_back("10.0.0." + std::to_string(i) + "/32");
  EXPECT_EQ(rules_of({permission("tcp", 1, 1, many)}, false).error().message, "A request can name at most 100 rules.");
}

TEST(SecurityGroupRules, DescriptionsAreShortAndPlain) {
  EXPECT_TRUE(check_rule_description("from a-z (0), #1 @[x] +=&;{}!$*"));
  EXPECT_FALSE(check_rule_description("a\tb"));
  EXPECT_FALSE(check_rule_description("\xc3\xa9"));
  EXPECT_TRUE(check_rule_description(std::string(255, 'x')));
  EXPECT_FALSE(check_rule_description(std::string(256, 'x')));
}

TEST(SecurityGroupRules, NoneTwiceAndNoMoreThanTheQuota) {
  const Rules present{tcp(80, 80, "0.0.0.0/0")};
  Rule again = present[0];
  again.description = "other";
  EXPECT_EQ(
      check_added(present, {again}, {}).error(),
      (ApiError{"InvalidPermission.Duplicate",
                "the specified rule \"peer: 0.0.0.0/0, TCP, from port: 80, to port: 80, ALLOW\" already exists"}));
  again.egress = true;
  EXPECT_TRUE(check_added(present, {again}, {}));

  Rules full;
  for (int i = 0; i < 60; ++i) full.push_back(tcp(i, i, "0.0.0.0/0"));
  const ApiError refused{"RulesPerSecurityGroupLimitExceeded",
                         "The maximum number of rules per security group has been reached."};
  EXPECT_EQ(check_added(full, {tcp(99, 99, "0.0.0.0/0")}, {}).error(), refused);
  EXPECT_TRUE(check_added(full, {again}, {}));  // the other direction
  Rule six;
  six.cidr_ipv6 = "::/0";
  EXPECT_TRUE(check_added(full, {six}, {}));  // the other family
  Rule group;
  group.peer_group_id = "sg-1";
  EXPECT_EQ(check_added(full, {group}, {}).error(), refused);
  full.resize(40);
  Rule list;
  list.prefix_list_id = "pl-1";
  EXPECT_TRUE(check_added(full, {list}, {{"pl-1", 20}}));
  EXPECT_EQ(check_added(full, {list}, {{"pl-1", 21}}).error(), refused);
}

TEST(SecurityGroupRules, AreShownByProtocolAndRange) {
  Rule self;
  self.peer_group_id = "sg-1";
  Rule described = tcp(80, 80, "10.0.0.0/8");
  described.description = "office";
  const auto shown = permissions_of({self, tcp(80, 80, "0.0.0.0/0"), tcp(81, 81, "0.0.0.0/0"), described}, "1");
  ASSERT_EQ(shown.size(), 3u);
  EXPECT_EQ(shown[0].ip_protocol, "-1");
  EXPECT_FALSE(shown[0].from_port || shown[0].to_port);
  EXPECT_EQ(shown[0].user_id_group_pairs->front().group_id, "sg-1");
  EXPECT_EQ(shown[0].user_id_group_pairs->front().user_id, "1");
  EXPECT_TRUE(shown[0].ip_ranges->empty() && shown[0].ipv6_ranges->empty() && shown[0].prefix_list_ids->empty());
  EXPECT_EQ(shown[1].from_port, 80);
  ASSERT_EQ(shown[1].ip_ranges->size(), 2u);
  EXPECT_FALSE(shown[1].ip_ranges->front().description);
  EXPECT_EQ(shown[1].ip_ranges->back().description, "office");
}

}  // namespace
}  // namespace berth::services::ec2
