#include "admin/net.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::admin {
namespace {

using ::testing::HasSubstr;

Ipv4 ip(const char* text) { return *parse_ipv4(text); }

dataplane::HostNetwork two_vpcs() {
  dataplane::HostNetwork network;
  for (const char* id : {"vpc-1", "vpc-2"}) {
    dataplane::VpcNet& vpc = network.vpcs[id];
    vpc.cidrs = {*parse_network("10.0.0.0/16")};
    vpc.route_tables["rtb-1"].routes = {{{}, dataplane::RouteTarget::internet, "igw-1"}};
    vpc.subnets["subnet-1"] = {*parse_network("10.0.1.0/24"), "rtb-1", ""};
    vpc.groups["sg-1"] = {{{"sgr-1", {6, 80, 80}, {Ipv4Network{}}, ""}}, {{"sgr-2", {}, {Ipv4Network{}}, ""}}};
    const std::string end = id + 4;
    vpc.interfaces["eni-a" + end] = {"subnet-1", ip("10.0.1.4"), {}, {"sg-1"}, ip(("198.18.0." + end).c_str()),
                                     true,       "aaaa" + end};
    vpc.interfaces["eni-b" + end] = {"subnet-1", ip("10.0.1.5"), {}, {"sg-1"}, {}, true, "bbbb" + end};
  }
  return network;
}

json::Value question(const char* from, const char* to, int port, const char* protocol = "tcp") {
  json::Value question;
  question.set("from", from);
  question.set("to", to);
  question.set("port", port);
  question.set("protocol", protocol);
  return question;
}

TEST(NetWhy, FindsWhoIsMeantAndSaysWhatDecides) {
  const auto network = two_vpcs();
  const auto why = [&](const char* from, const char* to, int port) {
    return tell_why(network, question(from, to, port));
  };
  auto told = why("aaaa1", "bbbb1", 80);
  ASSERT_TRUE(told);
  EXPECT_TRUE((*told)["passes"].bool_or(false));
  EXPECT_EQ((*told)["to"].string_or(""), "10.0.1.5");
  told = why("aaaa1", "10.0.1.5", 81);
  ASSERT_TRUE(told) << "the address means the neighbour in its own VPC";
  EXPECT_FALSE((*told)["passes"].bool_or(true));
  EXPECT_THAT((*told)["steps"].array_or_empty().back()["what"].string_or(""), HasSubstr("no rule of sg-1"));
  told = why("eni-a1", "aaaa2", 80);
  EXPECT_EQ((*told)["to"].string_or(""), "198.18.0.2") << "of another VPC";
  EXPECT_TRUE((*told)["passes"].bool_or(false));
  EXPECT_TRUE((*why("192.0.2.1", "aaaa1", 80))["passes"].bool_or(false)) << "from outside";
  EXPECT_FALSE((*tell_why(network, question("aaaa1", "bbbb1", 0, "icmp")))["passes"].bool_or(true));
}

TEST(NetWhy, SaysWhatItCannotTell) {
  const auto network = two_vpcs();
  EXPECT_THAT(tell_why(network, question("10.0.1.4", "bbbb1", 80)).error().context, HasSubstr("name the interface"));
  EXPECT_THAT(tell_why(network, question("aaaa1", "nobody", 80)).error().context, HasSubstr("no interface"));
  EXPECT_THAT(tell_why(network, question("aaaa1", "bbbb2", 80)).error().context, HasSubstr("no public address"));
}

TEST(Net, TellsVpcsSubnetsRoutesAndInterfaces) {
  const json::Value told = tell_network(two_vpcs());
  const json::Value& subnet = told["vpcs"].array_or_empty().at(0)["subnets"].array_or_empty().at(0);
  EXPECT_EQ(subnet["cidr"].string_or(""), "10.0.1.0/24");
  EXPECT_EQ(subnet["routes"].array_or_empty().at(0)["target"].string_or(""), "internet gateway");
  EXPECT_EQ(subnet["interfaces"].array_or_empty().at(0)["publicAddress"].string_or(""), "198.18.0.1");
}

}  // namespace
}  // namespace berth::admin
