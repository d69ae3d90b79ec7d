#include "agent/network/host_side.h"

#include <algorithm>
#include <cerrno>

#include "agent/network/nft.h"
#include "base/log.h"
#include "dataplane/ruleset.h"

namespace berth::network {

Result<void> PrivateRoutes::put(const std::vector<VpcRecord>& wanted) {
  auto routes = list_routes(host_.route);
  if (!routes) return tl::unexpected(routes.error());
  std::map<int, const VpcRecord*> by_link;
  NetlinkBatch batch;
  for (const VpcRecord& record : wanted) {
    auto link = find_link(host_.route, instance_.vpc_link(record.vpc_id));
    if (!link) return tl::unexpected(link.error());
    if (*link) by_link[(*link)->index] = &record;
  }
  const auto ours = [](const SeenRoute& route) { return route.protocol == kRouteProtocol; };
  for (const SeenRoute& route : *routes) {
    const auto record = by_link.find(route.device);
    if (!ours(route) || record == by_link.end() || route.destination.prefix == 32) continue;
    const auto& networks = record->second->networks;
    if (std::find(networks.begin(), networks.end(), route.destination) != networks.end()) continue;
    delete_route(batch, route.destination, route.device);
    delete_unreachable(batch, route.destination);
  }
  for (const auto& [link, record] : by_link) {
    for (const Ipv4Network& network : record->networks) {
      // Single addresses are public ones or links' ends; what has no device is a claim that goes with a route.
      const auto in_the_way = [&](const SeenRoute& route) {
        if (route.destination.prefix == 0 || !route.destination.overlaps(network)) return false;
        return !ours(route) || (route.device != 0 && route.destination.prefix != 32);
      };
      if (std::any_of(routes->begin(), routes->end(), in_the_way)) continue;
      put_unreachable(batch, network);  // what is for the VPC never leaves by the uplink, whatever happens to the link
      put_route(batch, {network, link, dataplane::vpc_end_of(record->link), dataplane::host_end_of(record->link)});
      routes->push_back({network, link, kRouteProtocol, 0});
    }
  }
  return batch.empty() ? Result<void>{} : host_.route.send(batch, {ESRCH});
}

std::set<Ipv4> public_addresses(const dataplane::VpcNet& vpc, const dataplane::NetworkChange& change) {
  std::set<Ipv4> addresses;
  const auto add = [&](const std::optional<Ipv4>& address) {
    // The end of the link stands for "no address of its own" (network.h's TaskNetSpec): it is routed anyway.
    if (address && !dataplane::kLinkBlock.contains(*address)) addresses.insert(*address);
  };
  if (change.structure) {
    for (const auto& [id, nat] : vpc.nats) add(nat.public_address);
  }
  for (const auto& [id, changed] : change.interfaces) {
    if (const auto interface = vpc.interfaces.find(id); interface != vpc.interfaces.end()) {
      add(interface->second.public_address);
    }
  }
  return addresses;
}

Result<void> PublicAddresses::change(const std::string& vpc_id, Ipv4 vpc_end, const std::set<Ipv4>& removed,
                                     const std::set<Ipv4>& added) {
  if (removed == added && std::all_of(added.begin(), added.end(), [&](Ipv4 a) { return owners_.contains(a); }))
    return {};
  auto link = find_link(host_.route, instance_.vpc_link(vpc_id));
  if (!link) return tl::unexpected(link.error());
  if (!*link) return fail(ENODEV, "link of " + vpc_id);
  auto out = announced_ ? uplink(host_) : Result<std::optional<Link>>(std::nullopt);
  if (!out) return tl::unexpected(out.error());
  AddressChange elements{instance_.nft_table(), std::string(dataplane::kPublicSet), {}, {}};
  NetlinkBatch batch;
  for (const Ipv4 address : removed) {
    const auto owner = owners_.find(address);
    if (added.contains(address) || owner == owners_.end() || owner->second != vpc_id) continue;
    owners_.erase(owner);
    elements.removed.push_back(address);
    delete_route(batch, {address, 32}, (*link)->index);
    if (*out) delete_proxy_neighbour(batch, (*out)->index, address);
  }
  for (const Ipv4 address : added) {
    owners_[address] = vpc_id;
    elements.added.push_back(address);
    put_route(batch, {{address, 32}, (*link)->index, vpc_end});
    if (*out) put_proxy_neighbour(batch, (*out)->index, address);
  }
  if (!batch.empty()) {
    if (auto sent = host_.route.send(batch, {ESRCH, ENOENT}); !sent) return sent;
  }
  return change_addresses(host_.filter, elements);
}

Result<void> PublicAddresses::drop_all_of(const std::string& vpc_id) {
  AddressChange elements{instance_.nft_table(), std::string(dataplane::kPublicSet), {}, {}};
  for (const auto& [address, owner] : owners_) {
    if (owner == vpc_id) elements.removed.push_back(address);
  }
  for (const Ipv4 address : elements.removed) owners_.erase(address);
  if (announced_ && !elements.removed.empty()) {
    auto out = uplink(host_);
    if (!out) return tl::unexpected(out.error());
    NetlinkBatch batch;
    for (const Ipv4 address : elements.removed) {
      if (*out) delete_proxy_neighbour(batch, (*out)->index, address);
    }
    if (!batch.empty()) {
      if (auto sent = host_.route.send(batch, {ENOENT}); !sent) return sent;
    }
  }
  return change_addresses(host_.filter, elements);  // the routes go with the VPC's link
}

Result<void> PublicAddresses::collect() {
  auto present = list_addresses(host_.filter, instance_.nft_table(), dataplane::kPublicSet);
  if (!present) return tl::unexpected(present.error());
  AddressChange elements{instance_.nft_table(), std::string(dataplane::kPublicSet), {}, {}};
  for (const Ipv4 address : *present) {
    if (!owners_.contains(address)) elements.removed.push_back(address);
  }
  auto routes = list_routes(host_.route);
  auto links = list_links(host_.route);
  if (!routes) return tl::unexpected(routes.error());
  if (!links) return tl::unexpected(links.error());
  NetlinkBatch batch;
  for (const SeenRoute& route : *routes) {
    const auto link =
        std::find_if(links->begin(), links->end(), [&](const Link& l) { return l.index == route.device; });
    if (link == links->end() || !link->name.starts_with(instance_.link_prefix()) || route.protocol != kRouteProtocol)
      continue;
    const Ipv4 address = route.destination.base;
    if (route.destination.prefix != 32 || dataplane::kLinkBlock.contains(address)) continue;
    const auto owner = owners_.find(address);
    if (owner == owners_.end() || instance_.vpc_link(owner->second) != link->name) {
      delete_route(batch, route.destination, route.device);
    }
  }
  if (!batch.empty()) {
    if (auto sent = host_.route.send(batch, {ESRCH}); !sent) return sent;
  }
  return change_addresses(host_.filter, elements);
}

}  // namespace berth::network
