#include "dataplane/vpc_rules.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "dataplane/names.h"
#include "dataplane/vpc_layout.h"

namespace berth::dataplane {
namespace {

constexpr std::string_view kLinks = "links", kToPublic = "to_public", kToPrivate = "to_private", kRouters = "routers";

std::vector<std::string> groups_of(const InterfaceNet& interface) {
  std::set<std::string> sorted(interface.groups.begin(), interface.groups.end());
  return {sorted.begin(), sorted.end()};
}

std::string element_text(const Element& element) {
  std::string text = element.link.empty() ? element.address.to_string() : "\"" + element.link + "\"";
  if (element.combination != 0) text += fmt::format(" : {:#x}", element.combination);
  if (element.target.value != 0) text += " : " + element.target.to_string();
  return text;
}

// One command for each set: nft looks everything up anew for each.
std::string elements_text(std::string_view verb, const std::vector<Element>& elements) {
  std::map<std::string, std::string> by_set;
  for (const Element& element : elements) {
    std::string& list = by_set[element.set];
    list += (list.empty() ? "" : ", ") + element_text(element);
  }
  std::string text;
  for (const auto& [set, list] : by_set)
    text += fmt::format("{} element ip {} {} {{ {} }}\n", verb, kVpcTable, set, list);
  return text;
}

std::string combination_text(const Combination& combination) {
  std::string text;
  for (std::string_view way : {"in", "out"}) {
    text += fmt::format("add chain ip {} {}_{}\n", kVpcTable, combination.name, way);
    for (const std::string& group : combination.groups) {
      text += fmt::format("add rule ip {} {}_{} jump {}_{}\n", kVpcTable, combination.name, way, group_set_name(group),
                          way);
    }
    text += fmt::format("add element ip {0} combinations_{1} {{ {2:#x} : jump {3}_{1} }}\n", kVpcTable, way,
                        number_of(combination.name), combination.name);
  }
  return text;
}

std::string combination_removal_text(const Combination& combination) {
  std::string text;
  for (std::string_view way : {"in", "out"}) {
    text += fmt::format(
        "delete element ip {0} combinations_{1} {{ {2:#x} : jump {3}_{1} }}\nflush chain ip {0} {3}_{1}\n"
        "delete chain ip {0} {3}_{1}\n",
        kVpcTable, way, number_of(combination.name), combination.name);
  }
  return text;
}

// What leads from `before` to `after`: first to be done, last to be done.
std::pair<std::vector<std::string>, std::vector<std::string>> difference(const Ruleset& before, const Ruleset& after) {
  std::vector<std::string> first, fill, last;
  for (const auto& [name, type] : after.sets) {
    const auto old = before.sets.find(name);
    if (old != before.sets.end()) continue;  // a name's type never changes
    const size_t space = type.find(' ');
    first.push_back(fmt::format("add {} ip {} {} {}", type.substr(0, space), kVpcTable, name, type.substr(space + 1)));
  }
  for (const auto& [name, chain] : after.chains) {
    const auto old = before.chains.find(name);
    if (old == before.chains.end()) {
      const std::string hook = chain.hook.empty() ? "" : " { " + chain.hook + " }";
      first.push_back(fmt::format("add chain ip {} {}{}", kVpcTable, name, hook));
    } else if (old->second == chain) {
      continue;
    } else {
      fill.push_back(fmt::format("flush chain ip {} {}", kVpcTable, name));
    }
    for (const std::string& rule : chain.rules)
      fill.push_back(fmt::format("add rule ip {} {} {}", kVpcTable, name, rule));
  }
  // Emptied all before any goes: they jump to one another.
  for (const auto& [name, chain] : before.chains) {
    if (!after.chains.contains(name)) last.push_back(fmt::format("flush chain ip {} {}", kVpcTable, name));
  }
  for (const auto& [name, chain] : before.chains) {
    if (!after.chains.contains(name)) last.push_back(fmt::format("delete chain ip {} {}", kVpcTable, name));
  }
  for (const auto& [name, type] : before.sets) {
    if (after.sets.contains(name)) continue;
    last.push_back(fmt::format("delete {} ip {} {}", type.substr(0, type.find(' ')), kVpcTable, name));
  }
  first.insert(first.end(), fill.begin(), fill.end());
  return {first, last};
}

}  // namespace

std::vector<Element> elements_of(const InterfaceNet& interface) {
  std::vector<Element> elements;
  for (const std::string& group : groups_of(interface)) {
    const std::string set = group_set_name(group);
    elements.push_back({set, {}, interface.address, 0, {}});
    for (Ipv4 address : interface.secondary) elements.push_back({set, {}, address, 0, {}});
  }
  if (interface.public_address) {
    elements.push_back({std::string(kPublicSet), {}, interface.address, 0, {}});
    elements.push_back({std::string(kToPublic), {}, interface.address, 0, *interface.public_address});
    // The end of the VPC's link is everybody's who has no address of his own.
    if (!kLinkBlock.contains(*interface.public_address)) {
      elements.push_back({std::string(kToPrivate), {}, *interface.public_address, 0, interface.address});
    }
  }
  if (interface.task.empty()) return elements;
  const std::string link = task_link(interface.task);
  elements.push_back({std::string(kLinks), link, {}, number_of(combination_of(interface).name), {}});
  if (!interface.source_dest_check) elements.push_back({std::string(kRouters), link, {}, 0, {}});
  return elements;
}

Combination combination_of(const InterfaceNet& interface) {
  const std::vector<std::string> groups = groups_of(interface);
  return {combination_name(groups), groups};
}

bool Delta::empty() const {
  return !structural() && combinations_added.empty() && combinations_removed.empty() && elements_added.empty() &&
         elements_removed.empty();
}

std::string to_text(const Delta& delta) {
  std::string text;
  for (const std::string& command : delta.declared) text += command + "\n";
  for (const Combination& combination : delta.combinations_added) text += combination_text(combination);
  text += elements_text("delete", delta.elements_removed);
  text += elements_text("add", delta.elements_added);
  for (const Combination& combination : delta.combinations_removed) text += combination_removal_text(combination);
  for (const std::string& command : delta.deleted) text += command + "\n";
  return text;
}

Result<void> VpcRules::check(const NetworkChange& change) const {
  const VpcNet& structure = change.structure ? *change.structure : value_;
  const auto check = [&](const std::string& id, const InterfaceNet& interface) -> Result<void> {
    if (!structure.subnets.contains(interface.subnet)) {
      return fail(
          fmt::format("interface {} lies in subnet {}, which {} does not have", id, interface.subnet, change.vpc));
    }
    for (const std::string& group : interface.groups) {
      if (!structure.groups.contains(group)) {
        return fail(fmt::format("interface {} has group {}, which {} does not have", id, group, change.vpc));
      }
    }
    return {};
  };
  if (change.structure && change.structure->cidrs.empty()) return fail("VPC " + change.vpc + " has no network");
  for (const auto& [id, interface] : change.interfaces) {
    if (!interface) continue;
    if (auto checked = check(id, *interface); !checked) return checked;
  }
  if (!change.structure) return {};
  const auto gone = [](const auto& before, const auto& after) {
    return std::any_of(before.begin(), before.end(), [&](const auto& entry) { return !after.contains(entry.first); });
  };
  // Only where something went: this looks at every interface.
  if (!gone(value_.groups, structure.groups) && !gone(value_.subnets, structure.subnets)) return {};
  for (const auto& [id, interface] : value_.interfaces) {
    if (change.interfaces.contains(id)) continue;
    if (auto checked = check(id, interface); !checked) return checked;
  }
  return {};
}

Result<Delta> VpcRules::change(const NetworkChange& change) {
  if (auto checked = check(change); !checked) return tl::unexpected(checked.error());
  Delta delta;
  if (change.structure) {
    std::map<std::string, InterfaceNet> interfaces = std::move(value_.interfaces);
    value_ = *change.structure;
    value_.interfaces = std::move(interfaces);
    Ruleset after = render_structure(value_, facts_);
    std::tie(delta.declared, delta.deleted) = difference(ruleset_, after);
    ruleset_ = std::move(after);
  }
  std::map<std::string, std::pair<Combination, int>> uses;  // how many more or less
  std::set<Element> before, after;
  const auto take = [&](const InterfaceNet& interface, std::set<Element>& elements, int use) {
    for (Element& element : elements_of(interface)) elements.insert(std::move(element));
    if (interface.task.empty()) return;
    const Combination combination = combination_of(interface);
    auto& entry = uses.try_emplace(combination.name, combination, 0).first->second;
    entry.second += use;
  };
  for (const auto& [id, interface] : change.interfaces) {
    if (const auto old = value_.interfaces.find(id); old != value_.interfaces.end()) {
      take(old->second, before, -1);
      value_.interfaces.erase(old);
    }
    if (!interface) continue;
    take(*interface, after, 1);
    value_.interfaces.emplace(id, *interface);
  }
  std::set_difference(before.begin(), before.end(), after.begin(), after.end(),
                      std::back_inserter(delta.elements_removed));
  std::set_difference(after.begin(), after.end(), before.begin(), before.end(),
                      std::back_inserter(delta.elements_added));
  for (const auto& [name, use] : uses) {
    auto& known = combinations_.try_emplace(name, use.first, 0).first->second;
    const bool was = known.second > 0;
    known.second += use.second;
    if (!was && known.second > 0) delta.combinations_added.push_back(known.first);
    if (known.second > 0) continue;
    if (was) delta.combinations_removed.push_back(known.first);
    combinations_.erase(name);
  }
  return delta;
}

Delta VpcRules::change_facts(const VpcFacts& facts) {
  facts_ = facts;
  Delta delta;
  Ruleset after = render_structure(value_, facts_);
  std::tie(delta.declared, delta.deleted) = difference(ruleset_, after);
  ruleset_ = std::move(after);
  return delta;
}

std::string VpcRules::whole() const {
  Delta delta;
  delta.declared = difference({}, ruleset_).first;
  for (const auto& [name, entry] : combinations_) delta.combinations_added.push_back(entry.first);
  std::set<Element> elements;  // each once, whatever the records say
  for (const auto& [id, interface] : value_.interfaces) {
    for (Element& element : elements_of(interface)) elements.insert(std::move(element));
  }
  delta.elements_added.assign(elements.begin(), elements.end());
  return fmt::format("add table ip {0}\ndelete table ip {0}\nadd table ip {0}\n", kVpcTable) + to_text(delta);
}

std::vector<RouteNet> routes_of(const VpcNet& structure, const std::string& route_table) {
  std::vector<RouteNet> routes;
  if (const auto table = structure.route_tables.find(route_table); table != structure.route_tables.end()) {
    routes = table->second.routes;
  }
  for (const Ipv4Network& cidr : structure.cidrs) {
    const bool known =
        std::any_of(routes.begin(), routes.end(), [&](const RouteNet& route) { return route.destination == cidr; });
    if (!known) routes.push_back({cidr, RouteTarget::local, "local"});
  }
  std::stable_sort(routes.begin(), routes.end(), [](const RouteNet& one, const RouteNet& other) {
    return one.destination.prefix > other.destination.prefix;
  });
  return routes;
}

std::vector<std::string> routed_interfaces(const VpcNet& structure) {
  std::set<std::string> ids;
  for (const auto& [id, table] : structure.route_tables) {
    for (const RouteNet& route : table.routes) {
      if (route.target == RouteTarget::interface) ids.insert(route.id);
    }
  }
  return {ids.begin(), ids.end()};
}

}  // namespace berth::dataplane
