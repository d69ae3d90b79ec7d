// The chains of a VPC that do not depend on single interfaces; vpc_rules.h draws them.
#include <fmt/core.h>

#include <algorithm>
#include <optional>
#include <set>

#include "dataplane/names.h"
#include "dataplane/vpc_layout.h"
#include "dataplane/vpc_rules.h"

namespace berth::dataplane {
namespace {

constexpr std::string_view kExempt = "0x1";  // ct mark
constexpr std::string_view kPermits = "accept", kSenderPermits = "meta mark set 0x1 return";
// A packet that begins a connection has SYN alone. Others without a known flow belong to one that was ended.
constexpr std::string_view kNoBeginning = "tcp flags & (fin | syn | rst | ack) != syn goto refuse";

std::string number(std::string_view id) { return fmt::format("{:#x}", number_of(id)); }
std::string chain_name(std::string_view kind, std::string_view id) {
  return fmt::format("{}_{}", kind, group_set_name(id));
}

// "ip saddr 10.0.0.0/8 ", or nothing where any address does.
std::string network_text(std::string_view field, const Ipv4Network& network) {
  return network.prefix == 0 ? "" : fmt::format("ip {} {} ", field, network.to_string());
}

std::string networks_text(std::string_view field, std::vector<Ipv4Network> networks) {
  std::sort(networks.begin(), networks.end(), [](const Ipv4Network& one, const Ipv4Network& other) {
    return std::pair(one.prefix, one.base) < std::pair(other.prefix, other.base);
  });
  std::vector<Ipv4Network> disjoint;  // nft takes no set of which one network contains another
  for (const Ipv4Network& network : networks) {
    const bool within = std::any_of(disjoint.begin(), disjoint.end(),
                                    [&](const Ipv4Network& larger) { return larger.contains(network); });
    if (!within) disjoint.push_back(network);
  }
  if (disjoint.size() == 1) return network_text(field, disjoint[0]);
  std::string list;
  for (const Ipv4Network& network : disjoint) list += (list.empty() ? "" : ", ") + network.to_string();
  return fmt::format("ip {} {{ {} }} ", field, list);
}

// Nothing where no packet of IPv4 can match.
std::optional<std::string> match_text(const Match& match) {
  if (match.protocol < 0) return "";
  if (match.protocol == 58) return std::nullopt;
  if (match.protocol == 6 || match.protocol == 17) {
    const std::string_view name = match.protocol == 6 ? "tcp" : "udp";
    const int from = std::max(match.from, 0), to = match.to < 0 ? 65535 : std::min(match.to, 65535);
    if (from > to) return std::nullopt;
    if (from == 0 && to == 65535) return fmt::format("meta l4proto {} ", name);
    if (from == to) return fmt::format("{} dport {} ", name, from);
    return fmt::format("{} dport {}-{} ", name, from, to);
  }
  if (match.protocol == 1 && match.from >= 0) {
    std::string text = fmt::format("icmp type {} ", match.from & 255);
    if (match.to >= 0) text += fmt::format("icmp code {} ", match.to & 255);
    return text;
  }
  return fmt::format("meta l4proto {} ", match.protocol & 255);
}

std::vector<std::string> group_rules(const VpcNet& vpc, const std::vector<GroupRule>& rules, std::string_view field,
                                     std::string_view verdict) {
  std::vector<std::string> text;
  for (const GroupRule& rule : rules) {
    const auto match = match_text(rule.match);
    if (!match) continue;
    if (!rule.group.empty()) {
      if (!vpc.groups.contains(rule.group)) continue;  // nobody is a member of a group that is gone
      text.push_back(fmt::format("ip {} @{} {}{}", field, group_set_name(rule.group), *match, verdict));
    } else if (!rule.networks.empty()) {
      text.push_back(networks_text(field, rule.networks) + *match + std::string(verdict));
    }
  }
  return text;
}

bool refuses_something(const std::vector<AclRule>& rules) {
  return rules.empty() || !rules[0].allow || rules[0].match.protocol >= 0 || rules[0].network.prefix != 0;
}

std::vector<std::string> acl_rules(const std::vector<AclRule>& rules, std::string_view field) {
  std::vector<std::string> text;
  for (const AclRule& rule : rules) {
    const auto match = match_text(rule.match);
    if (match) text.push_back(network_text(field, rule.network) + *match + (rule.allow ? "return" : "goto refuse"));
  }
  text.push_back("goto refuse");
  return text;
}

class Structure {
 public:
  Structure(const VpcNet& vpc, const VpcFacts& facts) : vpc_(vpc), facts_(facts) {}

  Ruleset render() {
    sets();
    refusals();
    for (const auto& [id, group] : vpc_.groups) {
      const std::string name = group_set_name(id);
      out_.sets[name] = "set { type ipv4_addr; }";
      out_.chains[name + "_in"] = {"", group_rules(vpc_, group.ingress, "saddr", kPermits)};
      out_.chains[name + "_out"] = {"", group_rules(vpc_, group.egress, "daddr", kSenderPermits)};
    }
    for (const auto& [id, table] : vpc_.route_tables) route_table(id);
    forward();
    acls();
    input();
    nat();
    leading();
    return std::move(out_);
  }

 private:
  void sets() {
    out_.sets["links"] = "map { type ifname : mark; }";
    for (std::string_view way : {"in", "out"}) {
      out_.sets[fmt::format("combinations_{}", way)] = "map { type mark : verdict; }";
    }
    out_.sets["public"] = "set { type ipv4_addr; }";
    for (std::string_view name : {"to_public", "to_private"}) {
      out_.sets[std::string(name)] = "map { type ipv4_addr : ipv4_addr; }";
    }
    out_.sets["routers"] = "set { type ifname; }";
  }

  void refusals() {
    // Told at once: SDKs and shells must not hang on a dropped packet. A reset and not ICMP, see agent/network/README.md; and
    // of ICMP's reasons one that a socket of UDP hears. Where AWS swallows what has no way out, it is refused like the rest.
    out_.chains["refuse"] = {"", {"meta l4proto tcp reject with tcp reset", "reject with icmp type admin-prohibited"}};
    if (!facts_.answer_refused) out_.chains["refuse"].rules = {"drop"};
  }

  // By the device group of the links: "iifgroup vmap { 0x5 : jump rt_a }", with what `chain_of` says of each subnet.
  template <class ChainOf>
  void by_subnet(Chain& chain, std::string_view field, std::string_view verdict, ChainOf chain_of) {
    std::string list;
    for (const auto& [id, subnet] : vpc_.subnets) {
      const std::string target = chain_of(id, subnet);
      if (target.empty()) continue;
      list += fmt::format("{}{} : {} {}", list.empty() ? "" : ", ", number(id), verdict, target);
    }
    if (!list.empty()) chain.rules.push_back(fmt::format("{} vmap {{ {} }}", field, list));
  }

  std::string nat_verdict(const std::string& id) {
    const auto nat = vpc_.nats.find(id);
    if (nat == vpc_.nats.end() || !nat->second.public_address) return "goto refuse";
    const auto subnet = vpc_.subnets.find(nat->second.subnet);
    if (subnet == vpc_.subnets.end() || !vpc_.route_tables.contains(subnet->second.route_table)) return "goto refuse";
    return "jump " + chain_name("via", subnet->second.route_table);
  }

  // rt_: of a packet that a task of a subnet with this table sends; via_: that a NAT gateway there sends; back_: that comes
  // from outside and must find its way back. All return where there is a way.
  void route_table(const std::string& id) {
    Chain from_task, from_nat, back;
    for (const RouteNet& route : routes_of(vpc_, id)) {
      const std::string to = network_text("daddr", route.destination);
      const bool internet = route.target == RouteTarget::internet;
      from_nat.rules.push_back(to + (internet ? "return" : "goto refuse"));
      back.rules.push_back(network_text("saddr", route.destination) + (internet ? "return" : "goto refuse"));
      switch (route.target) {
        case RouteTarget::local: from_task.rules.push_back(to + "return"); break;
        case RouteTarget::internet:
          from_task.rules.push_back(fmt::format("{}oifname \"{}\" ip saddr @{} return", to, kVpcUplink, kPublicSet));
          from_task.rules.push_back(to + "goto refuse");
          break;
        case RouteTarget::nat:
          from_task.rules.push_back(to + nat_verdict(route.id));
          from_task.rules.push_back(
              fmt::format("{}oifname \"{}\" ct mark set {} return", to, kVpcUplink, number(route.id)));
          from_task.rules.push_back(to + "goto refuse");
          break;
        case RouteTarget::interface:
          from_task.rules.push_back(fmt::format("{}meta mark {} oifname @routers return", to, number(route.id)));
          from_task.rules.push_back(to + "goto refuse");
          break;
        case RouteTarget::blackhole: from_task.rules.push_back(to + "goto refuse"); break;
      }
    }
    for (auto& [kind, chain] : {std::pair{"rt", &from_task}, {"via", &from_nat}, {"back", &back}}) {
      chain->rules.push_back("goto refuse");
      out_.chains[chain_name(kind, id)] = std::move(*chain);
    }
  }

  std::string table_chain(std::string_view kind, const SubnetNet& subnet) {
    return vpc_.route_tables.contains(subnet.route_table) ? chain_name(kind, subnet.route_table) : "refuse";
  }

  void forward() {
    Chain& chain = out_.chains["forward"];
    chain.hook = "type filter hook forward priority filter; policy drop;";
    chain.rules = {
        "ct state established,related accept", "ct state invalid drop",
        fmt::format("iifname \"{}\" goto from_host", kVpcUplink), std::string(kNoBeginning),
        // Before the next, since clouds have their name server there.
        fmt::format("ip daddr {} ct status dnat ct mark set {} accept", facts_.host_end.to_string(), kExempt),
        "ip daddr 169.254.0.0/16 goto refuse", "iifgroup 0 goto refuse"};
    by_subnet(chain, "iifgroup", "jump",
              [&](const std::string&, const SubnetNet& subnet) { return table_chain("rt", subnet); });
    // A link that is not in the map leaves the mark as it is.
    chain.rules.insert(chain.rules.end(),
                       {"meta mark set 0x0", "meta mark set iifname map @links", "meta mark vmap @combinations_out",
                        "meta mark != 0x1 goto refuse", "goto receiver"});
    out_.chains["receiver"] = {"",
                               {fmt::format("oifname \"{}\" accept", kVpcUplink), "meta mark set 0x0",
                                "meta mark set oifname map @links", "meta mark vmap @combinations_in", "goto refuse"}};

    // What was sent to a public address is traffic from outside. Else it is the host's own: others were refused there.
    out_.chains["from_host"] = {"",
                                {fmt::format("oifname \"{}\" goto refuse", kVpcUplink),
                                 "ct status dnat goto from_outside", fmt::format("ct mark set {} accept", kExempt)}};
    Chain& outside = out_.chains["from_outside"];
    // Nobody outside has an address of the VPC's: as one, he would count as a member of a group.
    outside.rules = {networks_text("saddr", vpc_.cidrs) + "goto refuse", std::string(kNoBeginning)};
    by_subnet(outside, "oifgroup", "jump",
              [&](const std::string&, const SubnetNet& subnet) { return table_chain("back", subnet); });
    outside.rules.push_back("goto receiver");
  }

  const AclNet* acl_of(const SubnetNet& subnet) const {
    const auto acl = vpc_.acls.find(subnet.acl);
    return acl == vpc_.acls.end() ? nullptr : &acl->second;
  }

  // Where a subnet's ACL lets everything pass one way, the packets that go that way are not looked at.
  void acls() {
    std::set<std::string> out_used, in_used;
    for (const auto& [id, subnet] : vpc_.subnets) {
      const AclNet* acl = acl_of(subnet);
      if (!acl) continue;
      const std::string cidr = subnet.cidr.to_string();
      if (refuses_something(acl->egress)) {
        out_used.insert(subnet.acl);
        out_.chains[chain_name("leave", id)] = {
            "", {fmt::format("ip daddr {} return", cidr), "goto " + chain_name("out", subnet.acl)}};
      }
      if (refuses_something(acl->ingress)) {
        in_used.insert(subnet.acl);
        out_.chains[chain_name("enter", id)] = {
            "", {fmt::format("ip saddr {} return", cidr), "goto " + chain_name("in", subnet.acl)}};
      }
    }
    if (out_used.empty() && in_used.empty()) return;
    for (const std::string& id : out_used)
      out_.chains[chain_name("out", id)] = {"", acl_rules(vpc_.acls.at(id).egress, "daddr")};
    for (const std::string& id : in_used)
      out_.chains[chain_name("in", id)] = {"", acl_rules(vpc_.acls.at(id).ingress, "saddr")};
    Chain& chain = out_.chains["acl"];
    chain.hook = "type filter hook forward priority filter + 20; policy accept;";
    chain.rules = {fmt::format("ct mark {} accept", kExempt)};
    const auto of = [&](std::string_view kind) {
      return [this, kind](const std::string& id, const SubnetNet&) {
        const std::string name = chain_name(kind, id);
        return out_.chains.contains(name) ? name : std::string();
      };
    };
    by_subnet(chain, "iifgroup", "jump", of("leave"));
    nat_acls(chain, out_used, in_used);
    by_subnet(chain, "oifgroup", "jump", of("enter"));
  }

  // The border of a NAT gateway's subnet, which a flow through it crosses twice, both ways, unless it begins in there.
  void nat_acls(Chain& chain, const std::set<std::string>& out_used, const std::set<std::string>& in_used) {
    std::string list;
    for (const auto& [id, nat] : vpc_.nats) {
      const auto subnet = vpc_.subnets.find(nat.subnet);
      if (subnet == vpc_.subnets.end()) continue;
      const std::string& acl = subnet->second.acl;
      if (!out_used.contains(acl) && !in_used.contains(acl)) continue;
      const std::string cidr = subnet->second.cidr.to_string();
      Chain& border = out_.chains[chain_name("nat", id)];
      border.rules = {fmt::format("ip saddr {} return", cidr), fmt::format("ip daddr {} return", cidr)};
      if (in_used.contains(acl)) border.rules.push_back("jump " + chain_name("in", acl));
      if (out_used.contains(acl)) border.rules.push_back("jump " + chain_name("out", acl));
      list += fmt::format("{}{} : jump {}", list.empty() ? "" : ", ", number(id), chain_name("nat", id));
    }
    if (!list.empty()) chain.rules.push_back(fmt::format("ct mark vmap {{ {} }}", list));
  }

  std::vector<Ipv4> resolvers() const {
    std::vector<Ipv4Network> subnets;
    for (const auto& [id, subnet] : vpc_.subnets) subnets.push_back(subnet.cidr);
    std::sort(subnets.begin(), subnets.end());
    return resolver_addresses(vpc_.cidrs[0], subnets);
  }

  // What the namespace itself answers. Here the API and 169.254.170.2 will be let through.
  void input() {
    Chain& chain = out_.chains["input"];
    chain.hook = "type filter hook input priority filter; policy accept;";
    chain.rules = {"iifname \"lo\" accept", "ct state established,related accept"};
    if (facts_.resolver && vpc_.dns) {
      chain.rules.push_back(fmt::format("ip daddr {{ {}, {} }} meta l4proto {{ tcp, udp }} th dport 53 accept",
                                        resolver_address(vpc_.cidrs[0]).to_string(), kLinkLocalResolver.to_string()));
    }
    chain.rules.push_back("goto refuse");
  }

  void nat() {
    Chain& in = out_.chains["dstnat"];
    in.hook = "type nat hook prerouting priority dstnat; policy accept;";
    in.rules = {fmt::format("iifname \"{}\" dnat to ip daddr map @to_private", kVpcUplink)};
    if (!facts_.resolver && vpc_.dns) {
      std::vector<std::pair<Ipv4, int>> turned = {{kLinkLocalResolver, 53}};
      int port = 53;
      for (Ipv4 resolver : resolvers()) turned.emplace_back(resolver, port++);
      for (const auto& [resolver, to] : turned) {
        for (std::string_view protocol : {"udp", "tcp"}) {
          in.rules.push_back(fmt::format("iifname != \"{}\" ip daddr {} {} dport 53 dnat to {}:{}", kVpcUplink,
                                         resolver.to_string(), protocol, facts_.host_end.to_string(), to));
        }
      }
    }
    // Addresses that no task has. The unreachable route alone would answer by ICMP, which TCP does not hear. Here, since
    // this chain sees only what begins a flow.
    in.rules.push_back("fib daddr type != local fib daddr oif missing goto refuse");
    Chain& out = out_.chains["srcnat"];
    out.hook = "type nat hook postrouting priority srcnat; policy accept;";
    out.rules = {fmt::format("oifname != \"{}\" accept", kVpcUplink),
                 fmt::format("ip daddr {} snat to {}", facts_.host_end.to_string(), facts_.vpc_end.to_string())};
    for (const auto& [id, nat] : vpc_.nats) {
      if (!nat.public_address) continue;
      const std::string address = nat.public_address->to_string();
      out.rules.push_back(
          fmt::format("ct mark {} meta l4proto {{ tcp, udp }} snat to {}:1024-65535", number(id), address));
      out.rules.push_back(fmt::format("ct mark {} snat to {}", number(id), address));
    }
    out.rules.push_back("snat to ip saddr map @to_public");
  }

  // Packets that a route leads to an interface get its mark, by which the kernel finds its routing table.
  void leading() {
    std::set<std::string> tables;
    for (const auto& [id, table] : vpc_.route_tables) {
      const bool leads = std::any_of(table.routes.begin(), table.routes.end(),
                                     [](const RouteNet& route) { return route.target == RouteTarget::interface; });
      if (!leads) continue;
      tables.insert(id);
      Chain& chain = out_.chains[chain_name("lead", id)];
      for (const RouteNet& route : routes_of(vpc_, id)) {
        const std::string to = network_text("daddr", route.destination);
        if (route.target == RouteTarget::interface) {
          chain.rules.push_back(fmt::format("{}meta mark set {} return", to, number(route.id)));
        } else {
          chain.rules.push_back(to + "return");
        }
      }
    }
    if (tables.empty()) return;
    Chain& chain = out_.chains["lead"];
    chain.hook = "type filter hook prerouting priority mangle; policy accept;";
    by_subnet(chain, "iifgroup", "jump", [&](const std::string&, const SubnetNet& subnet) {
      return tables.contains(subnet.route_table) ? chain_name("lead", subnet.route_table) : std::string();
    });
  }

  const VpcNet& vpc_;
  const VpcFacts& facts_;
  Ruleset out_;
};

}  // namespace

Ruleset render_structure(const VpcNet& structure, const VpcFacts& facts) {
  return Structure(structure, facts).render();
}

}  // namespace berth::dataplane
