// The network of this machine's tasks: a VPC is a network namespace joined to the host by one veth; a task has a
// namespace of its own, joined to its VPC by a routed veth (/32, no bridge, no ARP: both ends know their one neighbour).
//
//   host ──be<instance>v<vpc>══host── VPC namespace ──t<task>══eth0── task namespace
//        route 172.31.0.0/16          forwards, judges,            172.31.16.5/32
//        masquerades, refuses         resolver's address           default via 172.31.16.1
//
// Thread: every call may come from any thread and blocks it; the work is done one call after the other on a thread of
// this class, which alone moves between namespaces and keeps netlink sockets open in each VPC. "The host" is the network
// namespace in which open() was called.
//
// kill -9 at any point: every object's name derives from an id that the caller has recorded, every call repeated after a
// restart adopts what is there and adds what is missing, collect() removes the rest. No program is spawned by
// attach_task() and detach_task(); ensure_vpc() runs nft.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "agent/network/instance.h"
#include "base/result.h"
#include "base/ipv4.h"
#include "dataplane/ruleset.h"
#include "dataplane/vpc_layout.h"

namespace berth::network {

struct NetworkOptions {
  std::string state_directory;
  std::string run_root = kRunRoot;
  // Read in this order: where the first names only loopback servers (a stub on this machine), the next may know whom the
  // stub asks.
  std::vector<std::string> resolv_confs = {"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"};
};

struct VpcSpec {
  std::string id;
  Ipv4Network network;
  std::vector<Ipv4Network> subnets;
  std::vector<dataplane::SecurityGroupRules> groups;
};

struct TaskNetSpec {
  std::string task_id;
  std::string vpc_id;
  Ipv4 address;
  Ipv4Network subnet;
  std::vector<std::string> security_groups;
  bool assign_public_ip = false;
};

struct TaskNet {
  std::string netns_path;  // for the runtime's specification
  std::string mac;
  std::vector<Ipv4> resolvers;  // whom it asks for names: as many as the host has name servers, one at least
  bool operator==(const TaskNet&) const = default;
};

class Network {
 public:
  // Takes the instance's lock, prepares its directory, and collects what instances without a state directory left.
  static Result<std::unique_ptr<Network>> open(NetworkOptions options);
  ~Network();  // closes sockets; everything on the host stays

  const Instance& instance() const;

  // Makes the VPC or completes it, loads its rules and the host's. Refused, with the remedy, where its network overlaps
  // a route of the host that is not Berth's, or another Berth's VPC. Repeat it when groups or subnets change.
  Result<void> ensure_vpc(VpcSpec spec);
  // Removes the VPC and cuts off whatever still is in it.
  Result<void> remove_vpc(const std::string& vpc_id);

  // The VPC must be ensured. Idempotent.
  Result<TaskNet> attach_task(TaskNetSpec spec);
  // Drops the task's namespace; its links go with the last process in it. An unknown task is no error.
  Result<void> detach_task(const std::string& task_id);

  // Removes namespaces, links and rules' elements of tasks that are not in `live_tasks`, and VPCs that are not ensured.
  // Call at start, after every live task has been attached again.
  Result<void> collect(const std::set<std::string>& live_tasks);

  // Reads the host's name servers again and, where they changed, points every VPC's resolvers at them. Called by itself
  // when one of the files changes.
  Result<void> refresh_resolvers();

  // Everything of this instance goes: at the end of a daemon that leaves no task, and for `berth host clean`.
  Result<void> remove_all();

 private:
  class Impl;
  explicit Network(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// What the host routes, and what instances of Berth have claimed: for choose_vpc_network(). On the calling thread.
Result<std::vector<dataplane::Route>> read_host_routes(const std::string& run_root = kRunRoot);

}  // namespace berth::network
