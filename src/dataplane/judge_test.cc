#include "dataplane/judge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::dataplane {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Ipv4 ip(const char* text) { return *parse_ipv4(text); }
Ipv4Network net(const char* text) { return *parse_network(text); }
const Ipv4Network kAny{};

HostNetwork two_tasks() {
  HostNetwork network;
  VpcNet& vpc = network.vpcs["vpc-1"];
  vpc.cidrs = {net("10.0.0.0/16")};
  vpc.route_tables["rtb-1"].routes = {{kAny, RouteTarget::internet, "igw-1"}};
  vpc.acls["acl-1"] = {{{100, true, {}, kAny}}, {{100, true, {}, kAny}}};
  vpc.subnets["subnet-1"] = {net("10.0.1.0/24"), "rtb-1", "acl-1"};
  vpc.subnets["subnet-2"] = {net("10.0.2.0/24"), "rtb-1", "acl-1"};
  vpc.groups["sg-1"] = {{{"sgr-1", {6, 80, 80}, {}, "sg-1"}}, {{"sgr-2", {}, {kAny}, ""}}};
  vpc.groups["sg-2"] = {{{"sgr-3", {6, 443, 443}, {kAny}, ""}}, {}};
  vpc.interfaces["eni-1"] = {"subnet-1", ip("10.0.1.4"), {}, {"sg-1"}, ip("198.18.0.4"), true, "task1"};
  vpc.interfaces["eni-2"] = {"subnet-2", ip("10.0.2.4"), {}, {"sg-1", "sg-2"}, {}, true, "task2"};
  return network;
}

std::string decides(const Verdict& verdict) { return verdict.steps.empty() ? "" : verdict.steps.back().what; }

TEST(Judge, NamesWhatDecides) {
  HostNetwork network = two_tasks();
  const auto ask = [&](const char* from, const char* to, Question question) {
    return judge(network, "vpc-1", from, ip(to), question);
  };
  EXPECT_TRUE(ask("eni-1", "10.0.2.4", {6, 80}).passes());
  EXPECT_TRUE(ask("eni-1", "10.0.2.4", {6, 443}).passes());
  EXPECT_THAT(decides(ask("eni-1", "10.0.2.4", {6, 81})),
              HasSubstr("no rule of sg-1, sg-2 lets tcp 81 in from 10.0.1.4"));
  EXPECT_THAT(decides(ask("eni-1", "10.0.2.5", {6, 80})), HasSubstr("no interface has 10.0.2.5"));
  EXPECT_TRUE(ask("eni-1", "192.0.2.1", {6, 80}).passes());
  EXPECT_THAT(decides(ask("eni-2", "192.0.2.1", {6, 80})), HasSubstr("no public address"));
  EXPECT_THAT(decides(ask("eni-2", "198.18.0.4", {6, 80})), HasSubstr("no public address"));
  EXPECT_TRUE(ask("eni-2", "10.0.0.2", {17, 53}).passes()) << "the resolver";
  EXPECT_FALSE(ask("eni-2", "169.254.169.254", {6, 80}).passes());
  EXPECT_THAT(decides(ask("eni-9", "10.0.2.4", {6, 80})), HasSubstr("no interface eni-9"));
  VpcNet& vpc = network.vpcs["vpc-1"];
  vpc.acls["acl-2"] = {{{10, true, {6, 1, 1023}, kAny}}, {{10, true, {}, kAny}}};
  vpc.subnets["subnet-1"].acl = "acl-2";
  EXPECT_THAT(decides(ask("eni-1", "10.0.2.4", {6, 80})),
              HasSubstr("the last rule of acl-2 denies the answer, tcp 49152"));
  vpc.subnets["subnet-1"].acl = "acl-1";
  vpc.route_tables["rtb-1"].routes = {};
  EXPECT_THAT(decides(ask("eni-1", "192.0.2.1", {6, 80})), HasSubstr("rtb-1 has no route to 192.0.2.1"));
  EXPECT_TRUE(ask("eni-1", "10.0.2.4", {6, 80}).passes()) << "the local route is always there";
}

TEST(Judge, OfWhatComesFromOutside) {
  HostNetwork network = two_tasks();
  EXPECT_THAT(decides(judge_from_outside(network, ip("192.0.2.1"), ip("198.18.0.4"), {6, 80})),
              HasSubstr("no rule of sg-1"));
  network.vpcs["vpc-1"].interfaces["eni-1"].groups = {"sg-2"};
  EXPECT_TRUE(judge_from_outside(network, ip("192.0.2.1"), ip("198.18.0.4"), {6, 443}).passes());
  EXPECT_THAT(decides(judge_from_outside(network, ip("192.0.2.1"), ip("198.18.0.5"), {6, 443})),
              HasSubstr("no interface has"));
  EXPECT_FALSE(judge_from_outside(network, ip("10.0.2.4"), ip("198.18.0.4"), {6, 443}).passes())
      << "a member's address";
}

TEST(Judge, EndsOnlyWhatAwsDoesNotTrack) {
  Groups before;
  before["sg-1"] = {{{"a", {6, 80, 80}, {kAny}, ""}, {"b", {6, 81, 81}, {net("10.0.0.0/8")}, ""}},
                    {{"c", {}, {kAny}, ""}}};
  Groups after = before;
  after["sg-1"].ingress.clear();
  const auto ends = [&](int protocol, int port) {
    return ends_with_its_rule(before, {"sg-1"}, after, {"sg-1"}, true,
                              {protocol, ip("10.0.0.1"), ip("10.0.0.2"), 5000, port}, {});
  };
  EXPECT_TRUE(ends(6, 80));
  EXPECT_FALSE(ends(6, 81)) << "its rule was for a network";
  EXPECT_FALSE(ends(1, 80));
  EXPECT_THAT(groups_that_lost_an_open_rule(before, after), ElementsAre("sg-1"));
  after["sg-1"].ingress = {{"d", {6, 80, 90}, {net("10.0.0.1/32")}, ""}};
  EXPECT_FALSE(ends(6, 80)) << "another rule permits it";
  after = before;
  after["sg-1"].ingress.pop_back();
  EXPECT_THAT(groups_that_lost_an_open_rule(before, after), IsEmpty());
  before["sg-1"].egress.clear();
  after["sg-1"].ingress.clear();
  EXPECT_FALSE(ends(6, 80)) << "the way back was not open";
}

}  // namespace
}  // namespace berth::dataplane
