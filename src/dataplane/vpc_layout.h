// Which address of a VPC means what, as on AWS (VPC User Guide, "Subnet CIDR blocks"): of every subnet the first four
// addresses and the last are never given to a task. Pure.
//
//   subnet base + 0   the network                    VPC base + 2   the resolver that every task asks (in subnet a)
//   subnet base + 1   the router: tasks' gateway     subnet last    the broadcast address
//   subnet base + 2   more resolvers, see below
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/ipv4.h"

namespace berth::dataplane {

inline constexpr int kSubnetReservedFirst = 4;
inline constexpr int kVpcPrefixMin = 16;  // AWS: a VPC is between /16 and /28
inline constexpr int kVpcPrefixMax = 24;  // ours: its subnets are four bits longer, AWS's smallest is a /28
inline constexpr int kDefaultVpcZones = 3;

inline Ipv4 router_address(const Ipv4Network& subnet) { return {subnet.base.value + 1}; }
inline Ipv4 resolver_address(const Ipv4Network& vpc) { return {vpc.base.value + 2}; }
// What tasks can ask: the VPC's resolver, and the same address of other subnets, which AWS reserves as well; one for each
// name server of the host, as far as resolvers in containers read (MAXNS of resolv.h).
inline constexpr size_t kResolversMax = 3;
std::vector<Ipv4> resolver_addresses(const Ipv4Network& vpc, const std::vector<Ipv4Network>& subnets);
// The same resolver, in every VPC.
inline constexpr Ipv4 kLinkLocalResolver{169u << 24 | 254u << 16 | 169u << 8 | 253u};
// Where the ends of links between the host and its VPCs lie, two addresses each: in no VPC's network, since AWS allows none
// there, and beside what clouds and hosts use of link-local addresses.
inline constexpr Ipv4Network kLinkBlock{{169u << 24 | 254u << 16 | 192u << 8}, 18};
inline constexpr uint32_t kLinksMax = 1u << 13;
inline Ipv4 host_end_of(uint32_t link) { return {kLinkBlock.base.value + 2 * link}; }
inline Ipv4 vpc_end_of(uint32_t link) { return {kLinkBlock.base.value + 2 * link + 1}; }
bool assignable(const Ipv4Network& subnet, Ipv4 address);

// The default VPC's subnets, one for each of the zones a, b, c: 172.31.0.0/20, 172.31.16.0/20, 172.31.32.0/20.
std::vector<Ipv4Network> default_subnets(const Ipv4Network& vpc);

// 06:be and the address: one address, one MAC, so that a task that comes back to an address is the same neighbour.
std::string mac_of(Ipv4 address);
// The VPC's end of every link. One for all: they never meet on one wire.
inline constexpr std::string_view kRouterMac = "06:be:00:00:00:01";
inline constexpr std::string_view kHostMac = "06:be:00:00:00:02";

// What a host already routes, for choosing and refusing.
struct Route {
  Ipv4Network destination;
  bool berth = false;       // made by some instance of Berth
  std::string device = {};  // for the message; empty where the route has none
};

// `requested` as given with --vpc-cidr, or empty: 172.31.0.0/16, or the first /16 below it that no Berth uses. Refused
// with the remedy where it overlaps a route that is not Berth's; the default route does not count. With `requested`,
// a route of another Berth is refused as well.
Result<Ipv4Network> choose_vpc_network(const std::vector<Route>& routes, std::string_view requested);

// Nothing where `network` may be used; the reason, with the remedy, where a route that is not Berth's is in its way.
Result<void> check_overlap(const std::vector<Route>& routes, const Ipv4Network& network);

}  // namespace berth::dataplane
