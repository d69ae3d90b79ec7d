#include "services/ec2/ec2.h"

#include <algorithm>
#include <array>

#include "model/ec2/operations.h"
#include "model/ec2/vpc.h"
#include "records/read.h"
#include "services/ec2/default_vpc.h"
#include "services/ec2/filters.h"

namespace berth::services::ec2 {
namespace {

namespace m = model::ec2;

constexpr uint32_t kAddressesKeptBack = 5;  // network, router, DNS, reserved and broadcast, as in every VPC

template <class T>
const std::vector<T>& list(const std::optional<std::vector<T>>& value) {
  static const std::vector<T> none;
  return value ? *value : none;
}

std::vector<FilterSpec> filters_of(const std::optional<std::vector<m::Filter>>& filters) {
  std::vector<FilterSpec> out;
  for (const auto& filter : list(filters)) out.push_back({filter.name.value_or(""), list(filter.values)});
  return out;
}

// One request: the region's network, made where it is not there yet, and what the request selects by.
struct Look {
  DefaultVpc network;
  std::vector<FilterSpec> filters;
  state::Transaction transaction;
};

template <class In>
ApiResult<Look> look(const Context& context, const In& in, const std::vector<std::string_view>& known_filters) {
  Look out;
  out.filters = filters_of(in.filters);
  if (auto checked = check_filters(out.filters, known_filters); !checked) return tl::unexpected(checked.error());
  if (in.dry_run.value_or(false))
    return tl::unexpected(ApiError{"DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412});
  auto network = ensure_default_vpc(context.store, context.scope(), context.network, context.random, out.transaction);
  if (!network) return tl::unexpected(network.error());
  out.network = *std::move(network);
  return out;
}

// Ids that were asked for must all be there.
ApiResult<void> check_ids(const std::vector<std::string>& asked, const std::vector<std::string>& present,
                          std::string_view prefix, std::string_view code, std::string_view malformed_code,
                          std::string_view what) {
  for (const std::string& id : asked) {
    if (!id.starts_with(prefix))
      return refuse(fmt::format("{}.Malformed", malformed_code),
                    fmt::format("Invalid id: \"{}\" (expecting \"{}...\")", id, prefix));
    if (std::find(present.begin(), present.end(), id) == present.end())
      return refuse(fmt::format("{}.NotFound", code), fmt::format("The {} '{}' does not exist", what, id));
  }
  return {};
}

bool is_asked_for(const std::vector<std::string>& asked, const std::string& id) {
  return asked.empty() || std::find(asked.begin(), asked.end(), id) != asked.end();
}

m::Vpc render(const Context& context, const records::Vpc& vpc) {
  m::Vpc out;
  out.owner_id = context.caller.account;
  out.instance_tenancy = "default";
  auto& association = out.cidr_block_association_set.emplace().emplace_back();
  association.association_id = "vpc-cidr-assoc-" + vpc.id.substr(4);
  association.cidr_block = vpc.cidr;
  association.cidr_block_state.emplace().state = "associated";
  out.is_default = vpc.is_default;
  out.vpc_id = vpc.id;
  out.state = "available";
  out.cidr_block = vpc.cidr;
  out.dhcp_options_id = vpc.dhcp_options_id;
  return out;
}

Handled<m::DescribeVpcsResult> describe_vpcs(const Context& context, const m::DescribeVpcsRequest& in) {
  auto found = look(context, in,
                    {"cidr", "cidr-block", "cidr-block-association.cidr-block", "cidr-block-association.state",
                     "dhcp-options-id", "is-default", "isDefault", "owner-id", "state", "vpc-id"});
  if (!found) return tl::unexpected(found.error());
  const records::Vpc& vpc = found->network.vpc;
  if (auto checked = check_ids(list(in.vpc_ids), {vpc.id}, "vpc-", "InvalidVpcID", "InvalidVpcID", "vpc ID"); !checked)
    return tl::unexpected(checked.error());
  const auto shown = Filterable()
                         .with("cidr", vpc.cidr)
                         .with("cidr-block", vpc.cidr)
                         .with("cidr-block-association.cidr-block", vpc.cidr)
                         .with("cidr-block-association.state", std::string("associated"))
                         .with("dhcp-options-id", vpc.dhcp_options_id)
                         .with("is-default", vpc.is_default)
                         .with("isDefault", vpc.is_default)
                         .with("owner-id", context.caller.account)
                         .with("state", std::string("available"))
                         .with("vpc-id", vpc.id);
  m::DescribeVpcsResult out;
  out.vpcs.emplace();
  if (shown.matches(found->filters)) out.vpcs->push_back(render(context, vpc));
  return {std::move(out), std::move(found->transaction)};
}

Handled<m::DescribeVpcAttributeResult> describe_vpc_attribute(const Context& context,
                                                              const m::DescribeVpcAttributeRequest& in) {
  state::Transaction transaction;
  if (in.dry_run.value_or(false))
    return tl::unexpected(ApiError{"DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412});
  const auto network = ensure_default_vpc(context.store, context.scope(), context.network, context.random, transaction);
  if (!network) return tl::unexpected(network.error());
  if (auto checked = check_ids({in.vpc_id}, {network->vpc.id}, "vpc-", "InvalidVpcID", "InvalidVpcID", "vpc ID");
      !checked)
    return tl::unexpected(checked.error());
  m::DescribeVpcAttributeResult out;
  out.vpc_id = in.vpc_id;
  // A default VPC has DNS support and host names.
  if (in.attribute == "enableDnsSupport")
    out.enable_dns_support.emplace().value = true;
  else if (in.attribute == "enableDnsHostnames")
    out.enable_dns_hostnames.emplace().value = true;
  else if (in.attribute == "enableNetworkAddressUsageMetrics")
    out.enable_network_address_usage_metrics.emplace().value = false;
  else
    return refuse("InvalidParameterValue",
                  fmt::format("Value ({}) for parameter attribute is invalid. Unknown attribute.", in.attribute));
  return {std::move(out), std::move(transaction)};
}

int free_addresses(const Context& context, const records::Subnet& subnet) {
  const auto block = Cidr::parse(subnet.cidr);
  if (!block) return 0;
  const auto used = static_cast<uint32_t>(context.tasks.in_subnet(subnet.id));
  const uint32_t given = block->size() - kAddressesKeptBack;
  return static_cast<int>(given > used ? given - used : 0);
}

m::Subnet render(const Context& context, const records::Subnet& subnet) {
  const auto scope = context.scope();
  m::Subnet out;
  out.availability_zone_id = zone_id(scope.region, subnet.availability_zone.back());
  out.map_customer_owned_ip_on_launch = false;
  out.owner_id = scope.account;
  out.assign_ipv6_address_on_creation = false;
  out.ipv6_cidr_block_association_set.emplace();
  out.subnet_arn = fmt::format("arn:aws:ec2:{}:{}:subnet/{}", scope.region, scope.account, subnet.id);
  out.enable_dns64 = false;
  out.ipv6_native = false;
  auto& names = out.private_dns_name_options_on_launch.emplace();
  names.hostname_type = "ip-name";
  names.enable_resource_name_dns_a_record = false;
  names.enable_resource_name_dns_aaaa_record = false;
  out.subnet_id = subnet.id;
  out.state = "available";
  out.vpc_id = subnet.vpc_id;
  out.cidr_block = subnet.cidr;
  out.available_ip_address_count = free_addresses(context, subnet);
  out.availability_zone = subnet.availability_zone;
  out.default_for_az = subnet.is_default;
  out.map_public_ip_on_launch = subnet.is_default;
  return out;
}

Filterable shown(const Context& context, const records::Subnet& subnet) {
  const auto scope = context.scope();
  const std::string zone = zone_id(scope.region, subnet.availability_zone.back());
  return Filterable()
      .with("availability-zone", subnet.availability_zone)
      .with("availabilityZone", subnet.availability_zone)
      .with("availability-zone-id", zone)
      .with("availabilityZoneId", zone)
      .with("available-ip-address-count", std::to_string(free_addresses(context, subnet)))
      .with("cidr", subnet.cidr)
      .with("cidr-block", subnet.cidr)
      .with("cidrBlock", subnet.cidr)
      .with("default-for-az", subnet.is_default)
      .with("defaultForAz", subnet.is_default)
      .with("map-public-ip-on-launch", subnet.is_default)
      .with("owner-id", scope.account)
      .with("state", std::string("available"))
      .with("subnet-arn", fmt::format("arn:aws:ec2:{}:{}:subnet/{}", scope.region, scope.account, subnet.id))
      .with("subnet-id", subnet.id)
      .with("vpc-id", subnet.vpc_id);
}

Handled<m::DescribeSubnetsResult> describe_subnets(const Context& context, const m::DescribeSubnetsRequest& in) {
  auto found = look(context, in,
                    {"availability-zone", "availabilityZone", "availability-zone-id", "availabilityZoneId",
                     "available-ip-address-count", "cidr", "cidr-block", "cidrBlock", "default-for-az", "defaultForAz",
                     "map-public-ip-on-launch", "owner-id", "state", "subnet-arn", "subnet-id", "vpc-id"});
  if (!found) return tl::unexpected(found.error());
  std::vector<std::string> present;
  for (const auto& subnet : found->network.subnets) present.push_back(subnet.id);
  if (auto checked =
          check_ids(list(in.subnet_ids), present, "subnet-", "InvalidSubnetID", "InvalidSubnetID", "subnet ID");
      !checked)
    return tl::unexpected(checked.error());
  m::DescribeSubnetsResult out;
  out.subnets.emplace();
  for (const auto& subnet : found->network.subnets)
    if (is_asked_for(list(in.subnet_ids), subnet.id) && shown(context, subnet).matches(found->filters))
      out.subnets->push_back(render(context, subnet));
  return {std::move(out), std::move(found->transaction)};
}

// A default group: everything from its own members in, everything out.
m::SecurityGroup render(const Context& context, const records::SecurityGroup& group) {
  const auto scope = context.scope();
  m::SecurityGroup out;
  out.group_id = group.id;
  auto permission = [](m::IpPermission& to) {
    to.ip_protocol = "-1";
    to.user_id_group_pairs.emplace();
    to.ip_ranges.emplace();
    to.ipv6_ranges.emplace();
    to.prefix_list_ids.emplace();
  };
  auto& egress = out.ip_permissions_egress.emplace().emplace_back();
  permission(egress);
  egress.ip_ranges->emplace_back().cidr_ip = "0.0.0.0/0";
  auto& ingress = out.ip_permissions.emplace().emplace_back();
  permission(ingress);
  auto& self = ingress.user_id_group_pairs->emplace_back();
  self.user_id = scope.account;
  self.group_id = group.id;
  out.vpc_id = group.vpc_id;
  out.security_group_arn = fmt::format("arn:aws:ec2:{}:{}:security-group/{}", scope.region, scope.account, group.id);
  out.owner_id = scope.account;
  out.group_name = group.name;
  out.description = group.description;
  return out;
}

Handled<m::DescribeSecurityGroupsResult> describe_security_groups(const Context& context,
                                                                  const m::DescribeSecurityGroupsRequest& in) {
  auto found = look(context, in, {"description", "group-id", "group-name", "owner-id", "vpc-id"});
  if (!found) return tl::unexpected(found.error());
  const records::SecurityGroup& group = found->network.security_group;
  if (auto checked =
          check_ids(list(in.group_ids), {group.id}, "sg-", "InvalidGroup", "InvalidGroupId", "security group");
      !checked)
    return tl::unexpected(checked.error());
  for (const std::string& name : list(in.group_names))
    if (name != group.name)
      return refuse("InvalidGroup.NotFound", fmt::format("The security group '{}' does not exist in default VPC '{}'",
                                                         name, found->network.vpc.id));
  const auto visible = Filterable()
                           .with("description", group.description)
                           .with("group-id", group.id)
                           .with("group-name", group.name)
                           .with("owner-id", context.caller.account)
                           .with("vpc-id", group.vpc_id);
  m::DescribeSecurityGroupsResult out;
  out.security_groups.emplace();
  if (visible.matches(found->filters)) out.security_groups->push_back(render(context, group));
  return {std::move(out), std::move(found->transaction)};
}

std::string main_association_id(const records::Vpc& vpc) { return "rtbassoc-" + vpc.main_route_table_id.substr(4); }

m::RouteTable render_main_route_table(const Context& context, const records::Vpc& vpc) {
  m::RouteTable out;
  auto& association = out.associations.emplace().emplace_back();
  association.main = true;
  association.route_table_association_id = main_association_id(vpc);
  association.route_table_id = vpc.main_route_table_id;
  association.association_state.emplace().state = "associated";
  out.propagating_vgws.emplace();
  out.route_table_id = vpc.main_route_table_id;
  auto route = [&](std::string destination, std::string gateway, const char* origin) {
    auto& to = out.routes->emplace_back();
    to.destination_cidr_block = std::move(destination);
    to.gateway_id = std::move(gateway);
    to.origin = origin;
    to.state = "active";
  };
  out.routes.emplace();
  route(vpc.cidr, "local", "CreateRouteTable");
  route("0.0.0.0/0", vpc.internet_gateway_id, "CreateRoute");
  out.vpc_id = vpc.id;
  out.owner_id = context.caller.account;
  return out;
}

Handled<m::DescribeRouteTablesResult> describe_route_tables(const Context& context,
                                                            const m::DescribeRouteTablesRequest& in) {
  auto found = look(context, in,
                    {"association.gateway-id", "association.main", "association.route-table-association-id",
                     "association.route-table-id", "association.subnet-id", "owner-id", "route-table-id",
                     "route.destination-cidr-block", "route.gateway-id", "route.origin", "route.state", "vpc-id"});
  if (!found) return tl::unexpected(found.error());
  const records::Vpc& vpc = found->network.vpc;
  if (auto checked = check_ids(list(in.route_table_ids), {vpc.main_route_table_id}, "rtb-", "InvalidRouteTableID",
                               "InvalidRouteTableId", "routeTable ID");
      !checked)
    return tl::unexpected(checked.error());
  const auto visible = Filterable()
                           .with("association.main", true)
                           .with("association.route-table-association-id", main_association_id(vpc))
                           .with("association.route-table-id", vpc.main_route_table_id)
                           .with("owner-id", context.caller.account)
                           .with("route-table-id", vpc.main_route_table_id)
                           .with("route.destination-cidr-block", vpc.cidr)
                           .with("route.destination-cidr-block", std::string("0.0.0.0/0"))
                           .with("route.gateway-id", std::string("local"))
                           .with("route.gateway-id", vpc.internet_gateway_id)
                           .with("route.origin", std::string("CreateRouteTable"))
                           .with("route.origin", std::string("CreateRoute"))
                           .with("route.state", std::string("active"))
                           .with("vpc-id", vpc.id);
  m::DescribeRouteTablesResult out;
  out.route_tables.emplace();
  if (visible.matches(found->filters)) out.route_tables->push_back(render_main_route_table(context, vpc));
  return {std::move(out), std::move(found->transaction)};
}

m::AvailabilityZone render_zone(const std::string& region, char letter) {
  m::AvailabilityZone out;
  out.opt_in_status = "opt-in-not-required";
  out.messages.emplace();
  out.region_name = region;
  out.zone_name = region + letter;
  out.zone_id = zone_id(region, letter);
  out.group_name = region;
  out.network_border_group = region;
  out.zone_type = "availability-zone";
  out.state = "available";
  return out;
}

// Zones are names; no network is made for them.
Handled<m::DescribeAvailabilityZonesResult> describe_availability_zones(const Context& context,
                                                                        const m::DescribeAvailabilityZonesRequest& in) {
  const auto filters = filters_of(in.filters);
  if (auto checked = check_filters(filters, {"group-name", "message", "opt-in-status", "region-name", "state",
                                             "zone-id", "zone-name", "zone-type", "parent-zoneID", "parent-zoneName"});
      !checked)
    return tl::unexpected(checked.error());
  if (in.dry_run.value_or(false))
    return tl::unexpected(ApiError{"DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412});
  const std::string& region = context.caller.region;
  std::vector<std::string> names, ids;
  for (const char letter : kZoneLetters) names.push_back(region + letter), ids.push_back(zone_id(region, letter));
  auto check = [](const std::vector<std::string>& asked, const std::vector<std::string>& present) -> ApiResult<void> {
    for (const std::string& one : asked)
      if (std::find(present.begin(), present.end(), one) == present.end())
        return refuse("InvalidParameterValue", fmt::format("Invalid availability zone: [{}]", one));
    return {};
  };
  for (const auto& checked : {check(list(in.zone_names), names), check(list(in.zone_ids), ids)})
    if (!checked) return tl::unexpected(checked.error());
  m::DescribeAvailabilityZonesResult out;
  out.availability_zones.emplace();
  for (size_t i = 0; i < names.size(); ++i) {
    const auto visible = Filterable()
                             .with("group-name", region)
                             .with("opt-in-status", std::string("opt-in-not-required"))
                             .with("region-name", region)
                             .with("state", std::string("available"))
                             .with("zone-id", ids[i])
                             .with("zone-name", names[i])
                             .with("zone-type", std::string("availability-zone"));
    if (is_asked_for(list(in.zone_names), names[i]) && is_asked_for(list(in.zone_ids), ids[i]) &&
        visible.matches(filters))
      out.availability_zones->push_back(render_zone(region, kZoneLetters[i]));
  }
  return out;
}

template <class In, class Out>
void add(Registry<model::Operation>& registry, const model::Operation& operation,
         std::type_identity_t<Access<In>> access, Handled<Out> (*handler)(const Context&, const In&)) {
  registry.on<In, Out>(operation, std::move(access), handler);
}

}  // namespace

std::string zone_id(std::string_view region, char letter) {
  // eu-central-1 → euc1, ap-southeast-2 → apse2.
  using Direction = std::pair<std::string_view, std::string_view>;
  static constexpr std::array<Direction, 9> kDirections{{{"northeast", "ne"},
                                                         {"northwest", "nw"},
                                                         {"southeast", "se"},
                                                         {"southwest", "sw"},
                                                         {"north", "n"},
                                                         {"south", "s"},
                                                         {"east", "e"},
                                                         {"west", "w"},
                                                         {"central", "c"}}};
  std::string out;
  while (!region.empty()) {
    const size_t dash = region.find('-');
    const std::string_view part = region.substr(0, dash);
    const auto direction =
        std::find_if(kDirections.begin(), kDirections.end(), [&](const auto& known) { return known.first == part; });
    out += direction == kDirections.end() ? part : direction->second;
    region = dash == std::string_view::npos ? std::string_view() : region.substr(dash + 1);
  }
  return fmt::format("{}-az{}", out, letter - 'a' + 1);
}

void add_handlers(Registry<model::Operation>& registry) {
  add(registry, m::kDescribeVpcs, kAnyResource, describe_vpcs);
  add(registry, m::kDescribeVpcAttribute, kAnyResource, describe_vpc_attribute);
  add(registry, m::kDescribeSubnets, kAnyResource, describe_subnets);
  add(registry, m::kDescribeSecurityGroups, kAnyResource, describe_security_groups);
  add(registry, m::kDescribeRouteTables, kAnyResource, describe_route_tables);
  add(registry, m::kDescribeAvailabilityZones, kAnyResource, describe_availability_zones);
}

}  // namespace berth::services::ec2
