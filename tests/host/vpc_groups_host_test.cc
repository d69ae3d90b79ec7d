// Security groups and network ACLs in packets between tasks; vpc_world.h says what the usual VPC is.
#include <arpa/inet.h>
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include "agent/network/namespaces.h"
#include "vpc_world.h"

namespace berth::network {
namespace {

using dataplane::VpcNet;

class VpcGroups : public VpcHost {};

// A connection that stays, both of whose ends are ours.
class Conversation {
 public:
  Conversation(const World& world, const std::string& from, const std::string& at, const char* address, int port,
               int kind) {
    sockaddr_in there{};
    there.sin_family = AF_INET;
    there.sin_port = htons(static_cast<uint16_t>(port));
    inet_pton(AF_INET, address, &there.sin_addr);
    Fd listener;
    world.in(at, [&] { listener = Fd(::socket(AF_INET, kind | SOCK_CLOEXEC, 0)); });
    sockaddr_in any = there;
    any.sin_addr.s_addr = INADDR_ANY;
    EXPECT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any), 0);
    if (kind == SOCK_STREAM) EXPECT_EQ(::listen(listener.get(), 1), 0);
    world.in(from, [&] { near_ = Fd(::socket(AF_INET, kind | SOCK_CLOEXEC, 0)); });
    const timeval patience{1, 0};
    ::setsockopt(near_.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    EXPECT_EQ(::connect(near_.get(), reinterpret_cast<const sockaddr*>(&there), sizeof there), 0);
    far_ = kind == SOCK_STREAM ? Fd(::accept(listener.get(), nullptr, nullptr)) : std::move(listener);
  }
  // Whether what is sent arrives.
  bool goes_on() const {
    (void)::send(near_.get(), "x", 1, MSG_NOSIGNAL);
    pollfd wait{far_.get(), POLLIN, 0};
    char letter;
    return ::poll(&wait, 1, 300) > 0 && ::recv(far_.get(), &letter, 1, 0) == 1;
  }

 private:
  Fd near_, far_;
};

TEST_F(VpcGroups, TrackedFlowsOutliveTheirRuleAndOthersEndWithIt) {
  open();
  VpcNet vpc = usual_vpc();
  const auto open_all = rule(-1, -1, -1, "0.0.0.0/0");
  vpc.groups["sg-open"] = {{rule(6, 90, 91, "0.0.0.0/0"), rule(17, 90, 91, "0.0.0.0/0")}, {open_all}};
  vpc.groups["sg-near"] = {{rule(6, 92, 92, "10.0.1.0/24"), rule(17, 92, 92, "10.0.1.0/24")}, {open_all}};
  vpc.groups["sg-half"] = {{rule(6, 93, 93, "0.0.0.0/0")}, {rule(6, 1024, 65535, "10.0.0.0/16")}};
  tell(vpc);
  task("one", "subnet-a", "10.0.1.4", {"sg-none"});
  task("open", "subnet-b", "10.0.2.4", {"sg-open", "sg-near"});
  task("half", "subnet-b", "10.0.2.5", {"sg-half"});
  const Conversation untracked(*world_, path("one"), path("open"), "10.0.2.4", 90, SOCK_STREAM);
  const Conversation untracked_udp(*world_, path("one"), path("open"), "10.0.2.4", 90, SOCK_DGRAM);
  const Conversation twice(*world_, path("one"), path("open"), "10.0.2.4", 91, SOCK_STREAM);
  const Conversation tracked(*world_, path("one"), path("open"), "10.0.2.4", 92, SOCK_STREAM);
  const Conversation half(*world_, path("one"), path("half"), "10.0.2.5", 93, SOCK_STREAM);
  for (const Conversation* one : {&untracked, &untracked_udp, &twice, &tracked, &half}) EXPECT_TRUE(one->goes_on());
  // All rules go; one connection of the open ones is permitted by another.
  vpc.groups["sg-open"].ingress = {};
  vpc.groups["sg-near"].ingress = {rule(6, 91, 91, "10.0.1.4/32")};
  vpc.groups["sg-half"].ingress = {};
  tell(vpc);
  EXPECT_FALSE(untracked.goes_on());
  EXPECT_FALSE(untracked_udp.goes_on());
  EXPECT_TRUE(twice.goes_on()) << "another rule permits it";
  EXPECT_TRUE(tracked.goes_on()) << "its rule was for a network";
  EXPECT_TRUE(half.goes_on()) << "not everything was let out the other way";
  for (const auto& [address, port] : {std::pair{"10.0.2.4", 90}, {"10.0.2.4", 92}, {"10.0.2.5", 93}}) {
    EXPECT_TRUE(refused(tcp("one", address, port))) << "nothing new passes";
  }
  // Leaving a group ends as much as its rules do.
  vpc.groups["sg-open"].ingress = {rule(6, 94, 94, "0.0.0.0/0")};
  tell(vpc);
  const Conversation member(*world_, path("one"), path("open"), "10.0.2.4", 94, SOCK_STREAM);
  EXPECT_TRUE(member.goes_on());
  change("open", interface("open", "subnet-b", "10.0.2.4", {"sg-near"}));
  EXPECT_FALSE(member.goes_on());
}

TEST_F(VpcGroups, BothTheSendersAndTheReceiversGroupsMustPermit) {
  open();
  VpcNet vpc = usual_vpc();
  vpc.groups["sg-out"] = {{}, {rule(6, 80, 80, "10.0.1.0/24"), rule(17, 80, 80, "10.0.0.0/16")}};
  vpc.groups["sg-all"] = {{rule(-1, -1, -1, "0.0.0.0/0")}, {}};
  vpc.groups["sg-udp"] = {{rule(17, 81, 90, "10.0.1.0/24")}, {}};
  vpc.groups["sg-ping"] = {{rule(1, 8, -1, "10.0.0.0/16")}, {}};
  tell(vpc);
  task("free", "subnet-a", "10.0.1.4", {"sg-none"});
  task("tight", "subnet-a", "10.0.1.5", {"sg-out"});
  task("shut", "subnet-a", "10.0.1.6", {"sg-shut"});
  task("web", "subnet-a", "10.0.1.7", {"sg-web"});
  task("all", "subnet-b", "10.0.2.7", {"sg-all"});
  task("udp", "subnet-b", "10.0.2.8", {"sg-udp"});
  task("ping", "subnet-b", "10.0.2.9", {"sg-ping"});
  task("both", "subnet-b", "10.0.2.10", {"sg-udp", "sg-ping"});

  EXPECT_TRUE(passes(tcp("free", "10.0.1.7", 80)));
  EXPECT_EQ(tcp("free", "10.0.1.7", 80).answer, "10.0.1.4");
  EXPECT_TRUE(refused(tcp("free", "10.0.1.7", 81)));
  EXPECT_TRUE(refused(udp("free", "10.0.1.7", 80)));
  EXPECT_FALSE(ping("free", "10.0.1.7"));
  EXPECT_TRUE(passes(tcp("tight", "10.0.1.7", 80)));
  EXPECT_TRUE(refused(tcp("tight", "10.0.2.7", 80))) << "out only to subnet-a";
  EXPECT_TRUE(passes(udp("tight", "10.0.2.7", 80)));
  EXPECT_TRUE(refused(udp("tight", "10.0.2.7", 81)));
  EXPECT_TRUE(refused(tcp("shut", "10.0.1.7", 80))) << "what is let in there is not let out here";
  for (int port : {80, 81}) {
    EXPECT_TRUE(passes(tcp("free", "10.0.2.7", port)));
    EXPECT_TRUE(passes(udp("free", "10.0.2.7", port)));
  }
  EXPECT_TRUE(ping("free", "10.0.2.7"));
  EXPECT_TRUE(refused(udp("free", "10.0.2.8", 80)));
  EXPECT_TRUE(passes(udp("free", "10.0.2.8", 81)));
  EXPECT_TRUE(refused(tcp("free", "10.0.2.8", 81)));
  EXPECT_TRUE(ping("free", "10.0.2.9"));
  EXPECT_FALSE(ping("free", "10.0.2.8"));
  EXPECT_TRUE(ping("free", "10.0.2.10")) << "the union of its groups";
  EXPECT_TRUE(passes(udp("free", "10.0.2.10", 81)));
  EXPECT_TRUE(passes(tcp_from(world_->host(), "10.0.1.6", 81)))
      << "the host reaches private addresses whatever groups say";
}

TEST_F(VpcGroups, AReferenceMeansItsMembersOfTheMoment) {
  open();
  VpcNet vpc = usual_vpc();
  vpc.groups["sg-db"] = {{rule(6, 80, 80, "sg-web"), rule(17, 80, 80, "sg-db")}, {rule(-1, -1, -1, "sg-db")}};
  tell(vpc);
  task("web", "subnet-a", "10.0.1.4", {"sg-web"});
  task("other", "subnet-a", "10.0.1.5", {"sg-none"});
  task("db1", "subnet-b", "10.0.2.4", {"sg-db"});
  task("db2", "subnet-b", "10.0.2.5", {"sg-db"});
  EXPECT_TRUE(passes(tcp("web", "10.0.2.4")));
  EXPECT_TRUE(refused(tcp("other", "10.0.2.4")));
  EXPECT_TRUE(passes(udp("db1", "10.0.2.5"))) << "the group names itself";
  EXPECT_TRUE(refused(tcp("db1", "10.0.2.5"))) << "but not for TCP";
  EXPECT_TRUE(refused(udp("db1", "10.0.1.4"))) << "out to members only";
  // Members change: at once, on tasks that run.
  change("other", interface("other", "subnet-a", "10.0.1.5", {"sg-none", "sg-web"}));
  EXPECT_TRUE(passes(tcp("other", "10.0.2.4")));
  change("other", interface("other", "subnet-a", "10.0.1.5", {"sg-none"}));
  EXPECT_TRUE(refused(tcp("other", "10.0.2.4")));
  // A secondary address is its interface's.
  auto more = interface("other", "subnet-a", "10.0.1.5", {"sg-web"});
  more.secondary = {*parse_ipv4("10.0.1.77")};
  change("other", more);
  EXPECT_NE(vpc_shell("nft list set ip berth sg_web").find("10.0.1.77"), std::string::npos);
}

TEST_F(VpcGroups, ARuleReachesRunningTasksWhenItChanges) {
  open();
  VpcNet vpc = usual_vpc();
  tell(vpc);
  task("one", "subnet-a", "10.0.1.4", {"sg-none"});
  task("two", "subnet-b", "10.0.2.4", {"sg-web"});
  EXPECT_TRUE(refused(tcp("one", "10.0.2.4", 81)));
  vpc.groups["sg-web"].ingress.push_back(rule(6, 81, 81, "10.0.1.0/24"));
  tell(vpc);
  EXPECT_TRUE(passes(tcp("one", "10.0.2.4", 81)));
  vpc.groups["sg-none"].egress = {rule(6, 81, 81, "0.0.0.0/0")};
  tell(vpc);
  EXPECT_TRUE(passes(tcp("one", "10.0.2.4", 81)));
  EXPECT_TRUE(refused(tcp("one", "10.0.2.4", 80)));
  // A new group and a member in one change; then neither.
  vpc.groups["sg-new"] = {{rule(17, 80, 80, "0.0.0.0/0")}, {}};
  vpc.groups["sg-none"].egress = {rule(-1, -1, -1, "0.0.0.0/0")};
  dataplane::NetworkChange change{kVpcId, vpc, {{"eni-two", interface("two", "subnet-b", "10.0.2.4", {"sg-new"})}}};
  ASSERT_OK(network_->apply(change));
  EXPECT_TRUE(passes(udp("one", "10.0.2.4", 80)));
  EXPECT_TRUE(refused(tcp("one", "10.0.2.4", 80)));
  vpc.groups.erase("sg-new");
  change = {kVpcId, vpc, {{"eni-two", interface("two", "subnet-b", "10.0.2.4", {"sg-web"})}}};
  ASSERT_OK(network_->apply(change));
  EXPECT_TRUE(passes(tcp("one", "10.0.2.4", 80)));
  EXPECT_EQ(vpc_shell("nft list ruleset | grep -c sg_new"), "0\n") << "nothing of a group that is gone";
}

TEST_F(VpcGroups, WhoeverLeavesIsNobodysMember) {
  open();
  VpcNet vpc = usual_vpc();
  vpc.groups["sg-db"] = {{rule(6, 80, 80, "sg-web")}, {}};
  tell(vpc);
  task("web", "subnet-a", "10.0.1.4", {"sg-web"}, "198.18.0.4");
  task("db", "subnet-b", "10.0.2.4", {"sg-db"});
  EXPECT_TRUE(passes(tcp("web", "10.0.2.4")));
  ASSERT_OK(network_->detach_task(task_id("web")));
  ASSERT_OK(network_->apply({kVpcId, {}, {{"eni-web", std::nullopt}}}));
  // The next one with its address, in another group, without a public address.
  task("next", "subnet-a", "10.0.1.4", {"sg-none"});
  EXPECT_TRUE(refused(tcp("next", "10.0.2.4")));
  EXPECT_EQ(vpc_shell("nft list set ip berth sg_web | grep -c elements"), "0\n");
  EXPECT_EQ(vpc_shell("nft list set ip berth public | grep -c elements"), "0\n");
  EXPECT_EQ(host_shell("ip route show 198.18.0.4"), "");
}

TEST_F(VpcGroups, AttachingThatFailsHalfWayLeavesNoMember) {
  open();
  VpcNet vpc = usual_vpc();
  vpc.groups["sg-db"] = {{rule(6, 80, 80, "sg-web")}, {}};
  tell(vpc);
  task("db", "subnet-b", "10.0.2.4", {"sg-db"});
  change("web", interface("web", "subnet-a", "10.0.1.4", {"sg-web"}));
  // What the link's name needs is taken by something that is no link of ours to take away.
  EXPECT_FALSE(network_->attach(kVpcId, "eni-web", task_id("another"))) << "not that task's interface";
  EXPECT_FALSE(network_->attach(kVpcId, "eni-none", task_id("web")));
  EXPECT_FALSE(network_->attach("vpc-none", "eni-web", task_id("web")));
  ASSERT_OK(network_->apply({kVpcId, {}, {{"eni-web", std::nullopt}}}));
  task("next", "subnet-a", "10.0.1.4", {"sg-none"});
  EXPECT_TRUE(refused(tcp("next", "10.0.2.4")));
}

TEST_F(VpcGroups, ASubnetMoreOrLessLeavesTasksAlone) {
  open();
  VpcNet vpc = usual_vpc();
  tell(vpc);
  task("one", "subnet-a", "10.0.1.4", {"sg-web"});
  vpc.subnets["subnet-c"] = {*parse_network("10.0.3.0/24"), "rtb-1", "acl-1"};
  tell(vpc);
  task("two", "subnet-c", "10.0.3.4", {"sg-web"});
  EXPECT_TRUE(passes(tcp("one", "10.0.3.4")));
  ASSERT_OK(network_->detach_task(task_id("one")));
  EXPECT_TRUE(refused(tcp("two", "10.0.1.4")));
  EXPECT_EQ(vpc_shell("ip route show 10.0.1.4"), "") << "the task is still known after the change";
  vpc.subnets.erase("subnet-a");
  EXPECT_FALSE(network_->apply({kVpcId, vpc, {}})) << "an interface lies in it";
  ASSERT_OK(network_->apply({kVpcId, vpc, {{"eni-one", std::nullopt}}}));
}

TEST_F(VpcGroups, AclsAreOrderedAndStatelessAtTheBorderOfASubnet) {
  open();
  VpcNet vpc = usual_vpc();
  vpc.groups["sg-all"] = {{rule(-1, -1, -1, "0.0.0.0/0")}, {rule(-1, -1, -1, "0.0.0.0/0")}};
  vpc.acls["acl-b"] = {{acl_rule(90, false, 6, 81, 81, "10.0.1.5/32"), acl_rule(100, true, 6, 80, 81, "10.0.0.0/16"),
                        acl_rule(110, false, 6, 80, 80, "0.0.0.0/0"), acl_rule(120, true, 17, 80, 80, "10.0.1.4/32")},
                       {acl_rule(100, true, 6, 1024, 65535, "10.0.0.0/16")}};
  vpc.subnets["subnet-b"].acl = "acl-b";
  tell(vpc);
  task("one", "subnet-a", "10.0.1.4", {"sg-all"});
  task("two", "subnet-a", "10.0.1.5", {"sg-all"});
  task("db", "subnet-b", "10.0.2.4", {"sg-all"});
  task("db2", "subnet-b", "10.0.2.5", {"sg-all"});
  EXPECT_TRUE(passes(tcp("one", "10.0.2.4", 80))) << "the first that matches decides";
  EXPECT_TRUE(passes(tcp("one", "10.0.2.4", 81)));
  EXPECT_TRUE(refused(tcp("two", "10.0.2.4", 81)));
  EXPECT_NE(udp("one", "10.0.2.4", 80, 300).outcome, Outcome::answered)
      << "let in, but the answer has no rule: stateless";
  EXPECT_FALSE(ping("one", "10.0.2.4")) << "the final deny";
  EXPECT_TRUE(passes(udp("db", "10.0.2.5", 80))) << "within the subnet nothing is looked at";
  EXPECT_TRUE(refused(tcp("db", "10.0.1.4", 80))) << "port 80 is not let out";
  vpc.acls["acl-b"].egress.push_back(acl_rule(200, true, 17, -1, -1, "0.0.0.0/0"));
  tell(vpc);
  EXPECT_TRUE(passes(udp("one", "10.0.2.4", 80)));
  vpc.subnets["subnet-b"].acl = "acl-1";
  tell(vpc);
  EXPECT_TRUE(ping("one", "10.0.2.4"));
}

TEST_F(VpcGroups, RefusalsAreSilentWhereTheyAreToBe) {
  auto options = world_->options("state");
  options.answer_refused = false;
  open(options);
  tell(usual_vpc());
  task("one", "subnet-a", "10.0.1.4", {"sg-none"});
  task("two", "subnet-b", "10.0.2.4", {"sg-web"});
  EXPECT_TRUE(passes(tcp("one", "10.0.2.4", 80)));
  EXPECT_EQ(tcp("one", "10.0.2.4", 81, 300).outcome, Outcome::silent);
}

TEST_F(VpcGroups, ARestartTakesOverWithoutBreakingConnections) {
  open();
  VpcNet vpc = usual_vpc();
  tell(vpc);
  task("one", "subnet-a", "10.0.1.4", {"sg-none"});
  task("two", "subnet-b", "10.0.2.4", {"sg-web"}, "198.18.0.4");
  task("gone", "subnet-b", "10.0.2.5", {"sg-web"}, "198.18.0.5");
  echoes_.erase("gone");
  open();
  EXPECT_TRUE(passes(tcp("one", "10.0.2.4", 80))) << "before anything is told";
  EXPECT_FALSE(network_->apply({kVpcId, {}, {{"eni-two", std::nullopt}}})) << "first the whole";
  vpc.interfaces["eni-one"] = interface("one", "subnet-a", "10.0.1.4", {"sg-none"});
  vpc.interfaces["eni-two"] = interface("two", "subnet-b", "10.0.2.4", {"sg-web"}, "198.18.0.4");
  tell(vpc);
  EXPECT_TRUE(passes(tcp("one", "10.0.2.4", 80))) << "before it is attached again";
  ASSERT_OK(network_->attach(kVpcId, "eni-one", task_id("one")));
  ASSERT_OK(network_->attach(kVpcId, "eni-two", task_id("two")));
  EXPECT_TRUE(passes(tcp("one", "10.0.2.4", 80)));
  ASSERT_OK(network_->collect({task_id("one"), task_id("two")}));
  EXPECT_EQ(vpc_shell("nft list set ip berth sg_web | grep -c 10.0.2.5"), "0\n");
  EXPECT_EQ(host_shell("ip route show 198.18.0.5"), "") << "what an earlier run left";
  EXPECT_EQ(host_shell("nft list ruleset | grep -c 198.18.0.5"), "0\n");
  EXPECT_NE(host_shell("ip route show 198.18.0.4"), "");
  // Somebody empties the table: the next change makes it anew.
  vpc_shell("nft flush ruleset");
  change("one", interface("one", "subnet-a", "10.0.1.4", {"sg-web"}));
  EXPECT_TRUE(passes(tcp("one", "10.0.2.4", 80)));
  EXPECT_TRUE(refused(tcp("one", "10.0.2.4", 81)));
  // What is told as the whole has nothing beside it.
  dataplane::NetworkChange whole{kVpcId, {}, {{"eni-two", vpc.interfaces["eni-two"]}}};
  whole.whole = true;
  ASSERT_OK(network_->apply(whole));
  EXPECT_TRUE(refused(tcp("one", "10.0.2.4", 80))) << "its interface is gone";
  ASSERT_OK(network_->remove_all());
  EXPECT_EQ(host_shell("ip -o link | grep 'be......v'; ip route show proto 190; nft list tables"), "");
}

}  // namespace
}  // namespace berth::network
