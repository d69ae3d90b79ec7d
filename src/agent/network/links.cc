#include "agent/network/links.h"

#include <arpa/inet.h>
#include <linux/fib_rules.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>

#include <cstdio>

#include "base/assert.h"

namespace berth::network {
namespace {

std::array<uint8_t, 6> mac_bytes(std::string_view text) {
  std::array<unsigned, 6> parts{};
  BERTH_ASSERT(std::sscanf(std::string(text).c_str(), "%x:%x:%x:%x:%x:%x", &parts[0], &parts[1], &parts[2], &parts[3],
                           &parts[4], &parts[5]) == 6);
  std::array<uint8_t, 6> bytes;
  for (size_t i = 0; i < 6; ++i) bytes[i] = static_cast<uint8_t>(parts[i]);
  return bytes;
}

ifinfomsg up(int index = 0) {
  ifinfomsg header{};
  header.ifi_index = index;
  header.ifi_flags = IFF_UP;
  header.ifi_change = IFF_UP;
  return header;
}

void link_attributes(NetlinkBatch& batch, std::string_view name, std::string_view mac, uint32_t mtu) {
  BERTH_ASSERT(name.size() < IFNAMSIZ);
  batch.attribute_text(IFLA_IFNAME, name);
  const auto bytes = mac_bytes(mac);
  batch.attribute(IFLA_ADDRESS, bytes.data(), bytes.size());
  batch.attribute_u32(IFLA_MTU, mtu);
  // A queue for each processor, the default, is memory that an idle task never uses.
  batch.attribute_u32(IFLA_NUM_TX_QUEUES, 1);
  batch.attribute_u32(IFLA_NUM_RX_QUEUES, 1);
}

Link parse_link(std::string_view body) {
  Link link;
  if (body.size() < sizeof(ifinfomsg)) return link;
  ifinfomsg header;
  std::memcpy(&header, body.data(), sizeof header);
  const Attributes attributes(body.data() + sizeof header, body.size() - sizeof header);
  link.index = header.ifi_index;
  link.name = attributes.text(IFLA_IFNAME);
  link.mtu = attributes.u32(IFLA_MTU);
  link.alias = attributes.text(IFLA_IFALIAS);
  const std::string_view operstate = attributes.get(IFLA_OPERSTATE);
  link.operational = !operstate.empty() && operstate[0] == IF_OPER_UP;
  const std::string_view info = attributes.get(IFLA_LINKINFO);
  link.kind = Attributes(info.data(), info.size()).text(IFLA_INFO_KIND);
  return link;
}

rtmsg route_header(const Ipv4Network& destination, uint8_t type, uint8_t scope) {
  rtmsg header{};
  header.rtm_family = AF_INET;
  header.rtm_dst_len = static_cast<uint8_t>(destination.prefix);
  header.rtm_table = RT_TABLE_MAIN;
  header.rtm_protocol = kRouteProtocol;
  header.rtm_type = type;
  header.rtm_scope = scope;
  return header;
}

void destination_attribute(NetlinkBatch& batch, const Ipv4Network& destination) {
  if (destination.prefix > 0) batch.attribute_be32(RTA_DST, destination.base.value);
}

}  // namespace

void create_veth(NetlinkBatch& batch, const Veth& veth) {
  batch.message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, up(), "make link " + veth.name);
  link_attributes(batch, veth.name, veth.mac, veth.mtu);
  if (veth.group != 0) batch.attribute_u32(IFLA_GROUP, veth.group);
  const size_t info = batch.nest(IFLA_LINKINFO);
  batch.attribute_text(IFLA_INFO_KIND, "veth");
  const size_t data = batch.nest(IFLA_INFO_DATA);
  const size_t peer = batch.nest(VETH_INFO_PEER);
  const ifinfomsg peer_header{};  // down: it cannot be opened before it knows its other end (veth_open: ENOTCONN)
  batch.append(&peer_header, sizeof peer_header);
  link_attributes(batch, veth.peer_name, veth.peer_mac, veth.mtu);
  batch.attribute_u32(IFLA_NET_NS_FD, static_cast<uint32_t>(veth.peer_namespace));
  batch.unnest(peer);
  batch.unnest(data);
  batch.unnest(info);
}

Result<std::optional<Link>> find_link(NetlinkSocket& socket, std::string_view name) {
  NetlinkBatch batch;
  batch.message(RTM_GETLINK, 0, ifinfomsg{}, "find link " + std::string(name));
  batch.attribute_text(IFLA_IFNAME, name);
  std::optional<Link> found;
  auto asked = socket.query(batch, [&](const nlmsghdr&, std::string_view body) { found = parse_link(body); });
  if (!asked && asked.error().errno_value != ENODEV) return tl::unexpected(asked.error());
  return found;
}

Result<Link> wait_for_link(NetlinkSocket& socket, std::string_view name) {
  // The kernel's worker is late by at most a second, where it thinks that nothing is urgent.
  constexpr int kPatienceMs = 2000;
  const auto ready = [&](Result<std::optional<Link>>& link) { return !link || !*link || (*link)->operational; };
  auto link = find_link(socket, name);
  if (!ready(link)) {
    if (auto subscribed = socket.subscribe(RTNLGRP_LINK, true); !subscribed) return tl::unexpected(subscribed.error());
    // Looked at again after subscribing: it may have come up in between.
    for (bool news = true; news && !ready(link = find_link(socket, name));) {
      const auto waited = socket.wait_for_notification(kPatienceMs);
      news = waited && *waited;
    }
    (void)socket.subscribe(RTNLGRP_LINK, false);
    (void)socket.wait_for_notification(0);
  }
  if (!link) return tl::unexpected(link.error());
  if (!*link) return fail(ENODEV, "link " + std::string(name));
  if (!(*link)->operational) return fail(ETIMEDOUT, "wait for link " + std::string(name));
  return std::move(**link);
}

Result<std::vector<Link>> list_links(NetlinkSocket& socket) {
  NetlinkBatch batch;
  batch.message(RTM_GETLINK, NLM_F_DUMP, ifinfomsg{}, "list links");
  std::vector<Link> links;
  auto asked = socket.query(batch, [&](const nlmsghdr&, std::string_view body) { links.push_back(parse_link(body)); });
  if (!asked) return tl::unexpected(asked.error());
  return links;
}

void set_link_up(NetlinkBatch& batch, int index) { batch.message(RTM_NEWLINK, 0, up(index), "set link up"); }

void set_link_alias(NetlinkBatch& batch, int index, std::string_view alias) {
  ifinfomsg header{};
  header.ifi_index = index;
  batch.message(RTM_NEWLINK, 0, header, "name link");
  batch.attribute(IFLA_IFALIAS, alias.data(), alias.size());
}

void set_link_group(NetlinkBatch& batch, int index, uint32_t group) {
  ifinfomsg header{};
  header.ifi_index = index;
  batch.message(RTM_NEWLINK, 0, header, "set group of link");
  batch.attribute_u32(IFLA_GROUP, group);
}

void delete_link(NetlinkBatch& batch, int index) {
  ifinfomsg header{};
  header.ifi_index = index;
  batch.message(RTM_DELLINK, 0, header, "delete link");
}

void put_address(NetlinkBatch& batch, int index, Ipv4 address) {
  ifaddrmsg header{};
  header.ifa_family = AF_INET;
  header.ifa_prefixlen = 32;
  header.ifa_index = static_cast<uint32_t>(index);
  batch.message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, header, "set address " + address.to_string());
  batch.attribute_be32(IFA_LOCAL, address.value);
  batch.attribute_be32(IFA_ADDRESS, address.value);
}

void put_neighbour(NetlinkBatch& batch, int index, Ipv4 address, std::string_view mac) {
  ndmsg header{};
  header.ndm_family = AF_INET;
  header.ndm_ifindex = index;
  header.ndm_state = NUD_PERMANENT;
  batch.message(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, header, "set neighbour " + address.to_string());
  batch.attribute_be32(NDA_DST, address.value);
  const auto bytes = mac_bytes(mac);
  batch.attribute(NDA_LLADDR, bytes.data(), bytes.size());
}

namespace {
void proxy_neighbour(NetlinkBatch& batch, uint16_t type, uint16_t flags, int index, Ipv4 address) {
  ndmsg header{};
  header.ndm_family = AF_INET;
  header.ndm_ifindex = index;
  header.ndm_state = NUD_PERMANENT;
  header.ndm_flags = NTF_PROXY;
  batch.message(type, flags, header, "answer for " + address.to_string());
  batch.attribute_be32(NDA_DST, address.value);
}

void mark_rule(NetlinkBatch& batch, uint16_t type, uint16_t flags, uint32_t mark, uint32_t table) {
  constexpr uint32_t kPriority = 1000;  // before the main table (32766)
  fib_rule_hdr header{};
  header.family = AF_INET;
  header.action = FR_ACT_TO_TBL;
  batch.message(type, flags, header, "rule for a route to an interface");
  batch.attribute_u32(FRA_PRIORITY, kPriority);
  batch.attribute_u32(FRA_FWMARK, mark);
  batch.attribute_u32(FRA_TABLE, table);
}
}  // namespace

void put_proxy_neighbour(NetlinkBatch& batch, int index, Ipv4 address) {
  proxy_neighbour(batch, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, index, address);
}
void delete_proxy_neighbour(NetlinkBatch& batch, int index, Ipv4 address) {
  proxy_neighbour(batch, RTM_DELNEIGH, 0, index, address);
}
void put_mark_rule(NetlinkBatch& batch, uint32_t mark, uint32_t table) {
  mark_rule(batch, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, mark, table);
}
void delete_mark_rule(NetlinkBatch& batch, uint32_t mark, uint32_t table) {
  mark_rule(batch, RTM_DELRULE, 0, mark, table);
}

void put_route(NetlinkBatch& batch, const RouteSpec& route) {
  rtmsg header = route_header(route.destination, RTN_UNICAST, route.gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK);
  if (route.gateway) header.rtm_flags = RTNH_F_ONLINK;
  if (route.table != 0) header.rtm_table = RT_TABLE_UNSPEC;  // it does not fit in there
  batch.message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, header, "set route " + route.destination.to_string());
  destination_attribute(batch, route.destination);
  batch.attribute_u32(RTA_OIF, static_cast<uint32_t>(route.device));
  if (route.table != 0) batch.attribute_u32(RTA_TABLE, route.table);
  if (route.gateway) batch.attribute_be32(RTA_GATEWAY, route.gateway->value);
  if (route.source) batch.attribute_be32(RTA_PREFSRC, route.source->value);
}

void put_unreachable(NetlinkBatch& batch, const Ipv4Network& destination) {
  batch.message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE,
                route_header(destination, RTN_UNREACHABLE, RT_SCOPE_UNIVERSE),
                "set unreachable route " + destination.to_string());
  destination_attribute(batch, destination);
  batch.attribute_u32(RTA_PRIORITY, kUnreachableMetric);
}

void delete_unreachable(NetlinkBatch& batch, const Ipv4Network& destination) {
  batch.message(RTM_DELROUTE, 0, route_header(destination, RTN_UNREACHABLE, RT_SCOPE_NOWHERE),
                "delete unreachable route " + destination.to_string());
  destination_attribute(batch, destination);
  batch.attribute_u32(RTA_PRIORITY, kUnreachableMetric);
}

void delete_route(NetlinkBatch& batch, const Ipv4Network& destination, int device) {
  batch.message(RTM_DELROUTE, 0, route_header(destination, RTN_UNICAST, RT_SCOPE_NOWHERE),
                "delete route " + destination.to_string());
  destination_attribute(batch, destination);
  batch.attribute_u32(RTA_OIF, static_cast<uint32_t>(device));
}

Result<std::vector<SeenRoute>> list_routes(NetlinkSocket& socket) {
  NetlinkBatch batch;
  rtmsg request{};
  request.rtm_family = AF_INET;
  batch.message(RTM_GETROUTE, NLM_F_DUMP, request, "list routes");
  std::vector<SeenRoute> routes;
  auto asked = socket.query(batch, [&](const nlmsghdr&, std::string_view body) {
    if (body.size() < sizeof(rtmsg)) return;
    rtmsg header;
    std::memcpy(&header, body.data(), sizeof header);
    if (header.rtm_table != RT_TABLE_MAIN || (header.rtm_flags & RTM_F_CLONED) != 0) return;
    const Attributes attributes(body.data() + sizeof header, body.size() - sizeof header);
    routes.push_back({{{ntohl(attributes.u32(RTA_DST))}, header.rtm_dst_len},
                      static_cast<int>(attributes.u32(RTA_OIF)),
                      header.rtm_protocol,
                      attributes.u32(RTA_PRIORITY)});
  });
  if (!asked) return tl::unexpected(asked.error());
  return routes;
}

}  // namespace berth::network
