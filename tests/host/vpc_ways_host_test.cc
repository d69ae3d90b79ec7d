// Routes, gateways, public addresses and networks that lie in one another, in packets; vpc_world.h says what the usual VPC is.
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "agent/network/namespaces.h"
#include "vpc_world.h"

namespace berth::network {
namespace {

using dataplane::RouteTarget;
using dataplane::VpcNet;

// "The internet" has no way to the host's public addresses of its own but by the host: as a LAN would that is told so.
class VpcWays : public VpcHost {
 protected:
  void SetUp() override {
    VpcHost::SetUp();
    if (!world_) return;
    world_->shell(world_->internet(), "ip route add 198.18.0.0/16 via 198.51.100.2");
    outside_ = std::make_unique<Echo>(*world_, world_->internet(), 80, "203.0.113.1");
  }
  NetworkOptions announced() const {
    auto options = world_->options("state");
    options.public_block = parse_network("198.18.0.0/16");
    options.announced = true;  // so that the far end sees it as it is
    return options;
  }

  std::unique_ptr<Echo> outside_;
};

TEST_F(VpcWays, APublicAddressIsWhatTheFarEndSeesAndReaches) {
  open(announced());
  tell(usual_vpc());
  task("web", "subnet-a", "10.0.1.4", {"sg-web"}, "198.18.0.4");
  task("private", "subnet-a", "10.0.1.5", {"sg-web"});
  EXPECT_EQ(tcp("web", "203.0.113.1").answer, "198.18.0.4");
  EXPECT_EQ(udp("web", "203.0.113.1").answer, "198.18.0.4");
  EXPECT_TRUE(refused(tcp("private", "203.0.113.1"))) << "no public address, no way out";
  EXPECT_TRUE(refused(udp("private", "203.0.113.1")));
  EXPECT_EQ(tcp_from(world_->internet(), "198.18.0.4").answer, "198.51.100.1");
  EXPECT_TRUE(refused(tcp_from(world_->internet(), "198.18.0.4", 81))) << "the groups decide";
  EXPECT_TRUE(passes(tcp_from(world_->host(), "198.18.0.4")));
  EXPECT_TRUE(refused(tcp_from(world_->host(), "198.18.0.4", 81))) << "also for the host";
  EXPECT_TRUE(passes(tcp_from(world_->host(), "10.0.1.4", 81))) << "but not at the private address";
  EXPECT_TRUE(refused(tcp_from(world_->host(), "198.18.0.5"))) << "nobody's";
  world_->shell(world_->internet(), "ip route add 10.0.0.0/16 via 198.51.100.2");
  EXPECT_TRUE(refused(tcp_from(world_->internet(), "10.0.1.4"))) << "no neighbour reaches private addresses";
  // Under a block that is the host's own invention, the far end sees the host.
  auto options = world_->options("other");
  options.public_block = parse_network("198.18.0.0/16");
  open(options);
  tell(usual_vpc("10.9.0.0/16"));
  echoes_.clear();
  task("web", "subnet-a", "10.9.1.4", {"sg-web"}, "198.18.0.9");
  EXPECT_EQ(tcp("web", "203.0.113.1").answer, "198.51.100.2");
}

TEST_F(VpcWays, AnAddressThatMovesIsTheNewOnesAtOnce) {
  open(announced());
  tell(usual_vpc());
  tell(usual_vpc("10.1.0.0/16"), "vpc-2");
  task("one", "subnet-a", "10.0.1.4", {"sg-web"}, "198.18.0.4");
  task("two", "subnet-a", "10.0.1.5", {"sg-web"});
  task("three", "subnet-a", "10.1.1.4", {"sg-web"}, "", "vpc-2");
  ASSERT_OK(network_->apply({kVpcId,
                             {},
                             {{"eni-one", interface("one", "subnet-a", "10.0.1.4", {"sg-web"})},
                              {"eni-two", interface("two", "subnet-a", "10.0.1.5", {"sg-web"}, "198.18.0.4")}}}));
  EXPECT_TRUE(refused(tcp("one", "203.0.113.1")));
  EXPECT_EQ(tcp("two", "203.0.113.1").answer, "198.18.0.4");
  // To another VPC, which says so first.
  change("three", interface("three", "subnet-a", "10.1.1.4", {"sg-web"}, "198.18.0.4"), "vpc-2");
  change("two", interface("two", "subnet-a", "10.0.1.5", {"sg-web"}));
  EXPECT_EQ(tcp("three", "203.0.113.1").answer, "198.18.0.4");
  EXPECT_TRUE(passes(tcp_from(world_->internet(), "198.18.0.4")));
  EXPECT_TRUE(refused(tcp("two", "203.0.113.1")));
}

TEST_F(VpcWays, APublicAddressOfANeighbourIsTheWorldOutside) {
  open(announced());
  VpcNet vpc = usual_vpc();
  vpc.groups["sg-db"] = {{rule(6, 80, 80, "sg-web"), rule(6, 81, 81, "198.18.0.4/32")}, {}};
  tell(vpc);
  task("web", "subnet-a", "10.0.1.4", {"sg-web"}, "198.18.0.4");
  task("db", "subnet-a", "10.0.1.5", {"sg-db"}, "198.18.0.5");
  EXPECT_TRUE(passes(tcp("web", "10.0.1.5", 80)));
  EXPECT_TRUE(refused(tcp("web", "198.18.0.5", 80))) << "a reference never means a public address";
  EXPECT_EQ(tcp("web", "198.18.0.5", 81).answer, "198.18.0.4");
  EXPECT_EQ(tcp("web", "198.18.0.4", 80).answer, "198.18.0.4") << "its own";
  // Another VPC's tasks are reached there, and only there.
  tell(usual_vpc("10.1.0.0/16"), "vpc-2");
  task("far", "subnet-a", "10.1.1.4", {"sg-web"}, "198.18.0.6", "vpc-2");
  EXPECT_EQ(tcp("web", "198.18.0.6", 80).answer, "198.18.0.4");
  EXPECT_TRUE(refused(tcp("web", "10.1.1.4", 80)));
}

TEST_F(VpcWays, RoutesDecide) {
  open(announced());
  VpcNet vpc = usual_vpc();
  tell(vpc);
  task("web", "subnet-a", "10.0.1.4", {"sg-web"}, "198.18.0.4");
  task("two", "subnet-b", "10.0.2.4", {"sg-web"}, "198.18.0.5");
  EXPECT_TRUE(passes(tcp("web", "203.0.113.1")));
  vpc.route_tables["rtb-1"].routes = {{*parse_network("203.0.113.0/24"), RouteTarget::blackhole, ""},
                                      {kAnywhere, RouteTarget::internet, "igw-1"}};
  tell(vpc);
  EXPECT_TRUE(refused(tcp("web", "203.0.113.1"))) << "a black hole";
  EXPECT_TRUE(passes(tcp("web", "10.0.2.4")));
  vpc.route_tables["rtb-1"].routes = {{*parse_network("203.0.113.0/24"), RouteTarget::internet, "igw-1"}};
  tell(vpc);
  EXPECT_TRUE(passes(tcp("web", "203.0.113.1")));
  EXPECT_TRUE(refused(tcp_from(world_->internet(), "198.18.0.4"))) << "no way back to 198.51.100.1";
  vpc.route_tables["rtb-2"].routes = {};
  vpc.subnets["subnet-a"].route_table = "rtb-2";
  vpc.route_tables["rtb-1"].routes = {{kAnywhere, RouteTarget::internet, "igw-1"}};
  tell(vpc);
  EXPECT_TRUE(refused(tcp("web", "203.0.113.1"))) << "no route";
  EXPECT_TRUE(refused(tcp_from(world_->internet(), "198.18.0.4")));
  EXPECT_TRUE(passes(tcp("two", "203.0.113.1"))) << "the other subnet has one";
  EXPECT_TRUE(passes(tcp("web", "10.0.2.4"))) << "the local route is always there";
}

TEST_F(VpcWays, ANatGatewayIsTheWayOutOfPrivateSubnets) {
  open(announced());
  VpcNet vpc = usual_vpc();
  vpc.nats["nat-1"] = {"subnet-a", *parse_ipv4("10.0.1.9"), *parse_ipv4("198.18.0.9")};
  vpc.route_tables["rtb-2"].routes = {{kAnywhere, RouteTarget::nat, "nat-1"}};
  vpc.subnets["subnet-b"].route_table = "rtb-2";
  tell(vpc);
  task("private", "subnet-b", "10.0.2.4", {"sg-web"});
  task("public", "subnet-b", "10.0.2.5", {"sg-web"}, "198.18.0.5");
  EXPECT_EQ(tcp("private", "203.0.113.1").answer, "198.18.0.9");
  EXPECT_EQ(udp("private", "203.0.113.1").answer, "198.18.0.9");
  EXPECT_TRUE(ping("private", "203.0.113.1"));
  EXPECT_EQ(tcp("public", "203.0.113.1").answer, "198.18.0.9") << "the route decides, not the address";
  EXPECT_TRUE(refused(tcp_from(world_->internet(), "198.18.0.9"))) << "nothing comes in that way";
  // Its subnet's ACL is passed, in both directions.
  vpc.acls["acl-a"] = {{acl_rule(100, true, 17, -1, -1, "0.0.0.0/0"), acl_rule(110, true, 6, 80, 80, "10.0.0.0/16")},
                       {acl_rule(100, true, -1, -1, -1, "0.0.0.0/0")}};
  vpc.subnets["subnet-a"].acl = "acl-a";
  tell(vpc);
  EXPECT_TRUE(passes(udp("private", "203.0.113.1")));
  EXPECT_NE(tcp("private", "203.0.113.1", 80, 300).outcome, Outcome::answered) << "the answers are not let in";
  vpc.subnets["subnet-a"].acl = "acl-1";
  // Its subnet must itself have a way.
  vpc.route_tables["rtb-1"].routes = {};
  tell(vpc);
  EXPECT_TRUE(refused(tcp("private", "203.0.113.1")));
  vpc.route_tables["rtb-1"].routes = {{kAnywhere, RouteTarget::internet, "igw-1"}};
  vpc.nats["nat-1"].public_address.reset();
  tell(vpc);
  EXPECT_TRUE(refused(tcp("private", "203.0.113.1"))) << "a private gateway leads nowhere";
}

TEST_F(VpcWays, ARouteLeadsThroughAnInterfaceThatLetsOthersPacketsPass) {
  open(announced());
  VpcNet vpc = usual_vpc();
  vpc.groups["sg-all"] = {{rule(-1, -1, -1, "0.0.0.0/0")}, {rule(-1, -1, -1, "0.0.0.0/0")}};
  vpc.route_tables["rtb-2"].routes = {{kAnywhere, RouteTarget::interface, "eni-router"}};
  vpc.subnets["subnet-b"].route_table = "rtb-2";
  tell(vpc);
  auto router = interface("router", "subnet-a", "10.0.1.9", {"sg-all"}, "198.18.0.9");
  task("router", router);
  task("inner", "subnet-b", "10.0.2.4", {"sg-web"});
  world_->shell(
      *open_namespace(path("router")),
      "sysctl -w net.ipv4.ip_forward=1; nft 'add table ip t; add chain ip t c { type nat hook postrouting priority "
      "srcnat; }; add rule ip t c masquerade'");
  EXPECT_TRUE(refused(tcp("inner", "203.0.113.1"))) << "its source/destination check is on";
  router.source_dest_check = false;
  change("router", router);
  EXPECT_EQ(tcp("inner", "203.0.113.1").answer, "198.18.0.9");
  EXPECT_TRUE(passes(tcp("router", "10.0.2.4")));
  echoes_.erase("router");
  ASSERT_OK(network_->detach_task(task_id("router")));
  EXPECT_NE(tcp("inner", "203.0.113.1", 80, 300).outcome, Outcome::answered) << "the target is gone";
}

TEST_F(VpcWays, EqualNetworksAndOneOfTheHostsWork) {
  open(announced());
  tell(usual_vpc());
  tell(usual_vpc(), "vpc-2");
  // That of the host's own uplink, and of its name server.
  std::ofstream(world_->resolv_conf()) << "nameserver 198.51.100.1\n";
  ASSERT_OK(network_->refresh_resolvers());
  const Echo resolver(*world_, world_->internet(), 53, "198.51.100.1");
  VpcNet lan = usual_vpc("198.51.0.0/16");
  lan.subnets["subnet-b"].cidr = *parse_network("198.51.100.0/24");
  tell(lan, "vpc-3");
  task("one", "subnet-a", "10.0.1.4", {"sg-web"}, "198.18.0.4");
  task("two", "subnet-a", "10.0.1.4", {"sg-web"}, "198.18.0.5", "vpc-2");
  task("same", "subnet-b", "10.0.2.4", {"sg-web"}, "", "vpc-2");
  task("lan1", "subnet-b", "198.51.100.4", {"sg-web"}, "198.18.0.6", "vpc-3");
  task("lan2", "subnet-b", "198.51.100.5", {"sg-web"}, "", "vpc-3");
  EXPECT_TRUE(passes(tcp("two", "10.0.2.4")));
  EXPECT_TRUE(refused(tcp("one", "10.0.2.4"))) << "not in its VPC";
  EXPECT_EQ(tcp("one", "203.0.113.1").answer, "198.18.0.4");
  EXPECT_EQ(tcp("two", "203.0.113.1").answer, "198.18.0.5");
  EXPECT_EQ(tcp("lan1", "203.0.113.1").answer, "198.18.0.6");
  EXPECT_TRUE(passes(tcp("lan1", "198.51.100.5")));
  EXPECT_TRUE(passes(udp("lan2", "198.51.0.2", 53))) << "the host's name server has an address of the VPC's";
  EXPECT_TRUE(passes(udp("same", "169.254.169.253", 53)));
  EXPECT_TRUE(passes(tcp_from(world_->host(), "10.0.1.4"))) << "the first VPC's";
  EXPECT_TRUE(passes(tcp_from(world_->host(), "198.18.0.5"))) << "always reached at the public address";
  EXPECT_TRUE(passes(tcp_from(world_->host(), "198.18.0.6")));
  EXPECT_EQ(tcp_from(world_->host(), "203.0.113.1").outcome, Outcome::answered) << "the host's own ways stay";
  // The first VPC goes: the host may have its place taken by the second.
  dataplane::NetworkChange removal{kVpcId, {}, {}};
  removal.removed = true;
  ASSERT_OK(network_->apply(removal));
  EXPECT_TRUE(passes(tcp_from(world_->host(), "10.0.2.4")));
}

TEST_F(VpcWays, AnyNetworkThatAwsAllowsAndMoreOfThem) {
  open(announced());
  VpcNet vpc;
  vpc.cidrs = {*parse_network("192.168.7.16/28"), *parse_network("100.64.0.0/16")};
  vpc.route_tables["rtb-1"].routes = {{kAnywhere, RouteTarget::internet, "igw-1"}};
  vpc.subnets["subnet-a"] = {*parse_network("192.168.7.16/28"), "rtb-1", ""};
  vpc.subnets["subnet-b"] = {*parse_network("100.64.128.0/17"), "rtb-1", ""};
  vpc.groups["sg-web"] = usual_vpc().groups["sg-web"];
  tell(vpc);
  task("one", "subnet-a", "192.168.7.20", {"sg-web"});
  task("two", "subnet-b", "100.64.200.1", {"sg-web"}, "198.18.0.4");
  EXPECT_TRUE(passes(tcp("one", "100.64.200.1")));
  EXPECT_TRUE(passes(tcp("two", "192.168.7.20")));
  EXPECT_EQ(tcp("two", "203.0.113.1").answer, "198.18.0.4");
  EXPECT_TRUE(passes(tcp_from(world_->host(), "100.64.200.1", 81)));
  echoes_.erase("two");
  ASSERT_OK(network_->detach_task(task_id("two")));
  vpc.cidrs.pop_back();
  vpc.subnets.erase("subnet-b");
  ASSERT_OK(network_->apply({kVpcId, vpc, {{"eni-two", std::nullopt}}}));
  EXPECT_EQ(host_shell("ip route show proto 190 | grep -c 100.64"), "0\n");
  EXPECT_TRUE(refused(tcp("one", "100.64.200.1")));
}

TEST_F(VpcWays, QuestionsForNamesPassWhateverGroupsAndAclsSay) {
  open(announced());
  VpcNet vpc = usual_vpc();
  vpc.acls["acl-1"] = {};
  tell(vpc);
  const Echo resolver(*world_, world_->internet(), 53, "203.0.113.1");
  task("shut", "subnet-a", "10.0.1.4", {"sg-shut"});
  for (const char* address : {"10.0.0.2", "169.254.169.253"}) {
    EXPECT_TRUE(passes(udp("shut", address, 53))) << address;
    EXPECT_TRUE(passes(tcp("shut", address, 53))) << address;
    EXPECT_TRUE(refused(tcp("shut", address, 80))) << address;
  }
  EXPECT_TRUE(refused(udp("shut", "169.254.169.254", 53)));
  // A resolver in the VPC takes over, and leaves.
  ASSERT_OK(network_->set_resolver(kVpcId, true));
  EXPECT_TRUE(refused(udp("shut", "10.0.0.2", 53))) << "it does not listen yet";
  {
    const Fd inside = *open_namespace(network_->instance().netns_path(kVpcId));
    const Echo own(*world_, inside, 53, "10.0.0.2");
    const Echo other(*world_, inside, 80, "10.0.0.2");
    EXPECT_EQ(udp("shut", "10.0.0.2", 53).answer, "10.0.1.4");
    EXPECT_TRUE(passes(tcp("shut", "10.0.0.2", 53)));
    EXPECT_TRUE(refused(tcp("shut", "10.0.0.2", 80))) << "nothing else that listens there";
    vpc.dns = false;
    tell(vpc);
    EXPECT_TRUE(refused(udp("shut", "10.0.0.2", 53)));
  }
  vpc.dns = true;
  tell(vpc);
  ASSERT_OK(network_->set_resolver(kVpcId, false));
  EXPECT_TRUE(passes(udp("shut", "10.0.0.2", 53)));
}

}  // namespace
}  // namespace berth::network
