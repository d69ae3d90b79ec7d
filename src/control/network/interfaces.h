// The network interface of a task: which record it gets when control places the task. Pure.
//
// A task's interface is there from its placement until nothing of it is left on its host (status STOPPED): its address is
// nobody else's in between. What it shows is what Fargate shows (VPC User Guide, "requester-managed network interfaces").
#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "base/ipv4.h"
#include "dataplane/host_network.h"
#include "records/keys.h"
#include "records/network.h"
#include "records/task.h"

namespace berth::control::network {

// Borrowed for the call.
struct Placed {
  const records::keys::TaskPath& path;
  const records::TaskSpec& spec;
  const records::Subnet& subnet;
  const records::Vpc& vpc;
  Ipv4 address;
  std::optional<Ipv4> public_address;
  TimeMs now_ms = 0;
};
records::Interface interface_of(const Placed& placed);

// "task:<account>/<region>/<cluster>/<id>"; and back: the task's id, empty where the owner is no task.
std::string owner_of(const records::keys::TaskPath& path);
std::string task_of_owner(const std::string& owner);

// As the host's network has it. An Elastic IP goes before an address that was assigned with the interface.
dataplane::InterfaceNet to_net(const records::Interface& interface, const records::Address* elastic);

}  // namespace berth::control::network
