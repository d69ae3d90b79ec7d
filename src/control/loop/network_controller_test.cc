#include "control/loop/network_controller.h"

#include <gmock/gmock.h>

#include "control/loop/loop.h"
#include "records/network.h"
#include "records/read.h"
#include "state/memory_store.h"

namespace berth::control {
namespace {

namespace keys = records::keys;
namespace kinds = records::ec2_kinds;
using dataplane::RouteTarget;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;

const records::Scope kScope{"123456789012", "eu-central-1"};
constexpr TimeMs kNow = 1'700'000'000'000;

// A VPC with a public and a private subnet, as Terraform would make it, and what the controller says of it.
class NetworkControllerTest : public testing::Test {
 protected:
  NetworkControllerTest() {
    records::Vpc vpc;
    vpc.id = "vpc-1", vpc.cidr = "10.0.0.0/16", vpc.main_route_table_id = "rtb-main";
    vpc.default_security_group_id = "sg-default", vpc.default_network_acl_id = "acl-default";
    keep(kinds::kVpc, vpc.id, vpc);
    for (const auto& [id, cidr] :
         {std::pair("subnet-public", "10.0.0.0/24"), std::pair("subnet-private", "10.0.1.0/24")}) {
      records::Subnet subnet;
      subnet.id = id, subnet.vpc_id = "vpc-1", subnet.cidr = cidr;
      keep(kinds::kSubnet, id, subnet);
    }
    records::InternetGateway gateway{"igw-1", "vpc-1"};
    keep(kinds::kInternetGateway, "igw-1", gateway);
    records::RouteTable main{"rtb-main", "vpc-1", {{"10.0.0.0/16", "", "local"}}, {{"rtbassoc-1", "", true}}};
    keep(kinds::kRouteTable, main.id, main);
    records::RouteTable out = main;
    out.id = "rtb-public", out.routes.push_back({"0.0.0.0/0", "", "igw-1"});
    out.associations = {{"rtbassoc-2", "subnet-public", false}};
    keep(kinds::kRouteTable, out.id, out);
    records::SecurityGroup group{"sg-web", "vpc-1", "web", ""};
    keep(kinds::kSecurityGroup, group.id, group);
    keep_rule("sgr-1", 443, "0.0.0.0/0");
    loop_->run(kNow);
  }

  template <class T>
  void keep(std::string_view kind, const std::string& id, const T& record) {
    state::Transaction transaction;
    records::put(transaction, keys::ec2(kind, kScope, id), record);
    ASSERT_TRUE(store_.apply(std::move(transaction)));
  }
  void erase(std::string_view kind, const std::string& id) {
    state::Transaction transaction;
    transaction.erase(keys::ec2(kind, kScope, id));
    ASSERT_TRUE(store_.apply(std::move(transaction)));
  }
  void keep_rule(const std::string& id, int port, const std::string& cidr) {
    records::SecurityGroupRule rule;
    rule.id = id, rule.group_id = "sg-web", rule.protocol = 6, rule.from_port = port, rule.to_port = port;
    rule.cidr_ipv4 = cidr;
    keep(kinds::kSecurityGroupRule, "sg-web/" + id, rule);
  }
  records::Interface interface(const std::string& id, const std::string& address, const std::string& task = "t1") {
    records::Interface out;
    out.id = id, out.vpc_id = "vpc-1", out.subnet_id = "subnet-public", out.address = address, out.groups = {"sg-web"};
    if (!task.empty()) out.owner = "task:123456789012/eu-central-1/default/" + task;
    return out;
  }
  // What was handed on since the last call.
  std::vector<dataplane::NetworkChange> changes() {
    store_.settle();
    loop_->run(kNow);
    return std::exchange(changes_, {});
  }

  state::MemoryStore store_;
  records::NetworkIndex index_{store_};
  std::vector<dataplane::NetworkChange> changes_;
  std::unique_ptr<Loop> loop_ = [this] {
    std::vector<std::unique_ptr<Controller>> controllers;
    controllers.push_back(std::make_unique<NetworkController>(
        store_, index_, [this](dataplane::NetworkChange change) { changes_.push_back(std::move(change)); }));
    return std::make_unique<Loop>(store_, Settings{}, std::move(controllers));
  }();
};

TEST_F(NetworkControllerTest, AVpcIsHandedOnWithItsFirstTask) {
  EXPECT_THAT(changes(), IsEmpty());
  keep(kinds::kInterface, "eni-0", interface("eni-0", "10.0.0.9", ""));
  EXPECT_THAT(changes(), IsEmpty()) << "nothing runs there";
  keep(kinds::kInterface, "eni-1", interface("eni-1", "10.0.0.4"));
  const auto seen = changes();
  ASSERT_THAT(seen, SizeIs(1));
  EXPECT_TRUE(seen[0].whole);
  EXPECT_THAT(seen[0].interfaces, SizeIs(2));
  EXPECT_EQ(seen[0].interfaces.at("eni-1")->task, "t1");
  const dataplane::VpcNet& vpc = *seen[0].structure;
  EXPECT_EQ(vpc.subnets.at("subnet-public").route_table, "rtb-public");
  EXPECT_EQ(vpc.subnets.at("subnet-private").route_table, "rtb-main");
  EXPECT_EQ(vpc.subnets.at("subnet-private").acl, "acl-default");
  ASSERT_THAT(vpc.route_tables.at("rtb-public").routes, SizeIs(2));
  EXPECT_EQ(vpc.route_tables.at("rtb-public").routes[0].target, RouteTarget::local);
  EXPECT_EQ(vpc.route_tables.at("rtb-public").routes[1].target, RouteTarget::internet);
  EXPECT_EQ(vpc.groups.at("sg-web").ingress[0].match, (dataplane::Match{6, 443, 443}));
}

TEST_F(NetworkControllerTest, AChangeIsHandedOnAloneAndOnce) {
  keep(kinds::kInterface, "eni-1", interface("eni-1", "10.0.0.4"));
  changes();
  keep_rule("sgr-2", 80, "10.0.0.0/8");
  keep_rule("sgr-3", 81, "10.0.0.0/8");
  auto seen = changes();
  ASSERT_THAT(seen, SizeIs(1)) << "two rules that came together are one change";
  EXPECT_THAT(seen[0].structure->groups.at("sg-web").ingress, SizeIs(3));
  EXPECT_THAT(seen[0].interfaces, IsEmpty());
  keep(kinds::kInterface, "eni-2", interface("eni-2", "10.0.0.5", "t2"));
  seen = changes();
  ASSERT_THAT(seen, SizeIs(1));
  EXPECT_FALSE(seen[0].structure);
  EXPECT_THAT(seen[0].interfaces, ElementsAre(Pair("eni-2", testing::Ne(std::nullopt))));
  erase(kinds::kInterface, "eni-2");
  seen = changes();
  ASSERT_THAT(seen, SizeIs(1));
  EXPECT_THAT(seen[0].interfaces, ElementsAre(Pair("eni-2", testing::Eq(std::nullopt))));
}

TEST_F(NetworkControllerTest, ADetachedGatewayLeavesABlackHole) {
  keep(kinds::kInterface, "eni-1", interface("eni-1", "10.0.0.4"));
  changes();
  keep(kinds::kInternetGateway, "igw-1", records::InternetGateway{"igw-1", ""});
  const auto seen = changes();
  ASSERT_THAT(seen, SizeIs(1));
  EXPECT_EQ(seen[0].structure->route_tables.at("rtb-public").routes[1].target, RouteTarget::blackhole);
}

TEST_F(NetworkControllerTest, AnElasticIpGoesBeforeTheAssignedAddress) {
  auto own = interface("eni-1", "10.0.0.4");
  own.public_address = "198.18.0.1";
  keep(kinds::kInterface, "eni-1", own);
  EXPECT_EQ(changes().at(0).interfaces.at("eni-1")->public_address, parse_ipv4("198.18.0.1"));
  records::Address elastic{"eipalloc-1", "198.18.0.7", "eipassoc-1", "eni-1", "10.0.0.4"};
  keep(kinds::kAddress, elastic.allocation_id, elastic);
  EXPECT_EQ(changes().at(0).interfaces.at("eni-1")->public_address, parse_ipv4("198.18.0.7"));
  elastic.association_id = elastic.interface_id = elastic.private_address = "";
  keep(kinds::kAddress, elastic.allocation_id, elastic);
  EXPECT_EQ(changes().at(0).interfaces.at("eni-1")->public_address, parse_ipv4("198.18.0.1"));
}

TEST_F(NetworkControllerTest, AVpcThatIsDeletedIsHandedOnAsGone) {
  keep(kinds::kInterface, "eni-1", interface("eni-1", "10.0.0.4"));
  changes();
  erase(kinds::kInterface, "eni-1");
  erase(kinds::kVpc, "vpc-1");
  const auto seen = changes();
  ASSERT_THAT(seen, SizeIs(testing::Ge(1u)));
  EXPECT_TRUE(std::any_of(seen.begin(), seen.end(), [](const auto& change) { return change.removed; }));
}

}  // namespace
}  // namespace berth::control
