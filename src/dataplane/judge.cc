#include "dataplane/judge.h"

#include <fmt/core.h>

#include <algorithm>

#include "dataplane/vpc_layout.h"

namespace berth::dataplane {
namespace {

constexpr int kIcmp = 1, kTcp = 6, kUdp = 17, kEcho = 8, kEchoReply = 0;

bool matches(const Match& match, int protocol, int port) {
  if (match.protocol < 0) return true;
  if (match.protocol != protocol) return false;
  if (protocol == kIcmp) return match.from < 0 || (match.from == port && match.to <= 0);  // of its codes 0 is sent
  if (protocol != kTcp && protocol != kUdp) return true;
  return (match.from < 0 || port >= match.from) && (match.to < 0 || port <= match.to);
}

std::string protocol_text(int protocol, int port) {
  if (protocol == kIcmp) return fmt::format("icmp type {}", port);
  return fmt::format("{} {}", protocol == kTcp ? "tcp" : "udp", port);
}

const InterfaceNet* interface_at(const VpcNet& vpc, Ipv4 address) {
  for (const auto& [id, interface] : vpc.interfaces) {
    const auto& more = interface.secondary;
    if (interface.address == address || std::find(more.begin(), more.end(), address) != more.end()) return &interface;
  }
  return nullptr;
}

const std::string& id_of(const VpcNet& vpc, const InterfaceNet& wanted) {
  for (const auto& [id, interface] : vpc.interfaces) {
    if (&interface == &wanted) return id;
  }
  static const std::string none;
  return none;
}

class Walk {
 public:
  Walk(const HostNetwork& network, const Question& question) : network_(network), question_(question) {}

  Verdict from_interface(const std::string& vpc_id, const std::string& interface_id, Ipv4 to) {
    const auto vpc = network_.vpcs.find(vpc_id);
    if (vpc == network_.vpcs.end()) return no("nothing runs in " + vpc_id);
    const auto interface = vpc->second.interfaces.find(interface_id);
    if (interface == vpc->second.interfaces.end()) return no("there is no interface " + interface_id);
    leave(vpc->second, interface->second, to);
    return std::move(verdict_);
  }

  Verdict from_outside(Ipv4 from, Ipv4 to) {
    enter(from, to);
    return std::move(verdict_);
  }

 private:
  Verdict no(std::string what) {
    refuse(std::move(what));
    return std::move(verdict_);
  }
  bool refuse(std::string what) {
    verdict_.steps.push_back({false, std::move(what)});
    return false;
  }
  bool pass(std::string what) {
    verdict_.steps.push_back({true, std::move(what)});
    return true;
  }

  void leave(const VpcNet& vpc, const InterfaceNet& from, Ipv4 to) {
    const bool resolver = to == kLinkLocalResolver || to == resolver_address(vpc.cidrs[0]);
    if (resolver && question_.port == 53 && question_.protocol != kIcmp) {
      if (!vpc.dns) return void(refuse("the VPC's enableDnsSupport is off"));
      return void(pass("the VPC's resolver, which neither groups nor ACLs keep from anybody"));
    }
    if (Ipv4Network{{169u << 24 | 254u << 16}, 16}.contains(to)) {
      return void(refuse(to.to_string() + " is link-local, and nobody there serves tasks"));
    }
    const auto subnet = vpc.subnets.find(from.subnet);
    if (subnet == vpc.subnets.end()) return void(refuse("there is no subnet " + from.subnet));
    const RouteNet* route = find_route(vpc, subnet->second.route_table, to);
    const RouteNet local{{}, RouteTarget::local, "local"};
    if (!route && inside(vpc, to)) route = &local;
    if (!route) return void(refuse(fmt::format("{} has no route to {}", subnet->second.route_table, to.to_string())));
    switch (route->target) {
      case RouteTarget::local: return to_neighbour(vpc, from, subnet->second, to);
      case RouteTarget::internet: return by_internet(vpc, from, subnet->second, to);
      case RouteTarget::nat: return by_nat(vpc, from, subnet->second, to, route->id);
      case RouteTarget::interface: return by_interface(vpc, from, subnet->second, to, route->id);
      case RouteTarget::blackhole:
        return void(refuse(fmt::format("{} leads {} into a black hole", subnet->second.route_table, to.to_string())));
    }
  }

  void to_neighbour(const VpcNet& vpc, const InterfaceNet& from, const SubnetNet& subnet, Ipv4 to) {
    pass("the local route");
    const InterfaceNet* there = interface_at(vpc, to);
    if (!there) return void(refuse("no interface has " + to.to_string()));
    if (there->task.empty())
      return void(refuse(fmt::format("{} belongs to no task: nothing answers there", id_of(vpc, *there))));
    const SubnetNet& other = vpc.subnets.at(there->subnet);
    const bool border = there->subnet != from.subnet;
    if (!group(vpc, from, false, to) || (border && !acl(vpc, subnet, false, to, question_.port)) ||
        (border && !acl(vpc, other, true, from.address, question_.port)) || !group(vpc, *there, true, from.address)) {
      return;
    }
    if (!border || !answers()) return;
    if (acl(vpc, other, false, from.address, answer_port(), true)) acl(vpc, subnet, true, to, answer_port(), true);
  }

  void by_internet(const VpcNet& vpc, const InterfaceNet& from, const SubnetNet& subnet, Ipv4 to) {
    if (!from.public_address) {
      return void(refuse("the route leads to an internet gateway, and the interface has no public address"));
    }
    pass(fmt::format("an internet gateway, as {}", from.public_address->to_string()));
    if (!group(vpc, from, false, to) || !acl(vpc, subnet, false, to, question_.port)) return;
    if (answers() && !acl(vpc, subnet, true, to, answer_port(), true)) return;
    beyond(*from.public_address, to);
  }

  void by_nat(const VpcNet& vpc, const InterfaceNet& from, const SubnetNet& subnet, Ipv4 to, const std::string& id) {
    const auto nat = vpc.nats.find(id);
    if (nat == vpc.nats.end()) return void(refuse(id + " is gone"));
    if (!nat->second.public_address) return void(refuse(id + " is a private NAT gateway, and leads nowhere from here"));
    const auto there = vpc.subnets.find(nat->second.subnet);
    const RouteNet* route = there == vpc.subnets.end() ? nullptr : find_route(vpc, there->second.route_table, to);
    if (!route || route->target != RouteTarget::internet) {
      return void(refuse(fmt::format("the subnet of {} has no route to an internet gateway", id)));
    }
    pass(fmt::format("{}, as {}", id, nat->second.public_address->to_string()));
    if (!group(vpc, from, false, to) || !acl(vpc, subnet, false, to, question_.port)) return;
    const SubnetNet& gateways = there->second;
    const bool border = nat->second.subnet != from.subnet;
    if (border &&
        (!acl(vpc, gateways, true, from.address, question_.port) || !acl(vpc, gateways, false, to, question_.port))) {
      return;
    }
    if (answers()) {
      if (border && (!acl(vpc, gateways, true, to, answer_port(), true) ||
                     !acl(vpc, gateways, false, from.address, answer_port(), true))) {
        return;
      }
      if (!acl(vpc, subnet, true, to, answer_port(), true)) return;
    }
    beyond(*nat->second.public_address, to);
  }

  void by_interface(const VpcNet& vpc, const InterfaceNet& from, const SubnetNet& subnet, Ipv4 to,
                    const std::string& id) {
    const auto router = vpc.interfaces.find(id);
    if (router == vpc.interfaces.end() || router->second.task.empty()) {
      return void(refuse(fmt::format("the route leads to {}, where no task is", id)));
    }
    if (router->second.source_dest_check) {
      return void(refuse(fmt::format("the route leads to {}, whose source/destination check is on", id)));
    }
    pass("the route leads to " + id);
    const bool border = router->second.subnet != from.subnet;
    const SubnetNet& other = vpc.subnets.at(router->second.subnet);
    if (!group(vpc, from, false, to) || !acl(vpc, subnet, false, to, question_.port) ||
        (border && !acl(vpc, other, true, from.address, question_.port)) ||
        !group(vpc, router->second, true, from.address)) {
      return;
    }
    pass("what becomes of it there is that task's affair");
  }

  // On the other side of an internet gateway: another interface's public address, or the world.
  void beyond(Ipv4 source, Ipv4 to) {
    for (const auto& [id, vpc] : network_.vpcs) {
      for (const auto& [eni, interface] : vpc.interfaces) {
        if (interface.public_address == to) return enter(source, to);
      }
      for (const auto& [nat_id, nat] : vpc.nats) {
        if (nat.public_address == to) return void(refuse(fmt::format("{} lets nothing in", nat_id)));
      }
    }
    pass(fmt::format("{} is outside, and sees {}", to.to_string(), source.to_string()));
  }

  void enter(Ipv4 from, Ipv4 to) {
    for (const auto& [id, vpc] : network_.vpcs) {
      for (const auto& [eni, interface] : vpc.interfaces) {
        if (interface.public_address == to) return enter(vpc, interface, from);
      }
    }
    refuse("no interface has the public address " + to.to_string());
  }

  void enter(const VpcNet& vpc, const InterfaceNet& there, Ipv4 from) {
    const SubnetNet& subnet = vpc.subnets.at(there.subnet);
    pass(fmt::format("{} is the public address of {}", there.public_address->to_string(), id_of(vpc, there)));
    if (there.task.empty()) return void(refuse("it belongs to no task: nothing answers there"));
    if (inside(vpc, from)) return void(refuse(from.to_string() + " is an address of the VPC, and comes from outside"));
    const RouteNet* back = find_route(vpc, subnet.route_table, from);
    if (!back || back->target != RouteTarget::internet) {
      return void(refuse(
          fmt::format("{} has no route back to {} by an internet gateway", subnet.route_table, from.to_string())));
    }
    if (!acl(vpc, subnet, true, from, question_.port) || !group(vpc, there, true, from)) return;
    if (answers()) acl(vpc, subnet, false, from, answer_port(), true);
  }

  bool answers() const { return question_.protocol != kIcmp || question_.port == kEcho; }
  int answer_port() const { return question_.protocol == kIcmp ? kEchoReply : question_.source_port; }

  static bool inside(const VpcNet& vpc, Ipv4 address) {
    return std::any_of(vpc.cidrs.begin(), vpc.cidrs.end(),
                       [&](const Ipv4Network& cidr) { return cidr.contains(address); });
  }

  // The longest prefix wins; the VPC's own networks are in every table.
  const RouteNet* find_route(const VpcNet& vpc, const std::string& id, Ipv4 to) {
    const RouteNet* best = nullptr;
    if (const auto table = vpc.route_tables.find(id); table != vpc.route_tables.end()) {
      for (const RouteNet& route : table->second.routes) {
        if (route.destination.contains(to) && (!best || route.destination.prefix > best->destination.prefix))
          best = &route;
      }
    }
    for (const Ipv4Network& cidr : vpc.cidrs) {
      if (cidr.contains(to) && (!best || cidr.prefix > best->destination.prefix)) {
        local_ = {cidr, RouteTarget::local, "local"};
        best = &local_;
      }
    }
    return best;
  }

  bool group(const VpcNet& vpc, const InterfaceNet& interface, bool ingress, Ipv4 peer) {
    for (const std::string& id : interface.groups) {
      const auto group = vpc.groups.find(id);
      if (group == vpc.groups.end()) continue;
      for (const GroupRule& rule : ingress ? group->second.ingress : group->second.egress) {
        if (!matches(rule.match, question_.protocol, question_.port)) continue;
        bool peers = std::any_of(rule.networks.begin(), rule.networks.end(),
                                 [&](const Ipv4Network& network) { return network.contains(peer); });
        if (!rule.group.empty()) {
          const InterfaceNet* member = interface_at(vpc, peer);
          peers = member && std::count(member->groups.begin(), member->groups.end(), rule.group) > 0;
        }
        if (peers) return pass(fmt::format("{} of {} lets it {}", rule.id, id, ingress ? "in" : "out"));
      }
    }
    std::string groups;
    for (const std::string& id : interface.groups) groups += (groups.empty() ? "" : ", ") + id;
    return refuse(fmt::format("no rule of {} lets {} {} {} {}", groups.empty() ? "any group" : groups,
                              protocol_text(question_.protocol, question_.port), ingress ? "in from" : "out to",
                              peer.to_string(), "(" + id_of(vpc, interface) + ")"));
  }

  bool acl(const VpcNet& vpc, const SubnetNet& subnet, bool ingress, Ipv4 peer, int port, bool answer = false) {
    const auto acl = vpc.acls.find(subnet.acl);
    if (acl == vpc.acls.end()) return true;
    const std::string what =
        fmt::format("{}{} {} of {}", answer ? "the answer, " : "", protocol_text(question_.protocol, port),
                    ingress ? "into" : "out", subnet.cidr.to_string());
    for (const AclRule& rule : ingress ? acl->second.ingress : acl->second.egress) {
      if (!rule.network.contains(peer) || !matches(rule.match, question_.protocol, port)) continue;
      const std::string text =
          fmt::format("rule {} of {} {} {}", rule.number, subnet.acl, rule.allow ? "allows" : "denies", what);
      return rule.allow ? pass(text) : refuse(text);
    }
    return refuse(fmt::format("the last rule of {} denies {}", subnet.acl, what));
  }

  const HostNetwork& network_;
  const Question& question_;
  Verdict verdict_;
  RouteNet local_;
};

bool open(const GroupRule& rule) {
  return std::any_of(rule.networks.begin(), rule.networks.end(),
                     [](const Ipv4Network& network) { return network.prefix == 0; });
}

bool all_ports(const Match& match, int protocol) {
  return match.protocol < 0 || (match.protocol == protocol && match.from <= 0 && (match.to < 0 || match.to >= 65535));
}

template <class Wanted>
bool any_rule(const Groups& groups, const std::vector<std::string>& ids, bool ingress, Wanted wanted) {
  for (const std::string& id : ids) {
    const auto group = groups.find(id);
    if (group == groups.end()) continue;
    const auto& rules = ingress ? group->second.ingress : group->second.egress;
    if (std::any_of(rules.begin(), rules.end(), wanted)) return true;
  }
  return false;
}

}  // namespace

Verdict judge(const HostNetwork& network, const std::string& vpc, const std::string& interface, Ipv4 to,
              const Question& question) {
  return Walk(network, question).from_interface(vpc, interface, to);
}

Verdict judge_from_outside(const HostNetwork& network, Ipv4 from, Ipv4 to, const Question& question) {
  return Walk(network, question).from_outside(from, to);
}

bool ends_with_its_rule(const Groups& groups_before, const std::vector<std::string>& members_before,
                        const Groups& groups_after, const std::vector<std::string>& members_after, bool ingress,
                        const Flow& flow, const std::map<Ipv4, std::vector<std::string>>& members) {
  if (flow.protocol != kTcp && flow.protocol != kUdp) return false;
  const Ipv4 peer = ingress ? flow.source : flow.destination;
  const auto admits = [&](const GroupRule& rule) {
    if (!matches(rule.match, flow.protocol, flow.destination_port)) return false;
    if (!rule.group.empty()) {
      const auto of = members.find(peer);
      return of != members.end() && std::count(of->second.begin(), of->second.end(), rule.group) > 0;
    }
    return std::any_of(rule.networks.begin(), rule.networks.end(),
                       [&](const Ipv4Network& network) { return network.contains(peer); });
  };
  const bool untracked = any_rule(groups_before, members_before, ingress,
                                  [&](const GroupRule& rule) { return open(rule) && admits(rule); }) &&
                         any_rule(groups_before, members_before, !ingress, [&](const GroupRule& rule) {
                           return open(rule) && all_ports(rule.match, flow.protocol);
                         });
  return untracked && !any_rule(groups_after, members_after, ingress, admits);
}

std::vector<std::string> groups_that_lost_an_open_rule(const Groups& before, const Groups& after) {
  std::vector<std::string> lost;
  for (const auto& [id, group] : before) {
    const auto now = after.find(id);
    const auto missing = [&](const std::vector<GroupRule>& rules, const std::vector<GroupRule>* left) {
      return std::any_of(rules.begin(), rules.end(), [&](const GroupRule& rule) {
        return open(rule) && (!left || std::find(left->begin(), left->end(), rule) == left->end());
      });
    };
    const bool kept = now != after.end();
    if (missing(group.ingress, kept ? &now->second.ingress : nullptr) ||
        missing(group.egress, kept ? &now->second.egress : nullptr)) {
      lost.push_back(id);
    }
  }
  return lost;
}

}  // namespace berth::dataplane
