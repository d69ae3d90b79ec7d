#include "records/network_index.h"

#include <gmock/gmock.h>

#include "records/network.h"
#include "records/read.h"
#include "state/memory_store.h"

namespace berth::records {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const Scope kScope{"111122223333", "eu-central-1"};

class NetworkIndexTest : public testing::Test {
 protected:
  template <class T>
  void keep(std::string_view kind, const std::string& id, const T& record) {
    state::Transaction transaction;
    put(transaction, keys::ec2(kind, kScope, id), record);
    ASSERT_TRUE(store_.apply(std::move(transaction)));
  }
  void erase(std::string_view kind, const std::string& id) {
    state::Transaction transaction;
    transaction.erase(keys::ec2(kind, kScope, id));
    ASSERT_TRUE(store_.apply(std::move(transaction)));
  }
  void keep_interface(const std::string& id, const std::string& address, const std::string& public_address = "") {
    Interface interface;
    interface.id = id, interface.vpc_id = "vpc-1", interface.subnet_id = "subnet-1", interface.address = address;
    interface.groups = {"sg-1"}, interface.public_address = public_address;
    keep(ec2_kinds::kInterface, id, interface);
  }

  state::MemoryStore store_{[] {}};
  NetworkIndex index_{store_};
  const Ipv4Network cidr_ = *parse_network("10.0.0.0/28");
  const Ipv4Network pool_ = *parse_network("198.18.0.0/29");
};

TEST_F(NetworkIndexTest, KnowsWhoNamesWhom) {
  keep_interface("eni-1", "10.0.0.4");
  SecurityGroupRule rule;
  rule.id = "sgr-1", rule.group_id = "sg-2", rule.peer_group_id = "sg-1";
  keep(ec2_kinds::kSecurityGroupRule, "sg-2/sgr-1", rule);
  EXPECT_THAT(index_.naming("sg-1"), ElementsAre("ec2/interface/111122223333/eu-central-1/eni-1",
                                                 "ec2/security-group-rule/111122223333/eu-central-1/sg-2/sgr-1"));
  EXPECT_THAT(index_.naming("sg-1", ec2_kinds::kInterface),
              ElementsAre("ec2/interface/111122223333/eu-central-1/eni-1"));
  EXPECT_TRUE(index_.is_named("subnet-1"));
  erase(ec2_kinds::kInterface, "eni-1");
  EXPECT_FALSE(index_.is_named("subnet-1"));
  EXPECT_THAT(index_.naming("sg-1", ec2_kinds::kInterface), IsEmpty());
}

TEST_F(NetworkIndexTest, GivesAddressesRoundTheSubnet) {
  EXPECT_EQ(index_.available("subnet-1", cidr_), 11);
  for (int i = 0; i < 11; ++i) {
    const auto address = index_.free_address("subnet-1", cidr_);
    ASSERT_TRUE(address);
    EXPECT_TRUE(is_assignable(cidr_, *address));
    EXPECT_EQ(address->to_string(), "10.0.0." + std::to_string(4 + i));
    keep_interface("eni-" + std::to_string(i), address->to_string());
  }
  EXPECT_EQ(index_.available("subnet-1", cidr_), 0);
  EXPECT_FALSE(index_.free_address("subnet-1", cidr_));
  erase(ec2_kinds::kInterface, "eni-3");
  erase(ec2_kinds::kInterface, "eni-10");
  keep_interface("eni-5", "10.0.0.9", "198.18.0.1");  // changed, but its address is not given anew
  EXPECT_EQ(index_.free_address("subnet-1", cidr_)->to_string(), "10.0.0.7");
  EXPECT_EQ(index_.free_address("subnet-1", cidr_, {*parse_ipv4("10.0.0.7")})->to_string(), "10.0.0.14");
}

TEST_F(NetworkIndexTest, CountsPublicAddressesOfInterfacesAndElasticIps) {
  Address elastic;
  elastic.allocation_id = "eipalloc-1", elastic.public_address = "198.18.0.1";
  keep(ec2_kinds::kAddress, "eipalloc-1", elastic);
  keep_interface("eni-1", "10.0.0.4", "198.18.0.2");
  EXPECT_EQ(index_.free_public_address(pool_)->to_string(), "198.18.0.3");
  erase(ec2_kinds::kAddress, "eipalloc-1");
  EXPECT_FALSE(index_.is_used_publicly(*parse_ipv4("198.18.0.1")));
  EXPECT_TRUE(index_.is_used_publicly(*parse_ipv4("198.18.0.2")));
}

TEST_F(NetworkIndexTest, AssignableLeavesOutTheFirstFourAndTheLast) {
  for (const char* text : {"10.0.0.0", "10.0.0.3", "10.0.0.15", "10.0.1.5"})
    EXPECT_FALSE(is_assignable(cidr_, *parse_ipv4(text))) << text;
  for (const char* text : {"10.0.0.4", "10.0.0.14"}) EXPECT_TRUE(is_assignable(cidr_, *parse_ipv4(text))) << text;
}

}  // namespace
}  // namespace berth::records
