// VPCs as an operator would have them, told to a Network of a World, with tasks that answer. Root only.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/network/network.h"
#include "dataplane/host_network.h"
#include "network_world.h"

namespace berth::network {

#define ASSERT_OK(expression)                        \
  do {                                               \
    const auto& outcome = (expression);              \
    ASSERT_TRUE(outcome) << outcome.error().context; \
  } while (false)

inline const Ipv4Network kAnywhere{};
inline constexpr const char* kVpcId = "vpc-0123456789abcdef0";

// 10.0.0.0/16 with subnet-a (10.0.1.0/24), subnet-b (10.0.2.0/24), both with a route to the internet; groups sg-web (port 80
// of all, all out), sg-none (nothing in, all out) and sg-shut (nothing at all); an ACL that lets everything pass.
dataplane::VpcNet usual_vpc(const std::string& primary = "10.0.0.0/16");
dataplane::GroupRule rule(int protocol, int from, int to, const std::string& peer);  // a network, or a group's id
dataplane::AclRule acl_rule(int number, bool allow, int protocol, int from, int to, const std::string& network);
std::string task_id(const std::string& name);

class VpcHost : public ::testing::Test {
 protected:
  void SetUp() override;
  void open(NetworkOptions options);
  void open();

  // The whole VPC, its interfaces included, or its structure anew.
  void tell(const dataplane::VpcNet& vpc, const std::string& id = kVpcId);
  dataplane::InterfaceNet interface(const std::string& name, const std::string& subnet, const std::string& address,
                                    std::vector<std::string> groups, const std::string& public_address = "") const;
  // Tells the interface "eni-NAME" and attaches the task; it answers on ports 80 and 81.
  void task(const std::string& name, const std::string& subnet, const std::string& address,
            std::vector<std::string> groups, const std::string& public_address = "", const std::string& vpc = kVpcId);
  void task(const std::string& name, const dataplane::InterfaceNet& interface, const std::string& vpc = kVpcId);
  void change(const std::string& name, const dataplane::InterfaceNet& interface, const std::string& vpc = kVpcId);

  std::string path(const std::string& name) const;  // of the task's namespace
  Probe tcp(const std::string& from, const std::string& to, int port = 80, int timeout_ms = 1000) const;
  Probe udp(const std::string& from, const std::string& to, int port = 80, int timeout_ms = 1000) const;
  bool ping(const std::string& from, const std::string& to) const;
  Probe tcp_from(const Fd& from, const std::string& to, int port = 80) const;
  std::string vpc_shell(const std::string& command, const std::string& vpc = kVpcId) const;
  std::string host_shell(const std::string& command) const { return world_->shell(world_->host(), command); }

  std::unique_ptr<World> world_;
  std::unique_ptr<Network> network_;
  std::map<std::string, std::vector<std::unique_ptr<Echo>>> echoes_;
};

// "answered", or what else came of it at once.
::testing::AssertionResult passes(const Probe& probe);
::testing::AssertionResult refused(const Probe& probe);

}  // namespace berth::network
