#include "dataplane/vpc_layout.h"

#include <fmt/core.h>

namespace berth::dataplane {

bool assignable(const Ipv4Network& subnet, Ipv4 address) {
  return subnet.contains(address) && address.value >= subnet.base.value + kSubnetReservedFirst &&
         address < subnet.last();
}

std::vector<Ipv4Network> default_subnets(const Ipv4Network& vpc) {
  std::vector<Ipv4Network> subnets;
  const int prefix = vpc.prefix + 4;
  for (uint32_t zone = 0; zone < kDefaultVpcZones; ++zone) {
    subnets.push_back({{vpc.base.value + (zone << (32 - prefix))}, prefix});
  }
  return subnets;
}

std::vector<Ipv4> resolver_addresses(const Ipv4Network& vpc, const std::vector<Ipv4Network>& subnets) {
  std::vector<Ipv4> addresses = {resolver_address(vpc)};
  for (const Ipv4Network& subnet : subnets) {
    const Ipv4 address = resolver_address(subnet);
    if (addresses.size() < kResolversMax && address != addresses.front()) addresses.push_back(address);
  }
  return addresses;
}

std::string mac_of(Ipv4 address) {
  return fmt::format("06:be:{:02x}:{:02x}:{:02x}:{:02x}", address.value >> 24, address.value >> 16 & 255,
                     address.value >> 8 & 255, address.value & 255);
}

namespace {

const Route* overlapping(const std::vector<Route>& routes, const Ipv4Network& network, bool berth) {
  for (const Route& route : routes) {
    if (route.berth == berth && route.destination.prefix > 0 && route.destination.overlaps(network)) return &route;
  }
  return nullptr;
}

std::string named(const Route& route) {
  return route.destination.to_string() + (route.device.empty() ? "" : " on " + route.device);
}

}  // namespace

Result<void> check_overlap(const std::vector<Route>& routes, const Ipv4Network& network) {
  if (const Route* route = overlapping(routes, network, false)) {
    return fail(
        fmt::format("the VPC's network {} overlaps this machine's route to {}; choose another private network "
                    "with --vpc-cidr, such as 10.200.0.0/16",
                    network.to_string(), named(*route)));
  }
  return {};
}

Result<Ipv4Network> choose_vpc_network(const std::vector<Route>& routes, std::string_view requested) {
  if (!requested.empty()) {
    const auto network = parse_network(requested);
    if (!network || network->prefix < kVpcPrefixMin || network->prefix > kVpcPrefixMax) {
      return fail(
          fmt::format("'{}' is no network for a VPC: it is written like 10.200.0.0/16, with a prefix from /{} "
                      "to /{} and no bits beyond it",
                      requested, kVpcPrefixMin, kVpcPrefixMax));
    }
    if (auto free = check_overlap(routes, *network); !free) return tl::unexpected(free.error());
    if (const Route* route = overlapping(routes, *network, true)) {
      return fail(
          fmt::format("the VPC's network {} overlaps {}, which another Berth on this machine uses; end that one, or "
                      "give a new state directory another network with --vpc-cidr",
                      network->to_string(), named(*route)));
    }
    return *network;
  }
  // 172.31 is the last /16 of RFC 1918's 172.16.0.0/12, 172.16 the first.
  for (uint32_t second = 31; second >= 16; --second) {
    const Ipv4Network network{{172u << 24 | second << 16}, 16};
    if (overlapping(routes, network, true)) continue;
    if (auto free = check_overlap(routes, network); !free) return tl::unexpected(free.error());
    return network;
  }
  return fail(
      "sixteen VPCs of Berth use all of 172.16.0.0/12; choose another network with --vpc-cidr, such as 10.200.0.0/16");
}

}  // namespace berth::dataplane
