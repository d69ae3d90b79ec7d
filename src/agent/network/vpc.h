// One VPC's namespace and the tasks in it.
//
// Thread: the network thread only; every call begins and ends in the host's namespace.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "agent/network/host.h"
#include "agent/network/network.h"

namespace berth::network {

class Vpc {
 public:
  // Makes what is missing: namespace, link, addresses, routes on both sides; then the rules.
  static Result<std::unique_ptr<Vpc>> ensure(Host& host, const Instance& instance, VpcSpec spec,
                                             const std::vector<Ipv4>& upstreams);

  const VpcSpec& spec() const { return spec_; }
  Result<void> load_rules(const VpcSpec& spec, const std::vector<Ipv4>& upstreams);

  Result<TaskNet> attach(const TaskNetSpec& task);  // but for its resolvers
  Result<void> detach(const std::string& task_id);
  bool has(const std::string& task_id) const { return tasks_.contains(task_id); }
  std::vector<std::string> tasks() const;

  // Removes rules' elements and links of tasks that are not attached.
  Result<void> collect();

 private:
  Vpc(Host& host, const Instance& instance, VpcSpec spec, Fd namespace_fd, NetlinkSocket route, NetlinkSocket filter);
  Result<void> connect_to_host();
  Result<void> make_task_link(NetlinkSocket& inside, const TaskNetSpec& task, const Fd& task_namespace);
  Result<void> configure_inside(NetlinkSocket& inside, const TaskNetSpec& task);

  Host& host_;
  const Instance& instance_;
  VpcSpec spec_;
  Fd namespace_fd_;
  NetlinkSocket route_;  // kept open, inside the VPC
  NetlinkSocket filter_;
  uint32_t mtu_ = 1500;
  std::map<std::string, TaskNetSpec> tasks_;
};

// t and 56 bits of a hash of the task's id: 15 characters, all that a link's name may have.
std::string task_link(const std::string& task_id);

}  // namespace berth::network
