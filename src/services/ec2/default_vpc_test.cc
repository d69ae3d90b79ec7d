#include "services/ec2/default_vpc.h"

#include <gtest/gtest.h>

#include "records/read.h"
#include "state/memory_store.h"

namespace berth::services::ec2 {
namespace {

namespace kinds = records::ec2_kinds;
const records::Scope kHere{"000000000000", "eu-central-1"}, kThere{"000000000000", "us-east-1"};

template <class R>
std::vector<R> all(const state::Store& store, std::string_view kind, const records::Scope& scope = kHere) {
  std::vector<R> out;
  for (const auto& [key, record] : records::range<R>(store, records::keys::ec2(kind, scope, ""))) out.push_back(*record);
  return out;
}

void ensure(state::MemoryStore& store, Random& random, const records::Scope& scope = kHere) {
  state::Transaction transaction;
  ensure_default_vpc(store, scope, kDefaultNetwork, random, transaction);
  ASSERT_TRUE(store.apply(std::move(transaction)));
}

TEST(DefaultBlock, GoesDownPastWhatIsTakenAndBeginsAgainWhereAllIs) {
  const state::MemoryStore store;
  EXPECT_EQ(default_block(store, {}).to_string(), "172.31.0.0/16");
  EXPECT_EQ(default_block(store, {"172.31.0.0/16", {"172.31.7.0/24", "172.30.0.0/16"}}).to_string(), "172.29.0.0/16");
  EXPECT_EQ(default_block(store, {"172.31.0.0/16", {"0.0.0.0/0"}}).to_string(), "172.31.0.0/16");
  EXPECT_EQ(default_block(store, {"172.31.0.0/16", {"172.16.0.0/12"}}).to_string(), "172.31.0.0/16");
}

TEST(DefaultVpc, HasEverythingThatAwsGivesIt) {
  state::MemoryStore store;
  Prng random(1);
  ensure(store, random);
  const auto vpcs = all<records::Vpc>(store, kinds::kVpc);
  ASSERT_EQ(vpcs.size(), 1u);
  const records::Vpc& vpc = vpcs[0];
  EXPECT_EQ(vpc.cidr, "172.31.0.0/16");
  EXPECT_FALSE(vpc.cidr_association_id.empty());
  const auto subnets = all<records::Subnet>(store, kinds::kSubnet);
  ASSERT_EQ(subnets.size(), 3u);
  const auto tables = all<records::RouteTable>(store, kinds::kRouteTable);
  ASSERT_EQ(tables.size(), 1u);
  EXPECT_EQ(tables[0].id, vpc.main_route_table_id);
  EXPECT_EQ(tables[0].routes, (std::vector<records::Route>{local_route("172.31.0.0/16"),
                                                           {"0.0.0.0/0", "", vpc.internet_gateway_id, "CreateRoute"}}));
  ASSERT_EQ(tables[0].associations.size(), 1u);
  EXPECT_TRUE(tables[0].associations[0].main);
  const auto acls = all<records::NetworkAcl>(store, kinds::kNetworkAcl);
  ASSERT_EQ(acls.size(), 1u);
  EXPECT_EQ(acls[0].id, vpc.default_network_acl_id);
  EXPECT_EQ(acls[0].entries.size(), 4u);
  EXPECT_EQ(acls[0].associations.size(), 3u);
  EXPECT_EQ(all<records::SecurityGroup>(store, kinds::kSecurityGroup)[0].id, vpc.default_security_group_id);
  EXPECT_EQ(all<records::SecurityGroupRule>(store, kinds::kSecurityGroupRule).size(), 2u);
  EXPECT_EQ(all<records::InternetGateway>(store, kinds::kInternetGateway)[0].vpc_id, vpc.id);
  EXPECT_EQ(all<records::DhcpOptions>(store, kinds::kDhcpOptions)[0].id, vpc.dhcp_options_id);
}

TEST(DefaultVpc, IsMadeOnceARegionAndNotAgainWhenDeleted) {
  state::MemoryStore store;
  Prng random(1);
  ensure(store, random);
  state::Transaction again;
  ensure_default_vpc(store, kHere, kDefaultNetwork, random, again);
  EXPECT_TRUE(again.empty());
  ensure(store, random, kThere);
  EXPECT_EQ(all<records::Vpc>(store, kinds::kVpc, kThere).at(0).cidr, "172.30.0.0/16");
  state::Transaction deletion;
  deletion.erase(records::keys::ec2(kinds::kVpc, kHere, default_vpc_id(store, kHere)));
  ASSERT_TRUE(store.apply(std::move(deletion)));
  ensure_default_vpc(store, kHere, kDefaultNetwork, random, again);
  EXPECT_TRUE(again.empty());
  EXPECT_EQ(default_vpc_id(store, kHere), "");
}

// As Berth a1348b1 wrote it: a VPC, three subnets and a group; the rest only as ids.
TEST(DefaultVpc, OfAnOlderBerthIsCompleted) {
  state::MemoryStore store;
  Prng random(1);
  state::Transaction old;
  old.put("ec2/vpc/000000000000/eu-central-1/vpc-1",
          R"({"id":"vpc-1","cidr":"172.31.0.0/16","default":true,"routeTable":"rtb-1","securityGroup":"sg-1",)"
          R"("dhcpOptions":"dopt-1","internetGateway":"igw-1"})");
  old.put("ec2/subnet/000000000000/eu-central-1/subnet-1",
          R"({"id":"subnet-1","vpc":"vpc-1","cidr":"172.31.0.0/20","zone":"eu-central-1a","default":true})");
  old.put("ec2/security-group/000000000000/eu-central-1/sg-1",
          R"({"id":"sg-1","vpc":"vpc-1","name":"default","description":"default VPC security group"})");
  ASSERT_TRUE(store.apply(std::move(old)));
  auto completions = complete_default_vpcs(store, random);
  ASSERT_EQ(completions.size(), 1u);
  ASSERT_TRUE(store.apply(std::move(completions[0])));
  EXPECT_TRUE(complete_default_vpcs(store, random).empty());
  const auto vpc = all<records::Vpc>(store, kinds::kVpc).at(0);
  EXPECT_EQ(vpc.main_route_table_id, "rtb-1");
  EXPECT_FALSE(vpc.default_network_acl_id.empty());
  EXPECT_EQ(all<records::RouteTable>(store, kinds::kRouteTable).at(0).associations.at(0).id, "rtbassoc-1");
  EXPECT_EQ(all<records::NetworkAcl>(store, kinds::kNetworkAcl).at(0).associations.at(0).subnet_id, "subnet-1");
  EXPECT_EQ(all<records::InternetGateway>(store, kinds::kInternetGateway).at(0).id, "igw-1");
  EXPECT_EQ(all<records::SecurityGroupRule>(store, kinds::kSecurityGroupRule).size(), 2u);
  state::Transaction nothing;
  ensure_default_vpc(store, kHere, kDefaultNetwork, random, nothing);
  EXPECT_TRUE(nothing.empty());
}

}  // namespace
}  // namespace berth::services::ec2
