// The network of this machine's tasks: a VPC is a network namespace joined to the host by one veth; a task has a
// namespace of its own, joined to its VPC by a routed veth (/32, no bridge, no ARP: both ends know their one neighbour).
//
//   host ──be<instance>v<vpc>══host── VPC namespace ──t<task>══eth0── task namespace
//     169.254.192.2   169.254.192.3   routes, judges,          172.31.16.5/32
//     172.31.0.0/16 where it is free  translates addresses     default via 172.31.16.1
//     each public address
//
// What should be is a dataplane::HostNetwork. Its owner tells the changes with apply(), a VPC's first one with all of it,
// also after a restart; an interface is told before the task that has it is attached. How packets pass is in README.md.
//
// Thread: every call may come from any thread and blocks it; the work is done one call after the other on a thread of
// this class, which alone moves between namespaces and keeps netlink sockets open in each VPC. "The host" is the network
// namespace in which open() was called.
//
// kill -9 at any point: every object's name derives from an id that the caller has recorded, every call repeated after a
// restart adopts what is there and adds what is missing, collect() removes the rest. No program is spawned by attach(),
// detach_task() and changes of interfaces alone; changes of a VPC's structure run nft.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/network/instance.h"
#include "base/ipv4.h"
#include "base/result.h"
#include "dataplane/host_network.h"
#include "dataplane/vpc_layout.h"

namespace berth::network {

struct NetworkOptions {
  std::string state_directory;
  std::string run_root = kRunRoot;
  // Read in this order: where the first names only loopback servers (a stub on this machine), the next may know whom the
  // stub asks.
  std::vector<std::string> resolv_confs = {"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"};
  // Where public addresses are from. `announced`: a block of the uplink's LAN, for which this host answers ARP, and which
  // goes out as it is; else whoever is beyond this host sees the host's address.
  std::optional<Ipv4Network> public_block = {};
  bool announced = false;
  bool answer_refused = true;  // false: refused packets vanish, as on AWS
  // A VPC is set up on this host, with its primary network, or (nothing) is no longer. On the network's thread: no call of
  // Network from within it.
  std::function<void(const std::string& vpc_id, std::optional<Ipv4Network> primary)> vpc_changed = {};
  std::function<void()> collected = {};  // what is there now is all that was told; on the same thread
};

// The earlier way to say what should be, for as long as its callers stand: a VPC without routes, ACLs and gateways, whose
// public tasks go out under the host's address.
struct VpcSpec {
  std::string id;
  Ipv4Network network;
  std::vector<Ipv4Network> subnets;
  struct Group {
    std::string id;
    bool allow_within = true;  // members reach one another on every port
    auto operator<=>(const Group&) const = default;
  };
  std::vector<Group> groups;
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

  // The first change of a VPC in the life of this object has its structure and all its interfaces. Fails where it contradicts
  // what was told (nothing has changed then), or where the kernel refuses; what was taken is completed by the next change.
  Result<void> apply(dataplane::NetworkChange change);
  // Makes the task's namespace and its link, in the VPC in which `interface` was told to be the task's. Idempotent.
  Result<TaskNet> attach(const std::string& vpc_id, const std::string& interface, const std::string& task_id);
  // A resolver listens in the VPC's namespace (instance().netns_path(vpc_id)), at port 53 of the primary network's third
  // address and of 169.254.169.253; or no longer, and questions go to the host's name servers.
  Result<void> set_resolver(const std::string& vpc_id, bool present);

  // The earlier way: apply() and attach() with what the specs say.
  Result<void> ensure_vpc(VpcSpec spec);
  // Removes the VPC and cuts off whatever still is in it.
  Result<void> remove_vpc(const std::string& vpc_id);

  Result<TaskNet> attach_task(TaskNetSpec spec);
  // Drops the task's namespace; its links go with the last process in it. An unknown task is no error.
  Result<void> detach_task(const std::string& task_id);

  // Removes namespaces and links of tasks that are not in `live_tasks`, and VPCs that were not told.
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
