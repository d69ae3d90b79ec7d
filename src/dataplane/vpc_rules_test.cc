#include "dataplane/vpc_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dataplane/names.h"
#include "dataplane/vpc_layout.h"

namespace berth::dataplane {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

Ipv4Network net(const char* text) { return *parse_network(text); }
Ipv4 ip(const char* text) { return *parse_ipv4(text); }
const Ipv4Network kAny = net("0.0.0.0/0");
const VpcFacts kFacts{host_end_of(1), vpc_end_of(1)};

VpcNet small_vpc() {
  VpcNet vpc;
  vpc.cidrs = {net("10.0.0.0/16")};
  vpc.route_tables["rtb-1"].routes = {{kAny, RouteTarget::internet, "igw-1"}};
  vpc.acls["acl-1"] = {{{100, true, {}, kAny}}, {{100, true, {}, kAny}}};
  vpc.subnets["subnet-1"] = {net("10.0.1.0/24"), "rtb-1", "acl-1"};
  vpc.groups["sg-1"] = {{{"sgr-1", {6, 80, 80}, {kAny}, ""}}, {{"sgr-2", {}, {kAny}, ""}}};
  vpc.groups["sg-2"] = {{{"sgr-3", {17, 53, 99}, {}, "sg-1"}}, {}};
  return vpc;
}

InterfaceNet interface(const char* address, std::vector<std::string> groups, std::string task) {
  return {"subnet-1", ip(address), {}, std::move(groups), std::nullopt, true, std::move(task)};
}

TEST(VpcRules, ARuleThatChangesIsTheOnlyThingToLoad) {
  VpcRules rules(kFacts);
  ASSERT_TRUE(rules.change({"vpc-1", small_vpc(), {{"eni-1", interface("10.0.1.4", {"sg-1"}, "task1")}}}));
  VpcNet changed = small_vpc();
  changed.groups["sg-1"].ingress[0].match = {6, 443, 443};
  const auto delta = rules.change({"vpc-1", changed, {}});
  ASSERT_TRUE(delta);
  EXPECT_EQ(to_text(*delta), "flush chain ip berth sg_1_in\nadd rule ip berth sg_1_in tcp dport 443 accept\n");
  EXPECT_THAT(to_text(*rules.change({"vpc-1", changed, {}})), IsEmpty()) << "nothing changed";
}

TEST(VpcRules, InterfacesAreElementsAndShareTheirGroupsChains) {
  VpcRules rules(kFacts);
  ASSERT_TRUE(rules.change({"vpc-1", small_vpc(), {}}));
  auto first = rules.change({"vpc-1", {}, {{"eni-1", interface("10.0.1.4", {"sg-2", "sg-1"}, "task1")}}});
  ASSERT_TRUE(first);
  EXPECT_FALSE(first->structural());
  ASSERT_THAT(first->combinations_added, SizeIs(1));
  EXPECT_THAT(first->combinations_added[0].groups, ElementsAre("sg-1", "sg-2"));
  EXPECT_THAT(first->elements_added, SizeIs(3)) << "two groups, one link";
  auto second = rules.change({"vpc-1", {}, {{"eni-2", interface("10.0.1.5", {"sg-1", "sg-2"}, "task2")}}});
  EXPECT_THAT(second->combinations_added, IsEmpty());
  auto gone = rules.change({"vpc-1", {}, {{"eni-1", std::nullopt}}});
  EXPECT_THAT(gone->elements_removed, SizeIs(3));
  EXPECT_THAT(gone->combinations_removed, IsEmpty());
  gone = rules.change({"vpc-1", {}, {{"eni-2", std::nullopt}}});
  EXPECT_THAT(gone->combinations_removed, SizeIs(1));
  EXPECT_TRUE(rules.value().interfaces.empty());
}

TEST(VpcRules, AnAddressThatPassesToAnotherInterfaceIsNotTakenFromIt) {
  VpcRules rules(kFacts);
  ASSERT_TRUE(rules.change({"vpc-1", small_vpc(), {{"eni-2", interface("10.0.1.4", {"sg-1"}, "task1")}}}));
  const auto delta =
      rules.change({"vpc-1", {}, {{"eni-1", interface("10.0.1.4", {"sg-1"}, "task2")}, {"eni-2", std::nullopt}}});
  ASSERT_TRUE(delta);
  EXPECT_THAT(delta->elements_removed, Not(Contains(Element{"sg_1", {}, ip("10.0.1.4"), 0, {}})));
  EXPECT_THAT(delta->elements_removed, SizeIs(1));
  EXPECT_THAT(delta->elements_added, SizeIs(1));
}

TEST(VpcRules, AGroupThatIsGoneLeavesNothing) {
  VpcRules rules(kFacts);
  ASSERT_TRUE(rules.change({"vpc-1", small_vpc(), {{"eni-1", interface("10.0.1.4", {"sg-2"}, "task1")}}}));
  VpcNet without = small_vpc();
  without.groups.erase("sg-2");
  EXPECT_FALSE(rules.change({"vpc-1", without, {}})) << "an interface has it";
  const auto delta = rules.change({"vpc-1", without, {{"eni-1", interface("10.0.1.4", {"sg-1"}, "task1")}}});
  ASSERT_TRUE(delta);
  EXPECT_THAT(delta->deleted, ElementsAre("flush chain ip berth sg_2_in", "flush chain ip berth sg_2_out",
                                          "delete chain ip berth sg_2_in", "delete chain ip berth sg_2_out",
                                          "delete set ip berth sg_2"));
  EXPECT_THAT(rules.whole(), Not(HasSubstr("sg_2")));
}

TEST(VpcRules, RefusesWhatItDoesNotKnow) {
  VpcRules rules(kFacts);
  EXPECT_FALSE(rules.change({"vpc-1", VpcNet{}, {}})) << "no network";
  ASSERT_TRUE(rules.change({"vpc-1", small_vpc(), {}}));
  EXPECT_FALSE(rules.change({"vpc-1", {}, {{"eni-1", interface("10.0.1.4", {"sg-9"}, "task1")}}}));
  InterfaceNet lost = interface("10.0.1.4", {"sg-1"}, "task1");
  lost.subnet = "subnet-9";
  EXPECT_FALSE(rules.change({"vpc-1", {}, {{"eni-1", lost}}}));
  EXPECT_TRUE(rules.value().interfaces.empty());
}

TEST(VpcStructure, HasGroupsRulesAsNftablesWritesThem) {
  VpcNet vpc = small_vpc();
  vpc.groups["sg-3"].ingress = {
      {"sgr-1", {1, 8, -1}, {net("10.0.0.0/8")}, ""},
      {"sgr-2", {1, 3, 4}, {kAny}, ""},
      {"sgr-3", {1, -1, -1}, {kAny}, ""},
      {"sgr-4", {58, -1, -1}, {kAny}, ""},
      {"sgr-5", {47, -1, -1}, {kAny}, ""},
      {"sgr-6", {6, 0, 65535}, {net("10.1.0.0/16"), net("10.0.0.0/8"), net("11.0.0.0/8")}, ""},
      {"sgr-7", {}, {}, "sg-9"},
      {"sgr-8", {}, {}, ""}};
  const Ruleset rules = render_structure(vpc, kFacts);
  EXPECT_THAT(
      rules.chains.at("sg_3_in").rules,
      ElementsAre("ip saddr 10.0.0.0/8 icmp type 8 accept", "icmp type 3 icmp code 4 accept", "meta l4proto 1 accept",
                  "meta l4proto 47 accept", "ip saddr { 10.0.0.0/8, 11.0.0.0/8 } meta l4proto tcp accept"));
  EXPECT_THAT(rules.chains.at("sg_2_in").rules, ElementsAre("ip saddr @sg_1 udp dport 53-99 accept"));
  EXPECT_THAT(rules.chains.at("sg_1_out").rules, ElementsAre("meta mark set 0x1 return"));
  EXPECT_FALSE(rules.chains.contains("acl")) << "ACLs that let all pass cost nothing";
}

TEST(VpcStructure, LooksAtAclsWhereTheyRefuse) {
  VpcNet vpc = small_vpc();
  vpc.acls["acl-1"].ingress = {{90, false, {6, 22, 22}, net("10.0.0.0/8")}, {100, true, {}, kAny}};
  const Ruleset rules = render_structure(vpc, kFacts);
  EXPECT_THAT(rules.chains.at("in_acl_1").rules,
              ElementsAre("ip saddr 10.0.0.0/8 tcp dport 22 goto refuse", "return", "goto refuse"));
  EXPECT_FALSE(rules.chains.contains("out_acl_1"));
  EXPECT_THAT(rules.chains.at("enter_subnet_1").rules, ElementsAre("ip saddr 10.0.1.0/24 return", "goto in_acl_1"));
}

TEST(VpcStructure, WalksRoutesLongestPrefixFirst) {
  VpcNet vpc = small_vpc();
  vpc.nats["nat-1"] = {"subnet-1", ip("10.0.1.9"), ip("198.18.0.9")};
  vpc.route_tables["rtb-2"].routes = {{kAny, RouteTarget::nat, "nat-1"},
                                      {net("10.0.1.0/24"), RouteTarget::interface, "eni-9"},
                                      {net("192.0.2.0/24"), RouteTarget::blackhole, ""}};
  vpc.subnets["subnet-2"] = {net("10.0.2.0/24"), "rtb-2", "acl-1"};
  const Ruleset rules = render_structure(vpc, kFacts);
  const std::string nat = std::to_string(number_of("nat-1"));
  EXPECT_THAT(rules.chains.at("rt_rtb_2").rules,
              ElementsAre(HasSubstr("10.0.1.0/24 meta mark"), "ip daddr 10.0.1.0/24 goto refuse",
                          "ip daddr 192.0.2.0/24 goto refuse", "ip daddr 10.0.0.0/16 return", "jump via_rtb_1",
                          AllOf(HasSubstr("ct mark set"), HasSubstr("return")), "goto refuse", "goto refuse"));
  EXPECT_THAT(rules.chains.at("srcnat").rules, Contains(HasSubstr("snat to 198.18.0.9:1024-65535")));
  EXPECT_THAT(rules.chains.at("lead_rtb_2").rules, Contains(HasSubstr("10.0.1.0/24 meta mark set")));
  EXPECT_THAT(routed_interfaces(vpc), ElementsAre("eni-9"));
}

TEST(VpcStructure, LeadsQuestionsForNamesToTheHostUntilAResolverIsThere) {
  VpcNet vpc = small_vpc();
  const auto turned = [&](VpcFacts facts) { return render_structure(vpc, facts).chains.at("dstnat").rules; };
  EXPECT_THAT(turned(kFacts), Contains("iifname != \"host\" ip daddr 10.0.0.2 udp dport 53 dnat to 169.254.192.2:53"));
  EXPECT_THAT(turned(kFacts), Contains("iifname != \"host\" ip daddr 10.0.1.2 tcp dport 53 dnat to 169.254.192.2:54"));
  EXPECT_THAT(turned(kFacts), Contains(HasSubstr("169.254.169.253 udp dport 53 dnat")));
  VpcFacts facts = kFacts;
  facts.resolver = true;
  EXPECT_THAT(turned(facts), SizeIs(2));
  EXPECT_THAT(render_structure(vpc, facts).chains.at("input").rules, Contains(HasSubstr("th dport 53 accept")));
  vpc.dns = false;
  EXPECT_THAT(turned(kFacts), SizeIs(2));
  EXPECT_THAT(render_structure(vpc, facts).chains.at("input").rules, Not(Contains(HasSubstr("dport 53"))));
}

}  // namespace
}  // namespace berth::dataplane
