// Renders what the network should be as nftables rulesets. Pure; agent/network loads the text, each as one transaction.
//
// Both rulesets declare tables, sets and chains, flush the chains and fill them again: loading one twice changes nothing,
// and the sets' elements (a task's facts) stay. A task never has a chain of its own.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ipv4.h"

namespace berth::dataplane {

inline constexpr std::string_view kVpcTable = "berth";
inline constexpr std::string_view kPublicSet = "public";  // tasks with assignPublicIp
inline constexpr std::string_view kVpcUplink = "host";    // the VPC's end of its link to the host

// sg-0123… → sg_0123…: the set of a group's members, and its chain's name with "_in". At most 32 bytes (nftables' bound
// is 255, sets' names in older kernels 32).
std::string group_set_name(std::string_view security_group);

struct SecurityGroupRules {
  std::string id;
  bool allow_within = true;  // members reach one another on every port: AWS's rule for a VPC's default group
  auto operator<=>(const SecurityGroupRules&) const = default;
};

struct VpcRules {
  Ipv4Network network;
  std::vector<Ipv4Network> subnets;
  std::vector<SecurityGroupRules> groups;
  // The host's name servers, in its order; without one, questions to the VPC's resolvers are rejected. Every resolver
  // leads to one of them, also where there are fewer: a task that was told of two keeps both when the host moves.
  std::vector<Ipv4> upstreams;
};

// Inside the VPC's namespace.
std::string render_vpc_ruleset(const VpcRules& rules);

struct HostRules {
  std::string table;        // berth_<instance>
  std::string link_prefix;  // be<instance>v: begins the name of every VPC link of this instance
  std::vector<Ipv4Network> vpcs;
  // Name servers that are addresses of this very host: the only ports of it that VPCs may reach.
  std::vector<Ipv4> local_resolvers;
  // The host's name server where it listens on loopback only. VPCs ask it at the host's end of their link (host_address
  // of each), from where the questions are turned to it, under a loopback address as the server would have it from the
  // host's own programs. The kernel takes such packets from a link only with its route_localnet set; that opens nothing
  // else, since what is for the host is refused but for these questions.
  std::optional<Ipv4> loopback_resolver;
};

// On the host: one table an instance, static as long as its VPCs are.
std::string render_host_ruleset(const HostRules& rules);

}  // namespace berth::dataplane
