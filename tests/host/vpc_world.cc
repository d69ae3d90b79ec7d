#include "vpc_world.h"

#include <fmt/core.h>

#include "agent/network/namespaces.h"
#include "dataplane/names.h"

namespace berth::network {

using dataplane::InterfaceNet;
using dataplane::RouteTarget;
using dataplane::VpcNet;

dataplane::GroupRule rule(int protocol, int from, int to, const std::string& peer) {
  dataplane::GroupRule rule{"sgr-" + peer, {protocol, from, to}, {}, {}};
  if (peer.starts_with("sg-")) {
    rule.group = peer;
  } else {
    rule.networks = {*parse_network(peer)};
  }
  return rule;
}

dataplane::AclRule acl_rule(int number, bool allow, int protocol, int from, int to, const std::string& network) {
  return {number, allow, {protocol, from, to}, *parse_network(network)};
}

VpcNet usual_vpc(const std::string& primary) {
  VpcNet vpc;
  vpc.cidrs = {*parse_network(primary)};
  const auto subnet = [&](uint32_t number) { return Ipv4Network{{vpc.cidrs[0].base.value + (number << 8)}, 24}; };
  vpc.route_tables["rtb-1"].routes = {{kAnywhere, RouteTarget::internet, "igw-1"}};
  vpc.acls["acl-1"] = {{acl_rule(100, true, -1, -1, -1, "0.0.0.0/0")}, {acl_rule(100, true, -1, -1, -1, "0.0.0.0/0")}};
  vpc.subnets["subnet-a"] = {subnet(1), "rtb-1", "acl-1"};
  vpc.subnets["subnet-b"] = {subnet(2), "rtb-1", "acl-1"};
  const std::vector<dataplane::GroupRule> all = {rule(-1, -1, -1, "0.0.0.0/0")};
  vpc.groups["sg-web"] = {{rule(6, 80, 80, "0.0.0.0/0")}, all};
  vpc.groups["sg-none"] = {{}, all};
  vpc.groups["sg-shut"] = {};
  return vpc;
}

std::string task_id(const std::string& name) {
  return fmt::format("{:016x}{:016x}", dataplane::name_hash(name), dataplane::name_hash(name + "'"));
}

void VpcHost::SetUp() {
  world_ = World::make();
  if (!world_) GTEST_SKIP() << "needs root";
}

void VpcHost::open(NetworkOptions options) {
  network_.reset();
  world_->in(world_->host(), [&] {
    auto opened = Network::open(std::move(options));
    ASSERT_OK(opened);
    network_ = std::move(*opened);
  });
}
void VpcHost::open() { open(world_->options("state")); }

void VpcHost::tell(const VpcNet& vpc, const std::string& id) {
  dataplane::NetworkChange change{id, vpc, {}};
  for (const auto& [name, interface] : vpc.interfaces) change.interfaces[name] = interface;
  change.structure->interfaces.clear();
  ASSERT_OK(network_->apply(change));
}

InterfaceNet VpcHost::interface(const std::string& name, const std::string& subnet, const std::string& address,
                                std::vector<std::string> groups, const std::string& public_address) const {
  InterfaceNet interface { subnet, *parse_ipv4(address), {}, std::move(groups), {}, true, task_id(name) };
  if (!public_address.empty()) interface.public_address = parse_ipv4(public_address);
  return interface;
}

void VpcHost::task(const std::string& name, const std::string& subnet, const std::string& address,
                   std::vector<std::string> groups, const std::string& public_address, const std::string& vpc) {
  task(name, interface(name, subnet, address, std::move(groups), public_address), vpc);
}

void VpcHost::task(const std::string& name, const InterfaceNet& interface, const std::string& vpc) {
  change(name, interface, vpc);
  auto net = network_->attach(vpc, "eni-" + name, task_id(name));
  ASSERT_OK(net);
  for (int port : {80, 81}) echoes_[name].push_back(std::make_unique<Echo>(*world_, net->netns_path, port));
}

void VpcHost::change(const std::string& name, const InterfaceNet& interface, const std::string& vpc) {
  ASSERT_OK(network_->apply({vpc, {}, {{"eni-" + name, interface}}}));
}

std::string VpcHost::path(const std::string& name) const { return network_->instance().netns_path(task_id(name)); }

Probe VpcHost::tcp(const std::string& from, const std::string& to, int port, int timeout_ms) const {
  Probe probe;
  world_->in(path(from), [&] { probe = tcp_probe(to, port, timeout_ms); });
  return probe;
}

Probe VpcHost::udp(const std::string& from, const std::string& to, int port, int timeout_ms) const {
  Probe probe;
  world_->in(path(from), [&] { probe = udp_probe(to, port, timeout_ms); });
  return probe;
}

bool VpcHost::ping(const std::string& from, const std::string& to) const {
  bool answered = false;
  world_->in(path(from), [&] { answered = ping_probe(to); });
  return answered;
}

Probe VpcHost::tcp_from(const Fd& from, const std::string& to, int port) const {
  Probe probe;
  world_->in(from, [&] { probe = tcp_probe(to, port); });
  return probe;
}

std::string VpcHost::vpc_shell(const std::string& command, const std::string& vpc) const {
  return world_->shell(*open_namespace(network_->instance().netns_path(vpc)), command);
}

::testing::AssertionResult passes(const Probe& probe) {
  if (probe.outcome == Outcome::answered) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "not answered but " << ::testing::PrintToString(probe.outcome);
}

::testing::AssertionResult refused(const Probe& probe) {
  if (probe.outcome == Outcome::answered) return ::testing::AssertionFailure() << "answered with " << probe.answer;
  if (probe.outcome == Outcome::silent) return ::testing::AssertionFailure() << "not answered, and not told why";
  return ::testing::AssertionSuccess();
}

}  // namespace berth::network
