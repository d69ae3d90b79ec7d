#include "dataplane/ruleset.h"

#include <fmt/core.h>

#include "dataplane/vpc_layout.h"

namespace berth::dataplane {
namespace {

// Told at once: SDKs and shells must not hang on a dropped packet.
constexpr std::string_view kRefuseChain =
    "  chain refuse {\n"
    "    meta l4proto tcp reject with tcp reset\n"
    "    reject with icmp type admin-prohibited\n"
    "  }\n";

std::string join(const std::vector<Ipv4Network>& networks) {
  std::string text;
  for (const Ipv4Network& network : networks) text += (text.empty() ? "" : ", ") + network.to_string();
  return text;
}

}  // namespace

std::string group_set_name(std::string_view security_group) {
  std::string name;
  for (char c : security_group.substr(0, 28)) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    name += plain ? c : '_';
  }
  return name;
}

// Declarations first, then `flush table`, which empties chains and leaves sets alone, then the rules: one transaction.
std::string render_vpc_ruleset(const VpcRules& rules) {
  std::string sets = fmt::format("  set {} {{ type ipv4_addr; }}\n", kPublicSet);
  std::string groups;
  for (const SecurityGroupRules& group : rules.groups) {
    const std::string set = group_set_name(group.id);
    sets += fmt::format("  set {} {{ type ipv4_addr; }}\n", set);
    if (group.allow_within) groups += fmt::format("    ip daddr @{} ip saddr @{} accept\n", set, set);
  }
  std::string resolver;
  const std::vector<Ipv4> resolvers = resolver_addresses(rules.network, rules.subnets);
  for (size_t i = 0; !rules.upstreams.empty() && i < resolvers.size(); ++i) {
    for (std::string_view protocol : {"udp", "tcp"}) {
      resolver +=
          fmt::format("    iifname != \"{}\" ip daddr {} {} dport 53 dnat to {}\n", kVpcUplink,
                      resolvers[i].to_string(), protocol, rules.upstreams[i % rules.upstreams.size()].to_string());
    }
  }
  return fmt::format(
      "table ip {table} {{\n"
      "{sets}"
      "  chain refuse {{ }}\n"
      "  chain groups {{ }}\n"
      "  chain forward {{ type filter hook forward priority filter; policy drop; }}\n"
      "  chain resolver {{ type nat hook prerouting priority dstnat; policy accept; }}\n"
      "  chain nobody {{ type filter hook prerouting priority filter; policy accept; }}\n"
      "}}\n"
      "flush table ip {table}\n"
      "table ip {table} {{\n"
      "{refuse}"
      // Judges packets between tasks: whom no rule of any group of the destination accepts is refused.
      "  chain groups {{\n{groups}  }}\n"
      "  chain forward {{\n"
      "    ct state established,related accept\n"
      "    ct state invalid drop\n"
      // Questions to the resolver, with or without a public address; before the next, since clouds have their name server
      // there.
      "    ct status dnat accept\n"
      "    ip daddr 169.254.0.0/16 goto refuse\n"
      "    iifname \"{uplink}\" accept\n"  // the host's own connections; others were refused on the host
      "    oifname \"{uplink}\" ip saddr @{public_set} accept\n"
      "    oifname \"{uplink}\" goto refuse\n"
      "    jump groups\n"
      "    goto refuse\n"
      "  }}\n"
      "  chain resolver {{\n{resolver}  }}\n"
      // Addresses that no task has. The unreachable route alone would answer by ICMP, within the sender's own connect(),
      // where its socket is locked and Linux drops ICMP errors: the caller would hang for a second. A reset waits its turn.
      "  chain nobody {{\n"
      "    ct state new fib daddr type != local fib daddr oif missing goto refuse\n"
      "  }}\n"
      "}}\n",
      fmt::arg("table", kVpcTable), fmt::arg("sets", sets), fmt::arg("refuse", kRefuseChain),
      fmt::arg("groups", groups), fmt::arg("uplink", kVpcUplink), fmt::arg("public_set", kPublicSet),
      fmt::arg("resolver", resolver));
}

std::string render_host_ruleset(const HostRules& rules) {
  std::string resolvers;
  for (Ipv4 resolver : rules.local_resolvers) {
    resolvers += fmt::format("    ip daddr {0} udp dport 53 accept\n    ip daddr {0} tcp dport 53 accept\n",
                             resolver.to_string());
  }
  std::string turn, source;
  if (rules.loopback_resolver) {
    const std::string resolver = rules.loopback_resolver->to_string();
    for (std::string_view protocol : {"udp", "tcp"}) {
      for (const Ipv4Network& vpc : rules.vpcs) {
        turn += fmt::format("    iifname \"{}*\" ip daddr {} {} dport 53 dnat to {}\n", rules.link_prefix,
                            host_address(vpc).to_string(), protocol, resolver);
      }
      resolvers += fmt::format("    ct status dnat ip daddr {} {} dport 53 accept\n", resolver, protocol);
      source += fmt::format("    iifname \"{}*\" ip daddr {} {} dport 53 snat to 127.0.0.1\n", rules.link_prefix,
                            resolver, protocol);
    }
  }
  std::string masquerade;
  if (!rules.vpcs.empty()) {
    masquerade =
        fmt::format("    ip saddr {{ {} }} oifname != \"{}*\" masquerade\n", join(rules.vpcs), rules.link_prefix);
  }
  return fmt::format(
      "table ip {table} {{\n"
      "  chain refuse {{ }}\n"
      "  chain input {{ type filter hook input priority filter - 5; policy accept; }}\n"
      "  chain forward {{ type filter hook forward priority filter - 5; policy accept; }}\n"
      "  chain prerouting {{ type nat hook prerouting priority dstnat; policy accept; }}\n"
      "  chain source {{ type nat hook input priority 100; policy accept; }}\n"
      "  chain postrouting {{ type nat hook postrouting priority srcnat; policy accept; }}\n"
      "}}\n"
      "flush table ip {table}\n"
      "table ip {table} {{\n"
      "{refuse}"
      "  chain input {{\n"
      "    iifname != \"{prefix}*\" accept\n"
      "    ct state established,related accept\n"
      "{resolvers}"
      "    goto refuse\n"
      "  }}\n"
      // Before the host's own forward chains, which still judge what is accepted here. Into a VPC comes only what answers
      // it: that the host forwards at all must not open tasks to the host's neighbours, or one VPC to another.
      "  chain forward {{\n"
      "    oifname \"{prefix}*\" ct state established,related accept\n"
      "    oifname \"{prefix}*\" goto refuse\n"
      "  }}\n"
      "  chain prerouting {{\n{turn}  }}\n"
      "  chain source {{\n{source}  }}\n"
      "  chain postrouting {{\n{masquerade}  }}\n"
      "}}\n",
      fmt::arg("table", rules.table), fmt::arg("refuse", kRefuseChain), fmt::arg("prefix", rules.link_prefix),
      fmt::arg("resolvers", resolvers), fmt::arg("turn", turn), fmt::arg("source", source),
      fmt::arg("masquerade", masquerade));
}

}  // namespace berth::dataplane
