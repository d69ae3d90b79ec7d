// What the network of one host should be, as one value: built from records by control/network, rendered whole (ruleset.h),
// applied as a difference (agent/network). Ids are EC2's. Nothing here names a kernel object, a path or a process.
//
// Security groups, network ACLs, routes and gateways mean what they mean on AWS (VPC User Guide); judge.h is their meaning as
// a function, which `berth net why` and the property test ask.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/ipv4.h"

namespace berth::dataplane {

// What a rule matches beside its peer. Protocol: IANA's number, -1 for all. Ports count for TCP (6) and UDP (17) alone; for
// ICMP (1) `from` is the type and `to` the code, -1 for all.
struct Match {
  int protocol = -1;
  int from = -1;
  int to = -1;
  auto operator<=>(const Match&) const = default;
};

// One security group rule. The peer is either networks (a CIDR; a prefix list: all of its) or the members of a group.
struct GroupRule {
  std::string id;  // sgr-…
  Match match;
  std::vector<Ipv4Network> networks;
  std::string group;
  auto operator<=>(const GroupRule&) const = default;
};

struct GroupNet {
  std::vector<GroupRule> ingress;
  std::vector<GroupRule> egress;
  bool operator==(const GroupNet&) const = default;
};

struct AclRule {
  int number = 0;
  bool allow = false;
  Match match;
  Ipv4Network network;
  auto operator<=>(const AclRule&) const = default;
};

struct AclNet {  // ascending by number; the final deny (32767) is not listed, it is always there
  std::vector<AclRule> ingress;
  std::vector<AclRule> egress;
  bool operator==(const AclNet&) const = default;
};

enum class RouteTarget { local, internet, nat, interface, blackhole };

struct RouteNet {
  Ipv4Network destination;
  RouteTarget target = RouteTarget::local;
  std::string id;  // of the NAT gateway, the interface or the internet gateway
  auto operator<=>(const RouteNet&) const = default;
};

struct RouteTableNet {
  std::vector<RouteNet> routes;  // longest prefix first
  bool operator==(const RouteTableNet&) const = default;
};

struct SubnetNet {
  Ipv4Network cidr;
  std::string route_table;
  std::string acl;
  bool operator==(const SubnetNet&) const = default;
};

struct NatNet {
  std::string subnet;
  Ipv4 address;
  std::optional<Ipv4> public_address;  // absent: a private NAT gateway
  bool operator==(const NatNet&) const = default;
};

// One private address and what belongs to it. A task's interface has one; those made by API may have more.
struct InterfaceNet {
  std::string subnet;
  Ipv4 address;
  std::vector<Ipv4> secondary;
  std::vector<std::string> groups;
  std::optional<Ipv4> public_address;  // of the primary address
  bool source_dest_check = true;
  std::string task;  // the task in whose namespace it is; empty: nothing answers there
  bool operator==(const InterfaceNet&) const = default;
};

struct VpcNet {
  std::vector<Ipv4Network> cidrs;  // the primary one first
  std::map<std::string, SubnetNet> subnets;
  std::map<std::string, RouteTableNet> route_tables;
  std::map<std::string, AclNet> acls;
  std::map<std::string, GroupNet> groups;
  std::map<std::string, NatNet> nats;
  std::map<std::string, InterfaceNet> interfaces;
  bool dns = true;  // enableDnsSupport: the resolver answers at the primary CIDR + 2 and at 169.254.169.253
  bool operator==(const VpcNet&) const = default;
};

struct HostNetwork {
  std::map<std::string, VpcNet> vpcs;
  bool operator==(const HostNetwork&) const = default;
};

// What changed since the value before: the cost of applying follows this list, not the size of the network.
struct NetworkChange {
  std::string vpc;
  // The VPC's structure as it is now (everything but `interfaces`, which is empty here); absent: it did not change.
  std::optional<VpcNet> structure;
  std::map<std::string, std::optional<InterfaceNet>> interfaces;  // absent value: it is gone
  bool whole = false;    // `interfaces` are all that there are: what is not among them is gone
  bool removed = false;  // the VPC itself; the rest is then empty
};

}  // namespace berth::dataplane
