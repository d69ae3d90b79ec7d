#include "control/discovery/registration.h"

#include <gtest/gtest.h>

namespace berth::control::discovery {
namespace {

class RegistrationTest : public testing::Test {
 protected:
  RegistrationTest() {
    spec_.service = "web", spec_.family = "family";
    status_.state = records::TaskState::running;
    status_.availability_zone = "eu-central-1a";
    service_.id = "srv-1";
    service_.dns_records = {{"A", 60}};
    registry_.registry_arn = "arn:aws:servicediscovery:eu-central-1:000000000000:service/srv-1";
  }
  Subject subject() const { return {path_, spec_, status_, address_}; }

  records::keys::TaskPath path_{{"000000000000", "eu-central-1"}, "main", "0123456789abcdef0123456789abcdef"};
  records::TaskSpec spec_;
  records::TaskStatus status_;
  std::string address_ = "10.0.0.1";
  records::DiscoveryService service_;
  records::ServiceRegistry registry_;
};

TEST_F(RegistrationTest, HasWhatAwsWrites) {
  EXPECT_EQ(service_id_of(registry_), "srv-1");
  const auto instance = registered(subject(), registry_, service_);
  ASSERT_TRUE(instance);
  EXPECT_EQ(instance->id, path_.id);
  const std::map<std::string, std::string> expected = {
      {"AWS_INSTANCE_IPV4", "10.0.0.1"}, {"AVAILABILITY_ZONE", "eu-central-1a"}, {"REGION", "eu-central-1"},
      {"ECS_SERVICE_NAME", "web"},       {"ECS_CLUSTER_NAME", "main"},           {"ECS_TASK_DEFINITION_FAMILY", "family"}};
  EXPECT_EQ(instance->attributes, expected);
}

TEST_F(RegistrationTest, SrvHasThePort) {
  service_.dns_records = {{"SRV", 60}};
  registry_.container_name = "app", registry_.container_port = 8080;
  EXPECT_EQ(registered(subject(), registry_, service_)->attributes.at("AWS_INSTANCE_PORT"), "8080");
  registry_.port = 9090;
  EXPECT_EQ(registered(subject(), registry_, service_)->attributes.at("AWS_INSTANCE_PORT"), "9090");
}

TEST_F(RegistrationTest, OnlyWhileItRunsAndShallRun) {
  status_.desired = records::DesiredStatus::stopped;
  EXPECT_FALSE(registered(subject(), registry_, service_));
  status_.desired = records::DesiredStatus::running;
  status_.state = records::TaskState::activating;
  EXPECT_FALSE(registered(subject(), registry_, service_));
  status_.state = records::TaskState::running;
  address_.clear();
  EXPECT_FALSE(registered(subject(), registry_, service_));
}

TEST_F(RegistrationTest, HealthFollowsTheTaskAfterThirtySeconds) {
  service_.custom_health = true;
  const auto instance = registered(subject(), registry_, service_);
  EXPECT_EQ(instance->attributes.at("AWS_INIT_HEALTH_STATUS"), "HEALTHY");
  EXPECT_FALSE(health_of(subject(), service_, *instance, nullptr, 1000));
  status_.health = records::Health::unhealthy;
  const auto wanted = health_of(subject(), service_, *instance, nullptr, 1000);
  ASSERT_TRUE(wanted);
  EXPECT_TRUE(wanted->healthy);
  EXPECT_EQ(wanted->due_at_ms, 1000 + records::kCustomHealthDelayMs);
  EXPECT_FALSE(health_of(subject(), service_, *instance, &*wanted, 2000));
  status_.health = records::Health::healthy;
  EXPECT_EQ(health_of(subject(), service_, *instance, &*wanted, 2000)->due_at_ms, 0);
}

}  // namespace
}  // namespace berth::control::discovery
