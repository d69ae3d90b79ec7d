// Random networks, told one after the other to a Network whose tasks stay, and probed with packets: what passes must be what
// the judge (dataplane/judge.h) says. BERTH_RANDOM_NETWORKS=N: so many of them; BERTH_SEED=N: the first one's seed.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/random.h"
#include "dataplane/judge.h"
#include "vpc_world.h"

namespace berth::network {
namespace {

using namespace dataplane;

constexpr const char* kOtherVpc = "vpc-2";
constexpr const char* kOutside = "203.0.113.1";
const char* const kNetworks[] = {"0.0.0.0/0",   "10.0.0.0/16",   "10.0.1.0/24",
                                 "10.0.2.4/32", "198.18.0.0/16", "203.0.113.1/32"};
const char* const kGroups[] = {"sg-1", "sg-2", "sg-3"};
const char* const kSubnets[] = {"subnet-a", "subnet-b", "subnet-c"};

uint64_t number_from_environment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

class RandomNetwork {
 public:
  explicit RandomNetwork(uint64_t seed) : random_(seed) {}

  VpcNet structure() {
    VpcNet vpc;
    vpc.cidrs = {*parse_network("10.0.0.0/16")};
    for (const char* group : kGroups) vpc.groups[group] = {group_rules("in"), group_rules("out")};
    for (const char* acl : {"acl-1", "acl-2"}) {
      vpc.acls[acl] = {acl_rules(), acl_rules()};
    }
    for (const char* table : {"rtb-1", "rtb-2"}) vpc.route_tables[table].routes = routes();
    uint32_t number = 1;
    for (const char* subnet : kSubnets) {
      const Ipv4Network cidr{{vpc.cidrs[0].base.value + (number++ << 8)}, 24};
      vpc.subnets[subnet] = {cidr, random_.chance(60) ? "rtb-1" : "rtb-2", random_.chance(70) ? "acl-1" : "acl-2"};
    }
    vpc.nats["nat-1"] = {kSubnets[random_.below(3)], {vpc.cidrs[0].base.value + 0x1f0}, {}};
    if (random_.chance(80)) vpc.nats["nat-1"].public_address = parse_ipv4("198.18.0.99");
    return vpc;
  }

  std::vector<std::string> groups() {
    std::vector<std::string> groups;
    for (const char* group : kGroups) {
      if (random_.chance(50)) groups.push_back(group);
    }
    return groups;
  }

  Random& random() { return random_; }

 private:
  Match match() {
    const int protocols[] = {-1, 6, 17, 1};
    Match match{protocols[random_.below(4)], -1, -1};
    if (match.protocol == 1 && random_.chance(50)) match.from = random_.chance(70) ? 8 : 0;
    if (match.protocol == 6 || match.protocol == 17) {
      match.from = random_.chance(50) ? 80 : 0;
      match.to = random_.chance(50) ? 80 : 65535;
    }
    return match;
  }
  std::vector<GroupRule> group_rules(const std::string& name) {
    std::vector<GroupRule> rules;
    const uint64_t count = random_.below(4);
    // Else hardly anything passes all that must permit it.
    if (random_.chance(name == "out" ? 60 : 25)) rules.push_back({"sgr-" + name + "-all", {}, {kAnywhere}, {}});
    for (uint64_t i = 0; i < count; ++i) {
      GroupRule rule{fmt::format("sgr-{}-{}", name, i), match(), {}, {}};
      if (random_.chance(30)) {
        rule.group = kGroups[random_.below(3)];
      } else {
        const uint64_t networks = 1 + random_.below(2);
        for (uint64_t n = 0; n < networks; ++n)
          rule.networks.push_back(*parse_network(kNetworks[random_.chance(40) ? 0 : random_.below(6)]));
      }
      rules.push_back(std::move(rule));
    }
    return rules;
  }
  std::vector<AclRule> acl_rules() {
    std::vector<AclRule> rules;
    if (random_.chance(30)) {
      const uint64_t count = random_.below(3);
      for (uint64_t i = 0; i < count; ++i) {
        rules.push_back(
            {static_cast<int>(10 * i + 10), random_.chance(50), match(), *parse_network(kNetworks[random_.below(6)])});
      }
    }
    if (random_.chance(95)) rules.push_back({100, true, {}, kAnywhere});
    return rules;
  }
  std::vector<RouteNet> routes() {
    std::vector<RouteNet> routes;
    if (random_.chance(20)) routes.push_back({*parse_network("203.0.113.0/24"), RouteTarget::blackhole, ""});
    if (random_.chance(20)) routes.push_back({*parse_network("198.18.0.0/16"), RouteTarget::internet, "igw-1"});
    if (random_.chance(30)) {
      routes.push_back({kAnywhere, RouteTarget::nat, "nat-1"});
    } else if (random_.chance(80)) {
      routes.push_back({kAnywhere, RouteTarget::internet, "igw-1"});
    }
    return routes;
  }

  Prng random_;
};

struct Task {
  const char* name;
  const char* subnet;
  const char* address;
  const char* public_address;
  const char* vpc = kVpcId;
};
constexpr Task kTasks[] = {
    {"one", "subnet-a", "10.0.1.4", "198.18.0.1"},   {"two", "subnet-a", "10.0.1.5", "198.18.0.2"},
    {"three", "subnet-b", "10.0.2.4", "198.18.0.3"}, {"four", "subnet-b", "10.0.2.5", "198.18.0.4"},
    {"five", "subnet-c", "10.0.3.4", "198.18.0.5"},  {"far", "subnet-a", "10.0.1.4", "198.18.0.6", kOtherVpc}};

class VpcRandom : public VpcHost {
 protected:
  void next_network(uint64_t seed, bool first) {
    RandomNetwork random(seed);
    for (const char* id : {kVpcId, kOtherVpc}) {
      VpcNet& vpc = network_value_.vpcs[id];
      vpc = random.structure();
      if (id == std::string(kOtherVpc)) vpc.nats.clear();
      NetworkChange change{id, vpc, {}};
      for (const Task& one : kTasks) {
        if (one.vpc != std::string(id)) continue;
        const std::string shown = random.random().chance(60) ? one.public_address : "";
        vpc.interfaces[std::string("eni-") + one.name] =
            interface(one.name, one.subnet, one.address, random.groups(), shown);
      }
      for (const auto& [eni, value] : vpc.interfaces) change.interfaces[eni] = value;
      ASSERT_OK(network_->apply(change));
    }
    if (!first) return;
    for (const Task& one : kTasks) {
      auto net = network_->attach(one.vpc, std::string("eni-") + one.name, task_id(one.name));
      ASSERT_OK(net);
      for (int port : {80, 81}) echoes_[one.name].push_back(std::make_unique<Echo>(*world_, net->netns_path, port));
    }
  }

  Question question(Random& random) {
    const int protocols[] = {6, 17, 1};
    Question question{protocols[random.below(3)], 80 + static_cast<int>(random.below(2)), source_port_++};
    if (question.protocol == 1) question.port = 8;
    if (source_port_ > 60000) source_port_ = 20000;
    return question;
  }

  bool shown(const Task& task) {
    return network_value_.vpcs[task.vpc].interfaces.at(std::string("eni-") + task.name).public_address.has_value();
  }

  bool answered(const std::function<Probe()>& ask, const std::string& from) {
    Probe probe;
    if (from.empty()) {
      world_->in(world_->internet(), [&] { probe = ask(); });
    } else {
      world_->in(path(from), [&] { probe = ask(); });
    }
    return probe.outcome == Outcome::answered;
  }

  void compare(const Verdict& verdict, const Question& question, const std::string& from, const std::string& to) {
    const bool passed = answered([&] { return probe_from_port(question, to); }, from);
    std::string why;
    for (const Step& step : verdict.steps) why += fmt::format("\n  {} {}", step.passes ? "+" : "-", step.what);
    EXPECT_EQ(passed, verdict.passes()) << from << " → " << to << " protocol " << question.protocol << " port "
                                        << question.port << " from " << question.source_port << why;
    ++(passed ? passed_ : refused_);
  }

  static Probe probe_from_port(const Question& question, const std::string& to) {
    if (question.protocol == 1) return {ping_probe(to) ? Outcome::answered : Outcome::silent, 0, {}};
    return question.protocol == 6 ? tcp_probe(to, question.port, 250, question.source_port)
                                  : udp_probe(to, question.port, 250, question.source_port);
  }

  HostNetwork network_value_;
  int source_port_ = 20000;
  int passed_ = 0, refused_ = 0;
};

TEST_F(VpcRandom, PacketsPassWhereTheJudgeSaysSo) {
  auto options = world_->options("state");
  options.public_block = parse_network("198.18.0.0/16");
  options.announced = true;
  open(options);
  world_->shell(world_->internet(), "ip route add 198.18.0.0/16 via 198.51.100.2");
  std::vector<std::unique_ptr<Echo>> outside;
  for (int port : {80, 81}) outside.push_back(std::make_unique<Echo>(*world_, world_->internet(), port, kOutside));
  const uint64_t networks = number_from_environment("BERTH_RANDOM_NETWORKS", 8);
  const uint64_t seed = number_from_environment("BERTH_SEED", 1);
  constexpr int kProbes = 40;
  for (uint64_t n = 0; n < networks && !HasFailure(); ++n) {
    SCOPED_TRACE(fmt::format("BERTH_SEED={} BERTH_RANDOM_NETWORKS=1", seed + n));
    next_network(seed + n, n == 0);
    if (HasFatalFailure()) return;
    Prng random(seed + n + 1'000'000);
    for (int i = 0; i < kProbes; ++i) {
      const Question asked = question(random);
      const Task& to = kTasks[random.below(std::size(kTasks))];
      if (random.chance(15)) {
        compare(judge_from_outside(network_value_, *parse_ipv4("198.51.100.1"), *parse_ipv4(to.public_address), asked),
                asked, "", to.public_address);
        continue;
      }
      const Task& from = kTasks[random.below(std::size(kTasks))];
      if (&from == &to) continue;
      const std::string target = random.chance(20) ? kOutside : random.chance(30) ? to.public_address : to.address;
      if (target == from.address) continue;                     // the other VPC has its addresses, too
      if (target == to.public_address && !shown(to)) continue;  // nobody's: the judge does not know the pool
      compare(judge(network_value_, from.vpc, std::string("eni-") + from.name, *parse_ipv4(target), asked), asked,
              from.name, target);
    }
  }
  fmt::print("{} probes passed, {} did not\n", passed_, refused_);
  EXPECT_GT(passed_, 0);
  EXPECT_GT(refused_, 0);
}

}  // namespace
}  // namespace berth::network
