#include "dataplane/ruleset.h"

#include <fmt/core.h>

#include "dataplane/vpc_layout.h"

namespace berth::dataplane {

std::string render_host_ruleset(const HostRules& rules) {
  const Ipv4Network loopback{{127u << 24}, 8};
  std::string turn, open, source;
  for (size_t i = 0; i < kResolversMax && !rules.name_servers.empty(); ++i) {
    const Ipv4 server = rules.name_servers[i % rules.name_servers.size()];
    for (std::string_view protocol : {"udp", "tcp"}) {
      turn += fmt::format("    iifname \"{}*\" ip daddr {} {} dport {} dnat to {}:53\n", rules.link_prefix,
                          kLinkBlock.to_string(), protocol, 53 + i, server.to_string());
      if (i >= rules.name_servers.size()) continue;
      open += fmt::format("    ct status dnat ip daddr {} {} dport 53 accept\n", server.to_string(), protocol);
      if (!loopback.contains(server)) continue;
      source += fmt::format("    iifname \"{}*\" ip daddr {} {} dport 53 snat to 127.0.0.1\n", rules.link_prefix,
                            server.to_string(), protocol);
    }
  }
  std::string masquerade =
      fmt::format("    ip saddr {} oifname != \"{}*\" masquerade\n", kLinkBlock.to_string(), rules.link_prefix);
  if (rules.masquerade_public) {
    masquerade += fmt::format("    ip saddr @{} oifname != \"{}*\" masquerade\n", kPublicSet, rules.link_prefix);
  }
  return fmt::format(
      "table ip {table} {{\n"
      "  set {public_set} {{ type ipv4_addr; }}\n"
      "  chain refuse {{ }}\n"
      "  chain input {{ type filter hook input priority filter - 5; policy accept; }}\n"
      "  chain forward {{ type filter hook forward priority filter - 5; policy accept; }}\n"
      "  chain prerouting {{ type nat hook prerouting priority dstnat; policy accept; }}\n"
      "  chain source {{ type nat hook input priority 100; policy accept; }}\n"
      "  chain postrouting {{ type nat hook postrouting priority srcnat; policy accept; }}\n"
      "}}\n"
      "flush table ip {table}\n"
      "table ip {table} {{\n"
      // Told at once: SDKs and shells must not hang on a dropped packet.
      "  chain refuse {{\n"
      "    meta l4proto tcp reject with tcp reset\n"
      "    reject with icmp type admin-prohibited\n"
      "  }}\n"
      "  chain input {{\n"
      "    iifname != \"{prefix}*\" accept\n"
      "    ct state established,related accept\n"
      "{open}"
      "    goto refuse\n"
      "  }}\n"
      // Before the host's own forward chains, which still judge what is accepted here. Into a VPC comes what answers it and
      // what is for a public address, of which the VPC's groups decide: that the host forwards at all must not open private
      // addresses to the host's neighbours, or one VPC to another.
      "  chain forward {{\n"
      "    oifname \"{prefix}*\" ct state established,related accept\n"
      "    oifname \"{prefix}*\" ip daddr @{public_set} accept\n"
      "    oifname \"{prefix}*\" goto refuse\n"
      "  }}\n"
      "  chain prerouting {{\n{turn}  }}\n"
      "  chain source {{\n{source}  }}\n"
      "  chain postrouting {{\n{masquerade}  }}\n"
      "}}\n",
      fmt::arg("table", rules.table), fmt::arg("public_set", kPublicSet), fmt::arg("prefix", rules.link_prefix),
      fmt::arg("open", open), fmt::arg("turn", turn), fmt::arg("source", source), fmt::arg("masquerade", masquerade));
}

}  // namespace berth::dataplane
