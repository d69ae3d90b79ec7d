// The kernel's connection tracking: what it knows of running flows, and how one is made to end.
#pragma once

#include <functional>
#include <string>

#include "agent/network/netlink.h"
#include "base/ipv4.h"

namespace berth::network {

struct TrackedFlow {
  int protocol = 0;
  uint32_t mark = 0;
  Ipv4 source, destination;  // as its first packet had them
  int source_port = 0;
  // As answers have them: behind a translated destination the private address, in front of a translated source the public one.
  Ipv4 reply_source, reply_destination;
  int reply_source_port = 0;
  std::string tuple;  // how the kernel names it
  uint32_t id = 0;
};

// Ends those that `wanted` picks: their next packet is judged as if it were the first. The socket is one of NETLINK_NETFILTER, whose
// namespace is meant. Returns how many.
Result<int> end_flows(NetlinkSocket& socket, const std::function<bool(const TrackedFlow&)>& wanted);

}  // namespace berth::network
