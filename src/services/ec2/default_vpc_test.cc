#include "services/ec2/default_vpc.h"

#include <gtest/gtest.h>

#include "records/read.h"
#include "state/memory_store.h"

namespace berth::services::ec2 {
namespace {

TEST(Cidr, ReadsBlocksOnly) {
  EXPECT_EQ(Cidr::parse("172.31.0.0/16")->str(), "172.31.0.0/16");
  EXPECT_EQ(Cidr::parse("0.0.0.0/0")->length, 0);
  for (const char* wrong :
       {"", "172.31.0.0", "172.31.0.1/16", "172.31.0/16", "1.2.3.4/33", "1.2.3.4/32x", "256.0.0.0/8"})
    EXPECT_FALSE(Cidr::parse(wrong)) << wrong;
}

TEST(FreeBlock, GoesDownPastWhatIsTakenAndEndsAtThePrivateRange) {
  const Cidr first = *Cidr::parse("172.31.0.0/16");
  EXPECT_EQ(free_block(first, {})->str(), "172.31.0.0/16");
  EXPECT_EQ(free_block(first, {*Cidr::parse("172.31.7.0/24"), *Cidr::parse("172.30.0.0/16")})->str(), "172.29.0.0/16");
  EXPECT_EQ(free_block(first, {*Cidr::parse("0.0.0.0/0")})->str(), "172.31.0.0/16");
  EXPECT_FALSE(free_block(first, {*Cidr::parse("172.16.0.0/12")}));
}

TEST(DefaultVpc, IsMadeOnceARegionAndRegionsAreKeptApart) {
  state::MemoryStore store;
  Prng random(1);
  const Network network;
  const records::Scope here{"000000000000", "eu-central-1"}, there{"000000000000", "us-east-1"};
  state::Transaction first;
  const auto made = ensure_default_vpc(store, here, network, random, first);
  ASSERT_TRUE(made);
  EXPECT_EQ(made->vpc.cidr, "172.31.0.0/16");
  ASSERT_EQ(made->subnets.size(), 3u);
  EXPECT_EQ(made->subnets[1].cidr, "172.31.16.0/20");
  EXPECT_EQ(made->subnets[2].availability_zone, "eu-central-1c");
  ASSERT_TRUE(store.apply(first));
  state::Transaction again;
  EXPECT_EQ(ensure_default_vpc(store, here, network, random, again)->vpc.id, made->vpc.id);
  EXPECT_TRUE(again.empty());
  EXPECT_EQ(ensure_default_vpc(store, there, network, random, again)->vpc.cidr, "172.30.0.0/16");
}

TEST(DefaultVpc, PassesOverWhatAnotherBerthHasClaimedMeanwhile) {
  state::MemoryStore store;
  Prng random(1);
  std::vector<std::string> asked;
  Network network{"172.31.0.0/16", {"172.30.0.0/16"}};
  network.claim = [&](const std::string& cidr) {
    asked.push_back(cidr);
    return cidr == "172.28.0.0/16";
  };
  state::Transaction transaction;
  EXPECT_EQ(ensure_default_vpc(store, {"0", "r"}, network, random, transaction)->vpc.cidr, "172.28.0.0/16");
  EXPECT_EQ(asked, (std::vector<std::string>{"172.31.0.0/16", "172.29.0.0/16", "172.28.0.0/16"}));
}

TEST(DefaultVpc, SaysWhenNoBlockIsFree) {
  state::MemoryStore store;
  Prng random(1);
  const Network network{"172.31.0.0/16", {"172.16.0.0/12"}};
  state::Transaction transaction;
  const auto refused = ensure_default_vpc(store, {"0", "r"}, network, random, transaction);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().type, "VpcLimitExceeded");
}

}  // namespace
}  // namespace berth::services::ec2
