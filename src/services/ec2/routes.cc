// Routes: what their targets may be, and what they are shown as.
#include "services/ec2/routes.h"

#include <algorithm>

#include "base/limits.h"
#include "model/ec2/operations.h"
#include "services/ec2/cidrs.h"
#include "services/ec2/handlers.h"
#include "services/ec2/prefix_lists.h"

namespace berth::services::ec2 {
namespace {

constexpr std::string_view kLocal = "local";

bool is_local(const records::Route& route) { return route.origin == "CreateRouteTable"; }

// Whether packets that take the route arrive anywhere.
bool is_alive(Work& work, const records::RouteTable& table, const std::string& target) {
  if (target == kLocal) return true;
  if (target.starts_with("igw-")) {
    const auto gateway = look_up<records::InternetGateway>(work, target);
    return gateway && gateway->vpc_id == table.vpc_id;
  }
  if (target.starts_with("nat-")) {
    const auto gateway = look_up<records::NatGateway>(work, target);
    return gateway && gateway->state == "available";
  }
  if (target.starts_with("eni-")) {
    const auto interface = look_up<records::Interface>(work, target);
    return interface && !interface->attachment_id.empty();
  }
  return look_up<records::VpcEndpoint>(work, target) != nullptr;
}

struct Destination {
  std::string cidr;
  std::string prefix_list_id;
  std::optional<Ipv4Network> block;  // of an IPv4 one

  bool is(const records::Route& route) const {
    return route.destination_cidr == cidr && route.destination_prefix_list_id == prefix_list_id;
  }
  const std::string& text() const { return cidr.empty() ? prefix_list_id : cidr; }
};

template <class In>
ApiResult<Destination> destination_of(Work& work, const In& in) {
  const int given = in.destination_cidr_block.has_value() + in.destination_ipv6_cidr_block.has_value() +
                    in.destination_prefix_list_id.has_value();
  if (given != 1)
    return refuse(given == 0 ? "MissingParameter" : "InvalidParameterCombination",
                  "The request must contain exactly one of destinationCidrBlock, destinationIpv6CidrBlock, "
                  "destinationPrefixListId");
  Destination out;
  if (in.destination_cidr_block) {
    const auto block = parse_cidr(*in.destination_cidr_block, "destinationCidrBlock");
    if (!block) return tl::unexpected(block.error());
    out.block = *block;
    out.cidr = block->to_string();
  } else if (in.destination_ipv6_cidr_block) {
    const auto block = canonical_ipv6_cidr(*in.destination_ipv6_cidr_block);
    if (!block)
      return refuse("InvalidParameterValue",
                    fmt::format("Value ({}) for parameter destinationIpv6CidrBlock is invalid. This is not a valid IPv6 "
                                "CIDR block.",
                                *in.destination_ipv6_cidr_block));
    out.cidr = *block;
  } else {
    out.prefix_list_id = *in.destination_prefix_list_id;
    if (auto checked = check_id(kKind<records::PrefixList>, out.prefix_list_id); !checked)
      return tl::unexpected(checked.error());
    if (!prefix_list_entries_max(work, out.prefix_list_id))
      return not_found(kKind<records::PrefixList>, out.prefix_list_id);
  }
  return out;
}

tl::unexpected<ApiError> no_gateway(const std::string& id) {
  return refuse("InvalidGatewayID.NotFound", fmt::format("The gateway ID '{}' does not exist", id));
}

tl::unexpected<ApiError> of_other_network(const records::RouteTable& table, std::string_view what,
                                          const std::string& id) {
  return refuse("InvalidParameterValue",
                fmt::format("route table {} and {} {} belong to different networks", table.id, what, id));
}

ApiResult<std::string> gateway_target(Work& work, const records::RouteTable& table, const std::string& id) {
  if (!id.starts_with("igw-")) return no_gateway(id);
  const auto gateway = look_up<records::InternetGateway>(work, id);
  if (!gateway) return no_gateway(id);
  if (gateway->vpc_id != table.vpc_id) return of_other_network(table, "network gateway", id);
  return id;
}

ApiResult<std::string> nat_target(Work& work, const records::RouteTable& table, const std::string& id) {
  const auto gateway = look_up<records::NatGateway>(work, id);
  if (!gateway || gateway->state != "available")
    return refuse("InvalidNatGatewayID.NotFound", fmt::format("The natGateway ID '{}' does not exist", id));
  if (gateway->vpc_id != table.vpc_id) return of_other_network(table, "nat gateway", id);
  return id;
}

ApiResult<std::string> interface_target(Work& work, const records::RouteTable& table, const std::string& id) {
  const auto interface = find<records::Interface>(work, id);
  if (!interface) return tl::unexpected(interface.error());
  if ((*interface)->vpc_id != table.vpc_id) return of_other_network(table, "interface", id);
  return id;
}

// CreateRoute's and ReplaceRoute's.
template <class In>
ApiResult<std::string> target_of(Work& work, const records::RouteTable& table, const In& in) {
  const int given = in.gateway_id.has_value() + in.nat_gateway_id.has_value() + in.network_interface_id.has_value() +
                    in.vpc_endpoint_id.has_value();
  if (given != 1)
    return refuse(given == 0 ? "MissingParameter" : "InvalidParameterCombination",
                  "The request must contain exactly one of gatewayId, natGatewayId, networkInterfaceId, vpcEndpointId, "
                  "vpcPeeringConnectionId, egressOnlyInternetGatewayId, transitGatewayId, localGatewayId, "
                  "carrierGatewayId, instanceId");
  if (in.gateway_id) return gateway_target(work, table, *in.gateway_id);
  if (in.nat_gateway_id) return nat_target(work, table, *in.nat_gateway_id);
  if (in.network_interface_id) return interface_target(work, table, *in.network_interface_id);
  return unsupported("routes to gateway load balancer endpoints");
}

// More specific than the local routes a route may be for a whole subnet only, and not to a gateway out of the VPC.
ApiResult<void> check_specific(Work& work, const records::RouteTable& table, const Destination& destination,
                               const std::string& target) {
  if (!destination.block) return {};
  const auto vpc = look_up<records::Vpc>(work, table.vpc_id);
  if (!vpc) return {};
  const auto own = blocks_of(*vpc);
  if (std::none_of(own.begin(), own.end(), [&](const auto& block) { return block.contains(*destination.block); }))
    return {};
  bool of_subnet = false;
  for (const auto& [key, subnet] : all<records::Subnet>(work))
    of_subnet = of_subnet || (subnet->vpc_id == vpc->id && subnet->cidr == destination.cidr);
  const bool to_middlebox = target.starts_with("eni-") || target.starts_with("nat-");
  const bool is_whole = std::find(own.begin(), own.end(), *destination.block) != own.end();
  if (to_middlebox && (of_subnet || is_whole)) return {};
  return refuse("InvalidParameterValue",
                fmt::format("The destination CIDR block {} is equal to or more specific than one of this VPC's CIDR "
                            "blocks. This route can target only an interface or an instance.",
                            destination.cidr));
}

Handled<m::CreateRouteResult> create_route(const Context& context, const m::CreateRouteRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  const auto found = find<records::RouteTable>(work, in.route_table_id);
  if (!found) return tl::unexpected(found.error());
  records::RouteTable table = **found;
  const auto destination = destination_of(work, in);
  if (!destination) return tl::unexpected(destination.error());
  const auto target = target_of(work, table, in);
  if (!target) return tl::unexpected(target.error());
  size_t own = 0;
  for (const auto& route : table.routes) {
    if (destination->is(route))
      return refuse("RouteAlreadyExists",
                    fmt::format("The route identified by {} already exists.", destination->text()));
    own += !is_local(route);
  }
  if (auto checked = check_specific(work, table, *destination, *target); !checked)
    return tl::unexpected(checked.error());
  if (own >= limits::kRoutesMax) return refuse("RouteLimitExceeded", "The maximum number of routes has been reached.");
  table.routes.push_back({destination->cidr, destination->prefix_list_id, *target, "CreateRoute"});
  put(work, table);
  m::CreateRouteResult out;
  out.return_ = true;
  return {std::move(out), std::move(work.transaction)};
}

Handled<Nothing> replace_route(const Context& context, const m::ReplaceRouteRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  const auto found = find<records::RouteTable>(work, in.route_table_id);
  if (!found) return tl::unexpected(found.error());
  records::RouteTable table = **found;
  const auto destination = destination_of(work, in);
  if (!destination) return tl::unexpected(destination.error());
  const auto at = std::find_if(table.routes.begin(), table.routes.end(),
                               [&](const auto& route) { return destination->is(route); });
  if (at == table.routes.end())
    return refuse("InvalidParameterValue",
                  fmt::format("There is no route defined for '{}' in the route table. Use CreateRoute instead.",
                              destination->text()));
  if (in.local_target.value_or(false)) {
    if (!is_local(*at))
      return refuse("InvalidParameterValue", fmt::format("The route for {} is no local route.", destination->text()));
    at->target = kLocal;
  } else {
    const auto target = target_of(work, table, in);
    if (!target) return tl::unexpected(target.error());
    if (auto checked = check_specific(work, table, *destination, *target); !checked)
      return tl::unexpected(checked.error());
    at->target = *target;
  }
  put(work, table);
  return {Nothing{}, std::move(work.transaction)};
}

Handled<Nothing> delete_route(const Context& context, const m::DeleteRouteRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  const auto found = find<records::RouteTable>(work, in.route_table_id);
  if (!found) return tl::unexpected(found.error());
  records::RouteTable table = **found;
  const auto destination = destination_of(work, in);
  if (!destination) return tl::unexpected(destination.error());
  const auto at = std::find_if(table.routes.begin(), table.routes.end(),
                               [&](const auto& route) { return destination->is(route); });
  if (at == table.routes.end())
    return refuse("InvalidRoute.NotFound", fmt::format("no route with destination-cidr-block {} in route table {}",
                                                       destination->text(), table.id));
  if (is_local(*at))
    return refuse("InvalidParameterValue",
                  fmt::format("cannot remove local route {} in route table {}", destination->text(), table.id));
  if (at->target.starts_with("vpce-"))
    return refuse("InvalidParameterValue",
                  fmt::format("cannot remove VPC endpoint route {} in route table {}", destination->text(), table.id));
  table.routes.erase(at);
  put(work, table);
  return {Nothing{}, std::move(work.transaction)};
}

}  // namespace

m::Route render_route(Work& work, const records::RouteTable& table, const records::Route& route) {
  m::Route out;
  if (!route.destination_prefix_list_id.empty())
    out.destination_prefix_list_id = route.destination_prefix_list_id;
  else if (route.destination_cidr.find(':') != std::string::npos)
    out.destination_ipv6_cidr_block = route.destination_cidr;
  else
    out.destination_cidr_block = route.destination_cidr;
  if (route.target.starts_with("nat-"))
    out.nat_gateway_id = route.target;
  else if (route.target.starts_with("eni-"))
    out.network_interface_id = route.target;
  else
    out.gateway_id = route.target;
  out.origin = route.origin;
  out.state = is_alive(work, table, route.target) ? "active" : "blackhole";
  return out;
}

void show_route(Filterable& table, const m::Route& route) {
  const auto show = [&](std::string_view name, const std::optional<std::string>& value) {
    if (value) table.with(name, *value);
  };
  show("route.destination-cidr-block", route.destination_cidr_block);
  show("route.destination-ipv6-cidr-block", route.destination_ipv6_cidr_block);
  show("route.destination-prefix-list-id", route.destination_prefix_list_id);
  show("route.gateway-id", route.gateway_id);
  show("route.nat-gateway-id", route.nat_gateway_id);
  show("route.network-interface-id", route.network_interface_id);
  show("route.origin", route.origin);
  show("route.state", route.state);
}

void add_route_handlers(OperationRegistry& registry) {
  add(registry, m::kCreateRoute, named, create_route);
  add(registry, m::kReplaceRoute, named, replace_route);
  add(registry, m::kDeleteRoute, named, delete_route);
}

}  // namespace berth::services::ec2
