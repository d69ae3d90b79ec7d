// The host's side: its routes into VPCs, the instance's table of rules, forwarding; and the removal of an instance.
//
// Thread: the thread that opened it, while it is in the host's namespace.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/network/instance.h"
#include "agent/network/links.h"
#include "agent/network/netlink.h"
#include "base/fd.h"
#include "dataplane/upstream.h"
#include "dataplane/vpc_layout.h"

namespace berth::network {

struct Host {
  Fd namespace_fd;
  NetlinkSocket route;
  NetlinkSocket filter;

  static Result<Host> open();  // of the calling thread's namespace
};

// Routes of the main table, and the networks of every instance's VPCs.
Result<std::vector<dataplane::Route>> host_routes(Host& host, const std::string& run_root);

// The default route's device.
Result<std::optional<Link>> uplink(Host& host);
// Of the default route's device, where packets of tasks will pass; 1500 where there is none.
Result<uint32_t> uplink_mtu(Host& host);

// NAT needs it. Remembered where it was off, so that the last instance to leave can put it back.
Result<void> ensure_forwarding(const std::string& run_root);

// What of the block nobody has goes nowhere. Written down, so that remove_instance() finds it.
Result<void> claim_public_block(Host& host, const Instance& instance, const Ipv4Network& block);

Result<void> load_host_rules(const Instance& instance, const dataplane::Upstreams& upstreams, bool masquerade_public);

// Lets the links to VPCs lead to loopback or not, as the rules have need of; in the host's namespace.
void open_loopback(const Instance& instance, const dataplane::Upstreams& upstreams);

// The first file that names a usable server counts; see NetworkOptions::resolv_confs.
dataplane::Upstreams read_upstreams(const std::vector<std::string>& resolv_confs);

// Removes links, routes, namespaces and records of one VPC on the host's side.
Result<void> remove_vpc_objects(Host& host, const Instance& instance, const VpcRecord& record);
// Everything of the instance, its directory last.
Result<void> remove_instance(Host& host, const Instance& instance);

}  // namespace berth::network
