#include "control/orders/orders.h"

#include <gtest/gtest.h>

namespace berth::control::orders {
namespace {

TEST(Orders, OverridesReplaceCommandsAndAddToTheEnvironment) {
  records::TaskDefinition definition;
  definition.containers.resize(1);
  definition.containers[0].name = "web";
  definition.containers[0].environment = {{"A", "1"}, {"B", "2"}};
  records::TaskSpec spec;
  records::ContainerOverride with;
  with.name = "web";
  with.command = {{"sleep", "1"}};
  with.environment = {{"A", "3"}};
  spec.overrides = {with};
  const auto out = effective_containers(definition, spec);
  EXPECT_EQ(out[0].command->front(), "sleep");
  EXPECT_EQ(out[0].environment, (std::vector<std::pair<std::string, std::string>>{{"B", "2"}, {"A", "3"}}));

  definition.containers[0].command = {{"serve"}};
  spec.overrides[0].command.emplace();
  EXPECT_EQ(effective_containers(definition, spec)[0].command->front(), "serve") << "an empty one replaces nothing";
}

TEST(Orders, SayWhereATaskIsInTheNetwork) {
  records::TaskSpec spec;
  spec.eni_id = "eni-1";
  spec.memory_mib = 512;
  spec.network.assign_public_ip = true;
  records::TaskStatus status;
  status.host_epoch = 4;
  status.subnet_id = "subnet-1";
  records::Vpc vpc;
  vpc.id = "vpc-1";
  vpc.default_security_group_id = "sg-default";
  records::Subnet subnet;
  subnet.cidr = "172.31.0.0/20";
  records::TaskOrder order = order_of(spec, {}, status, {&subnet, &vpc, nullptr});
  EXPECT_EQ(order.epoch, 4);
  EXPECT_EQ(order.memory_mib, 512);
  EXPECT_EQ(order.interface.subnet_cidr, "172.31.0.0/20");
  EXPECT_EQ(order.interface.groups, std::vector<std::string>{"sg-default"});
  EXPECT_EQ(order.interface.address, "") << "the agent chooses one";
  records::Interface interface;
  interface.address = "172.31.0.9";
  interface.groups = {"sg-1"};
  order = order_of(spec, {}, status, {&subnet, &vpc, &interface});
  EXPECT_EQ(order.interface.address, "172.31.0.9");
  EXPECT_EQ(order.interface.groups, std::vector<std::string>{"sg-1"});
}

}  // namespace
}  // namespace berth::control::orders
