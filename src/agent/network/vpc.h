// One VPC's namespace and the tasks in it.
//
// Thread: the network thread only; every call begins and ends in the host's namespace.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "agent/network/host.h"
#include "agent/network/network.h"
#include "dataplane/judge.h"
#include "dataplane/vpc_rules.h"

namespace berth::network {

class Vpc {
 public:
  // Makes or finds the namespace; nothing leads into it before the first change is applied.
  static Result<std::unique_ptr<Vpc>> open(Host& host, const Instance& instance, const std::string& id,
                                           const dataplane::VpcFacts& facts);

  const std::string& id() const { return id_; }
  const dataplane::VpcNet& value() const { return rules_.value(); }
  const dataplane::VpcFacts& facts() const { return rules_.facts(); }

  // The first change has the structure and every interface: the table is made anew, in one transaction. Later ones load what
  // differs, in one transaction; where the kernel refuses that, the whole table again.
  Result<void> apply(const dataplane::NetworkChange& change);
  Result<void> change_facts(const dataplane::VpcFacts& facts);

  Result<TaskNet> attach(const std::string& task_id, const std::string& interface_id);  // but for its resolvers
  Result<void> detach(const std::string& task_id);
  bool has(const std::string& task_id) const { return tasks_.contains(task_id); }
  std::vector<std::string> tasks() const;

  Result<int> link_on_host();  // its index
  // Removes links of tasks that are not attached.
  Result<void> collect();

 private:
  Vpc(Host& host, const Instance& instance, std::string id, const dataplane::VpcFacts& facts, Fd namespace_fd,
      NetlinkSocket route, NetlinkSocket filter);
  // What a change takes from flows that run: rules of AWS's untracked ones, and public addresses.
  struct Before {
    dataplane::Groups groups;  // where the structure changes
    std::map<std::string, dataplane::InterfaceNet> interfaces;
  };
  Before before(const dataplane::NetworkChange& change) const;
  Result<void> end_flows_that_lost(const Before& before);
  Result<void> load(const dataplane::Delta& delta);
  Result<void> load_whole();
  Result<void> connect_to_host();
  Result<void> put_networks(const std::vector<Ipv4Network>& before);
  Result<void> put_led_routes();
  Result<void> let_routers_route(const std::map<std::string, std::optional<dataplane::InterfaceNet>>& changed);
  Result<void> make_task_link(NetlinkSocket& inside, const std::string& task_id,
                              const dataplane::InterfaceNet& interface, const Fd& task_namespace);
  Result<void> configure_inside(NetlinkSocket& inside, const std::string& task_id,
                                const dataplane::InterfaceNet& interface);
  Result<void> route_to_task(const std::string& task_id, const dataplane::InterfaceNet& interface);

  struct Attached {
    std::string interface;
    std::vector<Ipv4> addresses;
  };

  Host& host_;
  const Instance& instance_;
  const std::string id_;
  dataplane::VpcRules rules_;
  Fd namespace_fd_;
  NetlinkSocket route_;  // kept open, inside the VPC
  NetlinkSocket filter_;
  uint32_t mtu_ = 1500;
  bool loaded_ = false;        // the kernel's table is that of rules_
  bool connected_ = false;     // to the host
  std::set<std::string> led_;  // interfaces that a routing table of their own leads to
  std::map<std::string, Attached> tasks_;
};

}  // namespace berth::network
