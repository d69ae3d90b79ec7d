#include "agent/companions/zone_feed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "records/discovery.h"
#include "records/network.h"
#include "records/read.h"
#include "state/memory_store.h"

namespace berth::agent {
namespace {

namespace keys = records::keys;
using resolver::FrameKind;
using resolver::Kind;
using testing::ElementsAre;
using testing::IsEmpty;

const records::Scope kScope{"000000000000", "eu-central-1"};

class ZoneFeedTest : public testing::Test {
 protected:
  ZoneFeedTest() {
    space_.id = "ns-1", space_.name = "corp.local", space_.type = "DNS_PRIVATE", space_.vpc_id = "vpc-1";
    service_.id = "srv-1", service_.namespace_id = "ns-1", service_.name = "web", service_.custom_health = true;
    service_.dns_records = {{"A", 60}};
    instance_.id = "i", instance_.service_id = "srv-1";
    instance_.attributes = {{"AWS_INSTANCE_IPV4", "10.0.0.1"}, {"AWS_INSTANCE_PORT", "80"}};
  }
  template <class T>
  void put(const std::string& key, const T& value) {
    state::Transaction transaction;
    records::put(transaction, key, value);
    apply(std::move(transaction));
  }
  void erase(const std::string& key) {
    state::Transaction transaction;
    transaction.erase(key);
    apply(std::move(transaction));
  }
  void apply(state::Transaction transaction) {
    frames_.clear();
    ASSERT_TRUE(store_.apply(std::move(transaction)));
    store_.settle();
  }
  void put_all() {
    put(keys::discovery(keys::kNamespace, kScope, "ns-1"), space_);
    put(keys::discovery(keys::kDiscoveryService, kScope, "srv-1"), service_);
    put(instance_key(), instance_);
  }
  std::string instance_key() const { return keys::instance(keys::kInstance, kScope, "srv-1", "i"); }
  std::vector<std::string> told() const {
    std::vector<std::string> out;
    for (const auto& frame : frames_)
      for (const auto& change : frame.changes)
        out.push_back(fmt::format("{}{} {} {} {} {}", change.erased ? "-" : "+", static_cast<int>(change.kind),
                                  change.vpc, change.zone, change.service, change.id));
    return out;
  }

  state::MemoryStore store_;
  records::Namespace space_;
  records::DiscoveryService service_;
  records::Instance instance_;
  std::vector<resolver::Frame> frames_;
  ZoneFeed feed_{store_, [this](resolver::Frame frame) { frames_.push_back(std::move(frame)); }};
};

TEST_F(ZoneFeedTest, AChangeIsOneSmallFrame) {
  put_all();
  EXPECT_THAT(told(), ElementsAre("+5 vpc-1 corp.local web i"));
  const auto value = resolver::decode_body<resolver::Instance>(frames_[0].changes[0].body);
  EXPECT_EQ(value->ipv4, "10.0.0.1");
  EXPECT_EQ(value->port, 80);
  EXPECT_TRUE(value->healthy);
  erase(instance_key());
  EXPECT_THAT(told(), ElementsAre("-5 vpc-1 corp.local web i"));
  erase(keys::discovery(keys::kDiscoveryService, kScope, "srv-1"));
  EXPECT_THAT(told(), ElementsAre("-4 vpc-1 corp.local web "));
  erase(keys::discovery(keys::kNamespace, kScope, "ns-1"));
  EXPECT_THAT(told(), ElementsAre("-3 vpc-1 corp.local  "));
}

TEST_F(ZoneFeedTest, HealthIsTheInstances) {
  put_all();
  put(keys::instance(keys::kInstanceHealth, kScope, "srv-1", "i"), records::InstanceHealth{false, false, 0});
  ASSERT_THAT(told(), ElementsAre("+5 vpc-1 corp.local web i"));
  EXPECT_FALSE(resolver::decode_body<resolver::Instance>(frames_[0].changes[0].body)->healthy);
}

TEST_F(ZoneFeedTest, AServiceWithoutRecordsHasNoName) {
  service_.dns_records.clear();
  put_all();
  EXPECT_THAT(told(), IsEmpty());
}

TEST_F(ZoneFeedTest, OnlyPrivateNamespacesHaveNames) {
  space_.vpc_id.clear();
  put_all();
  EXPECT_THAT(told(), IsEmpty());
}

TEST_F(ZoneFeedTest, PublicHostNamesFollowInterfacesAndAddresses) {
  records::Interface interface;
  interface.id = "eni-1", interface.vpc_id = "vpc-1", interface.address = "10.0.0.9";
  interface.public_address = "1.2.3.4";
  put(keys::ec2(records::ec2_kinds::kInterface, kScope, "eni-1"), interface);
  EXPECT_THAT(told(), ElementsAre("+2 vpc-1 ec2-1-2-3-4.eu-central-1.compute.amazonaws.com  "));
  erase(keys::ec2(records::ec2_kinds::kInterface, kScope, "eni-1"));
  EXPECT_THAT(told(), ElementsAre("-2 vpc-1 ec2-1-2-3-4.eu-central-1.compute.amazonaws.com  "));
}

TEST_F(ZoneFeedTest, ASnapshotTellsEverythingInOrder) {
  records::Vpc vpc;
  vpc.id = "vpc-1", vpc.cidr = "10.0.0.0/16";
  put(keys::ec2(records::ec2_kinds::kVpc, kScope, "vpc-1"), vpc);
  put_all();
  frames_ = feed_.snapshot();
  ASSERT_EQ(frames_.size(), 3u);
  EXPECT_EQ(frames_[0].kind, FrameKind::snapshot_begin);
  EXPECT_EQ(frames_[2].kind, FrameKind::snapshot_end);
  EXPECT_THAT(told(), ElementsAre("+1 vpc-1   ", "+3 vpc-1 corp.local  ", "+4 vpc-1 corp.local web ",
                                  "+5 vpc-1 corp.local web i"));
}

}  // namespace
}  // namespace berth::agent
