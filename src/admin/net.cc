#include "admin/net.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "dataplane/judge.h"

namespace berth::admin {
namespace {

using dataplane::HostNetwork;
using dataplane::InterfaceNet;
using dataplane::RouteTarget;

constexpr size_t kTaskBeginningMin = 4;  // as `berth logs` takes them; less is a word

std::string_view target_text(RouteTarget target) {
  switch (target) {
    case RouteTarget::local: return "local";
    case RouteTarget::internet: return "internet gateway";
    case RouteTarget::nat: return "NAT gateway";
    case RouteTarget::interface: return "interface";
    case RouteTarget::blackhole: return "black hole";
  }
  return "";
}

json::Array texts(const std::vector<std::string>& words) { return {words.begin(), words.end()}; }

json::Value tell_interface(const std::string& id, const InterfaceNet& interface) {
  json::Value out;
  out.set("id", id);
  out.set("address", interface.address.to_string());
  if (interface.public_address) out.set("publicAddress", interface.public_address->to_string());
  out.set("groups", texts(interface.groups));
  if (!interface.task.empty()) out.set("task", interface.task);
  return out;
}

json::Array tell_routes(const dataplane::VpcNet& vpc, const std::string& table) {
  json::Array out;
  const auto found = vpc.route_tables.find(table);
  if (found == vpc.route_tables.end()) return out;
  for (const dataplane::RouteNet& route : found->second.routes) {
    json::Value one;
    one.set("destination", route.destination.to_string());
    one.set("target", target_text(route.target));
    if (!route.id.empty()) one.set("id", route.id);
    out.push_back(std::move(one));
  }
  return out;
}

json::Value tell_subnet(const dataplane::VpcNet& vpc, const std::string& id, const dataplane::SubnetNet& subnet) {
  json::Array interfaces;
  for (const auto& [eni, interface] : vpc.interfaces) {
    if (interface.subnet == id) interfaces.push_back(tell_interface(eni, interface));
  }
  json::Value out;
  out.set("id", id);
  out.set("cidr", subnet.cidr.to_string());
  out.set("acl", subnet.acl);
  out.set("routeTable", subnet.route_table);
  out.set("routes", tell_routes(vpc, subnet.route_table));
  out.set("interfaces", std::move(interfaces));
  return out;
}

struct Place {
  std::string vpc;
  std::string interface;
  const InterfaceNet* net = nullptr;
};

// All whom `name` may mean.
std::vector<Place> places(const HostNetwork& network, const std::string& name) {
  const auto address = parse_ipv4(name);
  std::vector<Place> found;
  for (const auto& [vpc_id, vpc] : network.vpcs) {
    for (const auto& [id, interface] : vpc.interfaces) {
      const bool has = address && (interface.address == *address || interface.public_address == *address ||
                                   std::count(interface.secondary.begin(), interface.secondary.end(), *address) > 0);
      const bool task = name.size() >= kTaskBeginningMin && interface.task.starts_with(name);
      if (has || task || id == name) found.push_back({vpc_id, id, &interface});
    }
  }
  return found;
}

Result<std::optional<Place>> one_place(const HostNetwork& network, const std::string& name, const std::string& vpc) {
  std::vector<Place> found = places(network, name);
  if (found.size() > 1 && !vpc.empty()) std::erase_if(found, [&](const Place& place) { return place.vpc != vpc; });
  if (found.size() > 1) {
    return fail(fmt::format("{} may be {} of {} or {} of {}: name the interface or the task", name, found[0].interface,
                            found[0].vpc, found[1].interface, found[1].vpc));
  }
  if (found.size() == 1) return found[0];
  if (parse_ipv4(name)) return std::nullopt;
  return fail(fmt::format("no interface of a task is called {}: name a task's id, an interface or an address", name));
}

}  // namespace

json::Value tell_network(const HostNetwork& network) {
  json::Array vpcs;
  for (const auto& [id, vpc] : network.vpcs) {
    json::Array cidrs, subnets, nats;
    for (const Ipv4Network& cidr : vpc.cidrs) cidrs.push_back(cidr.to_string());
    for (const auto& [subnet_id, subnet] : vpc.subnets) subnets.push_back(tell_subnet(vpc, subnet_id, subnet));
    for (const auto& [nat_id, nat] : vpc.nats) {
      json::Value one;
      one.set("id", nat_id);
      one.set("subnet", nat.subnet);
      one.set("address", nat.address.to_string());
      if (nat.public_address) one.set("publicAddress", nat.public_address->to_string());
      nats.push_back(std::move(one));
    }
    json::Value one;
    one.set("id", id);
    one.set("cidrs", std::move(cidrs));
    one.set("dns", vpc.dns);
    one.set("subnets", std::move(subnets));
    one.set("natGateways", std::move(nats));
    vpcs.push_back(std::move(one));
  }
  json::Value out;
  out.set("vpcs", std::move(vpcs));
  return out;
}

Result<json::Value> tell_why(const HostNetwork& network, const json::Value& question) {
  const std::string from = question["from"].string_or(""), to = question["to"].string_or("");
  const std::string protocol = question["protocol"].string_or("tcp");
  dataplane::Question asked;
  asked.protocol = protocol == "udp" ? 17 : protocol == "icmp" ? 1 : 6;
  asked.port = asked.protocol == 1 ? 8 : static_cast<int>(question["port"].int_or(0));
  auto sender = one_place(network, from, "");
  if (!sender) return tl::unexpected(sender.error());
  auto receiver = one_place(network, to, *sender ? (*sender)->vpc : "");
  if (!receiver) return tl::unexpected(receiver.error());

  std::optional<Ipv4> target = parse_ipv4(to);
  if (!target) {
    // Named by its task: at the private address from its own VPC, else at the public one.
    const Place& place = **receiver;
    const bool same = *sender && (*sender)->vpc == place.vpc;
    target = same ? std::optional(place.net->address) : place.net->public_address;
    if (!target) return fail(fmt::format("{} has no public address, and {} is not in its VPC", place.interface, from));
  }
  const dataplane::Verdict verdict =
      *sender ? dataplane::judge(network, (*sender)->vpc, (*sender)->interface, *target, asked)
              : dataplane::judge_from_outside(network, *parse_ipv4(from), *target, asked);
  json::Array steps;
  for (const dataplane::Step& step : verdict.steps) {
    json::Value one;
    one.set("passes", step.passes);
    one.set("what", step.what);
    steps.push_back(std::move(one));
  }
  json::Value out;
  out.set("passes", verdict.passes());
  out.set("from", *sender ? (*sender)->interface : from);
  out.set("to", target->to_string());
  out.set("steps", std::move(steps));
  return out;
}

}  // namespace berth::admin
