// What of the VPCs' addresses the host routes into them.
//
// Thread: the network thread only, in the host's namespace.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "agent/network/host.h"
#include "agent/network/instance.h"
#include "dataplane/host_network.h"

namespace berth::network {

// Private networks, each where it is free on the host: no other route overlaps it, of a VPN, of the LAN, or into another VPC.
class PrivateRoutes {
 public:
  PrivateRoutes(Host& host, const Instance& instance) : host_(host), instance_(instance) {}

  // Adds what is missing and has become possible, removes what no VPC of `wanted` has any more. What is there stays, whatever
  // routes have come to this machine since. Call when a VPC comes or goes, or its networks change.
  Result<void> put(const std::vector<VpcRecord>& wanted);

 private:
  Host& host_;
  const Instance& instance_;
};

// Public addresses: a route each, and an element in the host's set.
class PublicAddresses {
 public:
  // `announced`: the addresses lie in the LAN of the uplink, which asks for them by ARP.
  PublicAddresses(Host& host, const Instance& instance, bool announced)
      : host_(host), instance_(instance), announced_(announced) {}

  // An address that another VPC has taken over meanwhile stays with that one.
  Result<void> change(const std::string& vpc_id, Ipv4 vpc_end, const std::set<Ipv4>& removed,
                      const std::set<Ipv4>& added);
  Result<void> drop_all_of(const std::string& vpc_id);
  // Removes what an earlier run left and nobody has.
  Result<void> collect();

 private:
  Host& host_;
  const Instance& instance_;
  const bool announced_;
  std::map<Ipv4, std::string> owners_;  // VPCs' ids
};

// Of the VPC as it is, those that the change may concern: of the interfaces that it names, and of NAT gateways.
std::set<Ipv4> public_addresses(const dataplane::VpcNet& vpc, const dataplane::NetworkChange& change);

}  // namespace berth::network
