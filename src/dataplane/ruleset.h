// Renders the host's side of this instance's network as a nftables ruleset: one table, whose text is the same as long as the
// host's name servers are. Pure; agent/network loads it as one transaction. What a VPC's namespace has, is in vpc_rules.h.
//
// Chains are flushed and filled again: loading it twice changes nothing, and the elements of its set stay.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ipv4.h"
#include "dataplane/vpc_rules.h"

namespace berth::dataplane {

struct HostRules {
  std::string table;        // berth_<instance>
  std::string link_prefix;  // be<instance>v: begins the name of every VPC link of this instance
  // Whom VPCs' questions for names are turned to: the first for those to port 53 of the host's end of a VPC's link, the
  // second for port 54, the third for 55; where there are fewer, they take turns. Those on loopback are asked under a loopback
  // address, as by the host's own programs; the kernel takes such packets from a link only with its route_localnet set.
  std::vector<Ipv4> name_servers;
  // Public addresses are this host's own invention (a block of 198.18.0.0/15): whoever is beyond it sees the host's address.
  bool masquerade_public = true;
};

// Its set `public` holds the public addresses of this instance: the only ones of its VPCs that others may begin to talk to.
std::string render_host_ruleset(const HostRules& rules);

}  // namespace berth::dataplane
