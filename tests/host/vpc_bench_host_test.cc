// Not checks but measurements: build with -O2, run with --gtest_also_run_disabled_tests --gtest_filter='VpcBench.*'.
#include <arpa/inet.h>
#include <fmt/core.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <thread>

#include "agent/network/namespaces.h"
#include "agent/network/nft.h"
#include "vpc_world.h"

namespace berth::network {
namespace {

using dataplane::VpcNet;

class VpcBench : public VpcHost {
 protected:
  static double ms(const std::function<void()>& work) {
    const auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  }
  std::vector<double> told_, attached_;
  static double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values.empty() ? 0 : values[values.size() / 2];
  }
  double arrives(int kind) const {
    sockaddr_in there{};
    there.sin_family = AF_INET;
    there.sin_port = htons(7000);
    inet_pton(AF_INET, "10.0.2.4", &there.sin_addr);
    Fd receiver, sender;
    world_->in(path("two"), [&] { receiver = Fd(::socket(AF_INET, kind | SOCK_CLOEXEC, 0)); });
    world_->in(path("one"), [&] { sender = Fd(::socket(AF_INET, kind | SOCK_CLOEXEC, 0)); });
    const int on = 1;
    ::setsockopt(receiver.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    EXPECT_EQ(::bind(receiver.get(), reinterpret_cast<const sockaddr*>(&there), sizeof there), 0);
    if (kind == SOCK_STREAM) ::listen(receiver.get(), 1);
    EXPECT_EQ(::connect(sender.get(), reinterpret_cast<const sockaddr*>(&there), sizeof there), 0);
    if (kind == SOCK_STREAM) receiver = Fd(::accept(receiver.get(), nullptr, nullptr));
    std::atomic<bool> ending = false;
    double arrived = 0;
    std::thread reader([&] {
      std::vector<char> buffer(1 << 17);
      const timeval patience{0, 100'000};
      ::setsockopt(receiver.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
      while (!ending) {
        const ssize_t size = ::recv(receiver.get(), buffer.data(), buffer.size(), 0);
        if (size > 0) arrived += kind == SOCK_STREAM ? static_cast<double>(size) : 1;
      }
    });
    const std::vector<char> data(kind == SOCK_STREAM ? 1 << 17 : 64);
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(500);
    while (std::chrono::steady_clock::now() < end) (void)::send(sender.get(), data.data(), data.size(), MSG_NOSIGNAL);
    ending = true;
    reader.join();
    return arrived;
  }
  VpcNet large_vpc() {
    VpcNet vpc = usual_vpc();
    vpc.subnets["subnet-big"] = {*parse_network("10.0.128.0/17"), "rtb-1", "acl-1"};
    for (int group = 0; group < 50; ++group) {
      auto& rules = vpc.groups[fmt::format("sg-{:017x}", group)];
      for (int i = 0; i < 10; ++i) {
        rules.ingress.push_back(
            rule(6, 1000 + i, 1000 + i, i % 2 ? fmt::format("sg-{:017x}", (group + i) % 50) : "10.0.0.0/16"));
      }
      rules.egress = {rule(-1, -1, -1, "0.0.0.0/0")};
    }
    return vpc;
  }
  // As the agent does for a task: its interface is told, then it is attached.
  void add(int number) {
    const Ipv4 address{parse_ipv4("10.0.128.4")->value + static_cast<uint32_t>(number)};
    const std::string name = fmt::format("n{}", number);
    const auto told =
        interface(name, "subnet-big", address.to_string(), {fmt::format("sg-{:017x}", number % 50), "sg-web"});
    told_.push_back(ms([&] { change(name, told); }));
    attached_.push_back(ms([&] { ASSERT_OK(network_->attach(kVpcId, "eni-" + name, task_id(name))); }));
  }
};

TEST_F(VpcBench, DISABLED_AttachAndRuleChanges) {
  open();
  VpcNet vpc = large_vpc();
  tell(vpc);
  std::vector<double> first, last;
  constexpr int kTasks = 1000;
  for (int i = 0; i < kTasks; ++i) {
    const double took = ms([&] { add(i); });
    if (i < 60) first.push_back(took);
    if (i >= kTasks - 60) last.push_back(took);
    if (i != 199) continue;
    std::vector<double> rule_ms;
    for (int n = 0; n < 20; ++n) {
      vpc.groups["sg-web"].ingress = {rule(6, 2000 + n, 2000 + n, "0.0.0.0/0")};
      rule_ms.push_back(ms([&] { tell(vpc); }));
    }
    fmt::print("rule of a group of 200 interfaces: median {:.1f} ms, slowest {:.1f} ms\n", median(rule_ms),
               *std::max_element(rule_ms.begin(), rule_ms.end()));
  }
  std::vector<double> rule_ms;
  for (int n = 0; n < 20; ++n) {
    vpc.groups["sg-web"].ingress = {rule(6, 3000 + n, 3000 + n, "10.0.0.0/16")};
    rule_ms.push_back(ms([&] { tell(vpc); }));
  }
  fmt::print("rule of a group of 1,000 interfaces: median {:.1f} ms\n", median(rule_ms));
  fmt::print(
      "tell and attach, 50 groups, 500 rules: median of the first 60 {:.2f} ms, of the last of 1,000 {:.2f} ms, ratio {:.2f}\n",
      median(first), median(last), median(last) / median(first));
  for (const auto& [what, all] : {std::pair{"tell", &told_}, {"attach", &attached_}}) {
    fmt::print("{}: median of the first 60 {:.2f} ms, of the last {:.2f} ms\n", what,
               median({all->begin(), all->begin() + 60}), median({all->end() - 60, all->end()}));
  }
  vpc.interfaces.clear();
  const double whole = ms([&] {
    open();
    VpcNet all = vpc;
    for (int i = 0; i < kTasks; ++i) {
      const Ipv4 address{parse_ipv4("10.0.128.4")->value + static_cast<uint32_t>(i)};
      const std::string name = fmt::format("n{}", i);
      all.interfaces["eni-" + name] =
          interface(name, "subnet-big", address.to_string(), {fmt::format("sg-{:017x}", i % 50), "sg-web"});
    }
    tell(all);
  });
  fmt::print("a restart with 1,000 interfaces: {:.0f} ms until all rules are loaded\n", whole);
  ASSERT_OK(network_->remove_all());
}

// What arrives in half a second between two tasks: through the groups, and through an empty chain with connection tracking on.
TEST_F(VpcBench, DISABLED_Throughput) {
  open();
  VpcNet vpc = large_vpc();
  vpc.groups["sg-web"].ingress = {rule(6, 7000, 7000, "0.0.0.0/0"), rule(17, 7000, 7000, "0.0.0.0/0")};
  tell(vpc);
  task("one", "subnet-a", "10.0.1.4", {"sg-web", "sg-none"});
  task("two", "subnet-b", "10.0.2.4", {"sg-web", "sg-none"});
  const Fd inside = *open_namespace(network_->instance().netns_path(kVpcId));
  for (int kind : {SOCK_STREAM, SOCK_DGRAM}) {
    std::vector<double> ratios;
    for (int round = 0; round < 9; ++round) {
      // Told anew after the rules were taken away.
      auto groups = round % 2 ? std::vector<std::string>{"sg-none"} : std::vector<std::string>{"sg-web", "sg-none"};
      change("one", interface("one", "subnet-a", "10.0.1.4", groups));
      const double with = arrives(kind);
      world_->in(inside, [] {
        ASSERT_OK(
            load_ruleset("flush ruleset\ntable ip t {\n chain c { type filter hook forward priority 0; policy accept;\n"
                         "ct state established,related accept\n }\n}\n"));
      });
      ratios.push_back(with / arrives(kind));
    }
    fmt::print("{}: median ratio to an empty chain {:.3f}\n", kind == SOCK_STREAM ? "TCP bytes" : "UDP datagrams",
               median(ratios));
  }
}

}  // namespace
}  // namespace berth::network
