// The requests to rtnetlink that a VPC and its tasks need, by name. Each function appends messages to a batch or asks a
// question; which namespace is meant, is the socket's.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/network/netlink.h"
#include "base/ipv4.h"
#include "dataplane/vpc_layout.h"

namespace berth::network {

// The routes that Berth makes carry this as their protocol (`ip route show proto 190`), so that any instance knows them.
inline constexpr uint8_t kRouteProtocol = 190;
// Behind every other route to the same network: it speaks where the way into the VPC is gone.
inline constexpr uint32_t kUnreachableMetric = 4'000'000;

struct Veth {
  std::string name;  // in the socket's namespace
  std::string mac;
  std::string peer_name;  // in peer_namespace
  std::string peer_mac;
  int peer_namespace = -1;
  uint32_t mtu = 1500;
  uint32_t group = 0;  // the near end's device group
};
void create_veth(NetlinkBatch& batch, const Veth& veth);  // the near end up, the peer down

struct Link {
  int index = 0;
  std::string name;
  uint32_t mtu = 0;
  std::string alias;
  bool operational = false;
  std::string kind;  // "veth", "bridge", …; empty for physical ones
};
Result<std::optional<Link>> find_link(NetlinkSocket& socket, std::string_view name);
// Waits until packets pass. The end of a veth that was opened first is switched on by a worker of the kernel (linkwatch),
// some time after its peer is up; until then it drops what is sent. From Linux 6.7 on the question itself has it done.
Result<Link> wait_for_link(NetlinkSocket& socket, std::string_view name);
Result<std::vector<Link>> list_links(NetlinkSocket& socket);
void set_link_up(NetlinkBatch& batch, int index);
void set_link_alias(NetlinkBatch& batch, int index, std::string_view alias);
void set_link_group(NetlinkBatch& batch, int index, uint32_t group);
void delete_link(NetlinkBatch& batch, int index);

void put_address(NetlinkBatch& batch, int index, Ipv4 address);                          // as /32
void put_neighbour(NetlinkBatch& batch, int index, Ipv4 address, std::string_view mac);  // permanent
// Answers ARP for an address that others ask for on this link and that is routed elsewhere.
void put_proxy_neighbour(NetlinkBatch& batch, int index, Ipv4 address);
void delete_proxy_neighbour(NetlinkBatch& batch, int index, Ipv4 address);
// Packets with this mark look into this table; EEXIST where the rule is there.
void put_mark_rule(NetlinkBatch& batch, uint32_t mark, uint32_t table);
void delete_mark_rule(NetlinkBatch& batch, uint32_t mark, uint32_t table);

struct RouteSpec {
  Ipv4Network destination;
  int device = 0;
  std::optional<Ipv4> gateway = {};
  std::optional<Ipv4> source = {};
  uint32_t table = 0;  // 0: the main one
};
void put_route(NetlinkBatch& batch, const RouteSpec& route);
void put_unreachable(NetlinkBatch& batch, const Ipv4Network& destination);
void delete_unreachable(NetlinkBatch& batch, const Ipv4Network& destination);
void delete_route(NetlinkBatch& batch, const Ipv4Network& destination, int device);

struct SeenRoute {
  Ipv4Network destination;
  int device = 0;  // 0: unreachable and its like
  uint8_t protocol = 0;
  uint32_t metric = 0;
};
Result<std::vector<SeenRoute>> list_routes(NetlinkSocket& socket);  // of the main table

}  // namespace berth::network
