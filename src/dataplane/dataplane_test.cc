#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dataplane/addresses.h"
#include "base/ipv4.h"
#include "dataplane/names.h"
#include "dataplane/ruleset.h"
#include "dataplane/task_files.h"
#include "dataplane/upstream.h"
#include "dataplane/vpc_layout.h"

namespace berth::dataplane {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

Ipv4Network net(const char* text) { return *parse_network(text); }
Ipv4 ip(const char* text) { return *parse_ipv4(text); }

TEST(Ipv4, ReadsWhatItWritesAndNothingElse) {
  for (const char* text : {"0.0.0.0", "172.31.16.5", "255.255.255.255"}) EXPECT_EQ(ip(text).to_string(), text);
  for (const char* text :
       {"", "1.2.3", "1.2.3.4.5", "256.0.0.1", "01.2.3.4", " 1.2.3.4", "1.2.3.4 ", "1..2.3", "a.b.c.d", "1.2.3.-4"}) {
    EXPECT_FALSE(parse_ipv4(text)) << text;
  }
  for (const char* text : {"0.0.0.0/0", "172.31.0.0/16", "10.0.0.1/32"}) EXPECT_EQ(net(text).to_string(), text);
  for (const char* text : {"172.31.0.0", "172.31.0.0/", "172.31.0.1/16", "0.0.0.0/33", "10.0.0.0/08", "1.0.0.0/0"}) {
    EXPECT_FALSE(parse_network(text)) << text;
  }
}

TEST(Ipv4Network, OverlapsBothWays) {
  EXPECT_TRUE(net("172.16.0.0/12").overlaps(net("172.31.0.0/16")));
  EXPECT_TRUE(net("172.31.0.0/16").overlaps(net("172.16.0.0/12")));
  EXPECT_FALSE(net("172.31.0.0/16").overlaps(net("172.30.0.0/16")));
  EXPECT_TRUE(net("0.0.0.0/0").overlaps(net("255.255.255.255/32")));
}

TEST(VpcLayout, IsThatOfAnAwsDefaultVpc) {
  EXPECT_THAT(default_subnets(net("172.31.0.0/16")),
              ElementsAre(net("172.31.0.0/20"), net("172.31.16.0/20"), net("172.31.32.0/20")));
  EXPECT_EQ(resolver_address(net("172.31.0.0/16")), ip("172.31.0.2"));
  const Ipv4Network vpc = net("172.31.0.0/16");
  EXPECT_THAT(resolver_addresses(vpc, default_subnets(vpc)),
              ElementsAre(ip("172.31.0.2"), ip("172.31.16.2"), ip("172.31.32.2")));
  EXPECT_THAT(resolver_addresses(vpc, {net("172.31.64.0/20")}), ElementsAre(ip("172.31.0.2"), ip("172.31.64.2")));
  EXPECT_EQ(resolver_addresses(net("10.0.0.0/16"), default_subnets(net("10.0.0.0/20"))).size(), kResolversMax);
  EXPECT_EQ(router_address(net("172.31.16.0/20")), ip("172.31.16.1"));
  EXPECT_FALSE(assignable(net("172.31.16.0/20"), ip("172.31.16.3")));
  EXPECT_TRUE(assignable(net("172.31.16.0/20"), ip("172.31.16.4")));
  EXPECT_TRUE(assignable(net("172.31.16.0/20"), ip("172.31.31.254")));
  EXPECT_FALSE(assignable(net("172.31.16.0/20"), ip("172.31.31.255")));
  EXPECT_EQ(mac_of(ip("172.31.16.5")), "06:be:ac:1f:10:05");
}

TEST(ChooseVpcNetwork, TakesTheNextOneBelowBesideAnotherBerth) {
  std::vector<Route> routes = {{net("0.0.0.0/0"), false, "eth0"}, {net("192.168.1.0/24"), false, "eth0"}};
  EXPECT_EQ(choose_vpc_network(routes, ""), net("172.31.0.0/16"));
  routes.push_back({net("172.31.0.0/16"), true});
  EXPECT_EQ(choose_vpc_network(routes, ""), net("172.30.0.0/16"));
  routes.push_back({net("172.30.0.0/24"), true});
  EXPECT_EQ(choose_vpc_network(routes, ""), net("172.29.0.0/16"));
}

TEST(ChooseVpcNetwork, RefusesWhatIsSomebodyElsesAndSaysTheRemedy) {
  const std::vector<Route> routes = {{net("172.16.0.0/12"), false, "tun0"}, {net("10.1.0.0/16"), true}};
  const auto refused = choose_vpc_network(routes, "");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().context, HasSubstr("172.16.0.0/12 on tun0"));
  EXPECT_THAT(refused.error().context, HasSubstr("--vpc-cidr"));
  EXPECT_EQ(choose_vpc_network(routes, "10.200.0.0/16"), net("10.200.0.0/16"));
  EXPECT_FALSE(choose_vpc_network(routes, "172.20.0.0/16"));
  EXPECT_FALSE(choose_vpc_network(routes, "10.1.0.0/16"));
  for (const char* text : {"10.0.0.0/8", "10.200.0.0/25", "10.200.0.1/16", "ten"}) {
    EXPECT_FALSE(choose_vpc_network({}, text)) << text;
  }
  std::vector<Route> all;
  for (uint32_t second = 16; second < 32; ++second) all.push_back({{{172u << 24 | second << 16}, 16}, true});
  EXPECT_FALSE(choose_vpc_network(all, ""));
}

TEST(AddressAllocator, GoesRoundBeforeAnAddressComesBack) {
  AddressAllocator allocator(net("10.0.0.0/28"));
  EXPECT_EQ(allocator.capacity(), 11u);  // AWS's own figure for a /28
  EXPECT_EQ(allocator.allocate(), ip("10.0.0.4"));
  EXPECT_EQ(allocator.allocate(), ip("10.0.0.5"));
  allocator.release(ip("10.0.0.4"));
  for (int i = 6; i <= 14; ++i) EXPECT_EQ(allocator.allocate()->value & 255, static_cast<uint32_t>(i));
  EXPECT_EQ(allocator.allocate(), ip("10.0.0.4"));
  EXPECT_FALSE(allocator.allocate());
  allocator.release(ip("10.0.0.9"));
  EXPECT_EQ(allocator.allocate(), ip("10.0.0.9"));
}

TEST(AddressAllocator, IsRebuiltFromLiveTasks) {
  AddressAllocator allocator(net("10.0.0.0/28"));
  EXPECT_TRUE(allocator.take(ip("10.0.0.7")));
  EXPECT_FALSE(allocator.take(ip("10.0.0.7")));
  for (const char* reserved : {"10.0.0.0", "10.0.0.3", "10.0.0.15", "10.0.1.4"})
    EXPECT_FALSE(allocator.take(ip(reserved)));
  allocator.continue_after(ip("10.0.0.6"));
  EXPECT_EQ(allocator.allocate(), ip("10.0.0.8"));
  allocator.release(ip("10.0.0.3"));
  allocator.release(ip("10.0.0.12"));
  EXPECT_EQ(allocator.used_count(), 2u);
}

TEST(TaskFiles, AreThoseOfAnEcsTask) {
  const Ipv4 address = ip("172.31.16.5");
  EXPECT_EQ(private_dns_name(address, "eu-central-1"), "ip-172-31-16-5.eu-central-1.compute.internal");
  EXPECT_EQ(private_dns_name(address, "us-east-1"), "ip-172-31-16-5.ec2.internal");
  EXPECT_EQ(render_hosts(address, "us-east-1"), "127.0.0.1 localhost\n172.31.16.5 ip-172-31-16-5.ec2.internal\n");
  EXPECT_EQ(render_hostname(address, "us-east-1"), "ip-172-31-16-5.ec2.internal\n");
  EXPECT_EQ(render_resolv_conf({ip("172.31.0.2"), ip("172.31.16.2")}, "eu-west-1"),
            "search eu-west-1.compute.internal\nnameserver 172.31.0.2\nnameserver 172.31.16.2\n");
}

TEST(Upstream, ReadsTheHostsResolvConf) {
  const Upstreams two =
      parse_resolv_conf("# x\nsearch a b\nnameserver 10.0.0.1 # trailing\n\nnameserver\t10.0.0.2\r\noptions x");
  EXPECT_THAT(two.usable, ElementsAre(ip("10.0.0.1"), ip("10.0.0.2")));
  const Upstreams many = parse_resolv_conf(
      "nameserver 10.0.0.1\nnameserver 127.0.0.1\nnameserver 10.0.0.1\nnameserver 10.0.0.2\n"
      "nameserver 10.0.0.3\nnameserver 10.0.0.4\n");
  EXPECT_THAT(many.usable, ElementsAre(ip("10.0.0.1"), ip("10.0.0.2"), ip("10.0.0.3"))) << "each once, three at most";
  EXPECT_FALSE(many.loopback) << "where others are usable, it does not count";
  EXPECT_EQ(parse_resolv_conf("nameserver ::1\nnameserver 127.0.0.53\nnameserver 127.0.0.1").loopback,
            ip("127.0.0.53"));
  EXPECT_EQ(parse_resolv_conf("nameserver 0.0.0.0").loopback, ip("127.0.0.1"));
  EXPECT_TRUE(parse_resolv_conf("nameserver ::1\nnameserver fe80::1").ipv6_only);
  EXPECT_TRUE(parse_resolv_conf("nameserver fd00::1").ipv6_only);
  const Upstreams none = parse_resolv_conf("nameservers 1.2.3.4\nnameserver");
  EXPECT_EQ(none, Upstreams{});
}

TEST(Names, AreWhatTheKernelTakes) {
  EXPECT_EQ(group_set_name("sg-0123456789abcdef0"), "sg_0123456789abcdef0");
  EXPECT_EQ(group_set_name("sg-\"; flush ruleset"), "sg____flush_ruleset");
  EXPECT_LE(group_set_name(std::string(100, 'x')).size(), 28u);
  EXPECT_EQ(task_link("0123456789abcdef").size(), 15u);
  EXPECT_GE(number_of("subnet-1"), 1u << 24);
  EXPECT_NE(number_of("subnet-1"), number_of("subnet-2"));
}

TEST(HostRuleset, OpensOnlyNameServersThatWereAskedThroughIt) {
  const std::string text = render_host_ruleset({"berth_a", "beav", {ip("192.0.2.2")}});
  EXPECT_THAT(text, HasSubstr("iifname \"beav*\" ip daddr 169.254.192.0/18 udp dport 53 dnat to 192.0.2.2:53"));
  EXPECT_THAT(text, HasSubstr("udp dport 55 dnat to 192.0.2.2:53")) << "every resolver leads to one";
  EXPECT_THAT(text, HasSubstr("ct status dnat ip daddr 192.0.2.2 tcp dport 53 accept"));
  EXPECT_THAT(text, HasSubstr("ip saddr 169.254.192.0/18 oifname != \"beav*\" masquerade"));
  EXPECT_THAT(text, HasSubstr("ip saddr @public oifname != \"beav*\" masquerade"));
  EXPECT_THAT(text, Not(HasSubstr("snat")));
  const std::string none = render_host_ruleset({"berth_a", "beav", {}, false});
  EXPECT_THAT(none, Not(HasSubstr("dnat to")));
  EXPECT_THAT(none, Not(HasSubstr("@public oifname"))) << "a real block needs no other address";
}

TEST(HostRuleset, AsksAServerOnLoopbackAsTheHostDoes) {
  const std::string text = render_host_ruleset({"berth_a", "beav", {ip("127.0.0.53")}});
  EXPECT_THAT(text, HasSubstr("tcp dport 53 dnat to 127.0.0.53:53"));
  EXPECT_THAT(text, HasSubstr("iifname \"beav*\" ip daddr 127.0.0.53 udp dport 53 snat to 127.0.0.1"));
}

}  // namespace
}  // namespace berth::dataplane
