// Real packets between real namespaces. "The host" is a namespace of the test's own; see network_world.h.
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "agent/network/instance.h"
#include "agent/network/namespaces.h"
#include "agent/network/network.h"
#include "network_world.h"

namespace berth::network {
namespace {

using dataplane::Ipv4Network;
using dataplane::parse_ipv4;
using dataplane::parse_network;

constexpr const char* kVpc = "vpc-0123456789abcdef0";
constexpr const char* kGroup = "sg-0123456789abcdef0";

class NetworkHost : public ::testing::Test {
 protected:
  void SetUp() override {
    world_ = World::make();
    if (!world_) GTEST_SKIP() << "needs root";
  }

  std::unique_ptr<Network> open(const std::string& name) {
    std::unique_ptr<Network> network;
    world_->in(world_->host(), [&] {
      auto opened = Network::open(world_->options(name));
      EXPECT_TRUE(opened) << opened.error().context;
      if (opened) network = std::move(*opened);
    });
    return network;
  }

  VpcSpec vpc(const std::string& cidr = "172.31.0.0/16") const {
    const Ipv4Network network = *parse_network(cidr);
    return {kVpc, network, dataplane::default_subnets(network), {{kGroup, true}}};
  }

  TaskNetSpec task(int number, bool is_public = true) const {
    const Ipv4Network subnet = *parse_network("172.31.16.0/20");
    return {fmt::format("{:032x}", static_cast<unsigned long long>(number) * 0x9e3779b97f4a7c15ull), kVpc,
            {subnet.base.value + 4 + static_cast<uint32_t>(number)}, subnet, {kGroup}, is_public};
  }

  std::string host_shell(const std::string& command) { return world_->shell(world_->host(), command); }

  std::unique_ptr<World> world_;
};

#define ASSERT_OK(expression)                            \
  do {                                                   \
    const auto& outcome = (expression);                  \
    ASSERT_TRUE(outcome) << outcome.error().context;     \
  } while (false)

TEST_F(NetworkHost, TasksReachEachOtherAndTheHostReachesThem) {
  auto network = open("state");
  ASSERT_OK(network->ensure_vpc(vpc()));
  auto one = network->attach_task(task(1));
  auto two = network->attach_task(task(2));
  ASSERT_OK(one);
  ASSERT_OK(two);
  const Echo echo(*world_, two->netns_path, 8080);

  Probe probe;
  world_->in(one->netns_path, [&] { probe = tcp_probe("172.31.16.6", 8080); });
  EXPECT_EQ(probe.outcome, Outcome::answered);
  EXPECT_EQ(probe.answer, "172.31.16.5");
  world_->in(one->netns_path, [&] { probe = udp_probe("172.31.16.6", 8080); });
  EXPECT_EQ(probe.answer, "172.31.16.5");
  world_->in(world_->host(), [&] { probe = tcp_probe("172.31.16.6", 8080); });
  EXPECT_EQ(probe.outcome, Outcome::answered);
  EXPECT_EQ(probe.answer, "172.31.0.3");
  ASSERT_OK(network->detach_task(task(2).task_id));
  world_->in(one->netns_path, [&] { probe = tcp_probe("172.31.16.6", 8080); });
  EXPECT_NE(probe.outcome, Outcome::answered);
  EXPECT_NE(probe.outcome, Outcome::silent);
  ASSERT_OK(network->remove_all());
  EXPECT_EQ(host_shell("ip -o link | grep be"), "");
  EXPECT_EQ(host_shell("nft list tables"), "");
  EXPECT_EQ(host_shell("ip route show proto 190"), "");
}

}  // namespace
}  // namespace berth::network
