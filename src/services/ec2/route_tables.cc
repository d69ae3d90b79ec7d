// Route tables and their associations with subnets. routes.cc has the routes in them.
#include <algorithm>

#include "base/limits.h"
#include "model/ec2/operations.h"
#include "model/ec2/route_tables.h"
#include "services/ec2/default_vpc.h"
#include "services/ec2/handlers.h"
#include "services/ec2/objects.h"
#include "services/ec2/routes.h"
#include "services/ec2/select.h"

namespace berth::services::ec2 {
namespace {

namespace kinds = records::ec2_kinds;

m::RouteTableAssociation render_association(const records::RouteTable& table,
                                            const records::SubnetAssociation& association) {
  m::RouteTableAssociation out;
  out.main = association.main;
  out.route_table_association_id = association.id;
  out.route_table_id = table.id;
  if (!association.subnet_id.empty()) out.subnet_id = association.subnet_id;
  out.association_state.emplace().state = "associated";
  return out;
}

m::RouteTable render(Work& work, const records::RouteTable& table) {
  m::RouteTable out;
  out.associations.emplace();
  for (const auto& association : table.associations)
    out.associations->push_back(render_association(table, association));
  out.propagating_vgws.emplace();
  out.route_table_id = table.id;
  out.routes.emplace();
  for (const auto& route : table.routes) out.routes->push_back(render_route(work, table, route));
  out.tags = render_tags(work, table.id);
  out.vpc_id = table.vpc_id;
  out.owner_id = work.scope.account;
  return out;
}

Filterable shown(Work& work, const records::RouteTable& table) {
  Filterable out;
  out.with("owner-id", work.scope.account).with("route-table-id", table.id).with("vpc-id", table.vpc_id);
  for (const auto& association : table.associations) {
    out.with("association.main", association.main);
    out.with("association.route-table-association-id", association.id);
    out.with("association.association-id", association.id);
    out.with("association.route-table-id", table.id);
    if (!association.subnet_id.empty()) out.with("association.subnet-id", association.subnet_id);
  }
  for (const auto& route : table.routes) show_route(out, render_route(work, table, route));
  return out;
}

Handled<m::DescribeRouteTablesResult> describe_route_tables(const Context& context,
                                                            const m::DescribeRouteTablesRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  auto found = select<records::RouteTable>(
      work, in, list(in.route_table_ids),
      {"association.association-id", "association.gateway-id", "association.main",
       "association.route-table-association-id", "association.route-table-id", "association.subnet-id", "owner-id",
       "route-table-id", "route.destination-cidr-block", "route.destination-ipv6-cidr-block",
       "route.destination-prefix-list-id", "route.egress-only-internet-gateway-id", "route.gateway-id",
       "route.instance-id", "route.nat-gateway-id", "route.network-interface-id", "route.transit-gateway-id",
       "route.origin", "route.state", "route.vpc-peering-connection-id", "vpc-id"},
      [&](const records::RouteTable& table) { return shown(work, table); }, {5, 100});
  if (!found) return tl::unexpected(found.error());
  m::DescribeRouteTablesResult out;
  out.route_tables.emplace();
  for (const auto& table : found->records) out.route_tables->push_back(render(work, *table));
  out.next_token = found->next_token;
  return {std::move(out), std::move(work.transaction)};
}

Handled<m::CreateRouteTableResult> create_route_table(const Context& context, const m::CreateRouteTableRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  const auto vpc = find<records::Vpc>(work, in.vpc_id);
  if (!vpc) return tl::unexpected(vpc.error());
  const auto tags = tags_at_creation(in.tag_specifications, kKind<records::RouteTable>.resource_type);
  if (!tags) return tl::unexpected(tags.error());
  const std::string hash = parameters_hash(in);
  const auto before = id_by_token(work, "CreateRouteTable", in.client_token, hash);
  if (!before) return tl::unexpected(before.error());
  m::CreateRouteTableResult out;
  out.client_token = in.client_token;
  if (const auto table = look_up<records::RouteTable>(work, *before)) {
    out.route_table = render(work, *table);
    return {std::move(out), std::move(work.transaction)};
  }
  if (context.networks.naming((*vpc)->id, kinds::kRouteTable).size() >= limits::kRouteTablesMax)
    return refuse("RouteTableLimitExceeded", "The maximum number of route tables has been reached.");
  records::RouteTable table;
  table.id = new_id<records::RouteTable>(work);
  table.vpc_id = (*vpc)->id;
  table.routes.push_back(local_route((*vpc)->cidr));
  for (const auto& secondary : (*vpc)->secondary_cidrs) table.routes.push_back(local_route(secondary.cidr));
  put(work, table);
  put_tags(work, table.id, *tags);
  remember_token(work, "CreateRouteTable", in.client_token, hash, table.id);
  out.route_table = render(work, table);
  return {std::move(out), std::move(work.transaction)};
}

Handled<Nothing> delete_route_table(const Context& context, const m::DeleteRouteTableRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  const auto table = find<records::RouteTable>(work, in.route_table_id);
  if (!table) return tl::unexpected(table.error());
  if (!(*table)->associations.empty()) return has_dependencies("routeTable", (*table)->id);
  // A gateway endpoint forgets the table.
  for (const std::string& key : context.networks.naming((*table)->id, kinds::kVpcEndpoint)) {
    const auto found = work.get<records::VpcEndpoint>(key);
    if (!found) continue;
    records::VpcEndpoint endpoint = *found;
    std::erase(endpoint.route_table_ids, (*table)->id);
    put(work, endpoint);
  }
  erase(work, **table);
  return {Nothing{}, std::move(work.transaction)};
}

tl::unexpected<ApiError> other_networks(const std::string& table, const std::string& subnet) {
  return refuse("InvalidParameterValue",
                fmt::format("Route table {} and subnet {} belong to different networks", table, subnet));
}

Handled<m::AssociateRouteTableResult> associate_route_table(const Context& context,
                                                            const m::AssociateRouteTableRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  const auto found = find<records::RouteTable>(work, in.route_table_id);
  if (!found) return tl::unexpected(found.error());
  if (!in.subnet_id)
    return refuse("MissingParameter", "The request must contain exactly one of subnetId, gatewayId or publicIpv4Pool");
  const auto subnet = find<records::Subnet>(work, *in.subnet_id);
  if (!subnet) return tl::unexpected(subnet.error());
  records::RouteTable table = **found;
  if (table.vpc_id != (*subnet)->vpc_id) return other_networks(table.id, *in.subnet_id);
  m::AssociateRouteTableResult out;
  out.association_state.emplace().state = "associated";
  for (const std::string& key : context.networks.naming(*in.subnet_id, kinds::kRouteTable)) {
    if (key != key_of<records::RouteTable>(work, table.id))
      return refuse("Resource.AlreadyAssociated",
                    fmt::format("the specified association for route table {} conflicts with an existing association",
                                table.id));
    for (const auto& association : table.associations)
      if (association.subnet_id == *in.subnet_id) out.association_id = association.id;
    return {std::move(out), std::move(work.transaction)};
  }
  table.associations.push_back({new_id(work, "rtbassoc-"), *in.subnet_id, false});
  put(work, table);
  out.association_id = table.associations.back().id;
  return {std::move(out), std::move(work.transaction)};
}

// The table that has the association, and where in it.
struct FoundAssociation {
  records::RouteTable table;
  size_t index = 0;

  const records::SubnetAssociation& association() const { return table.associations[index]; }
};

ApiResult<FoundAssociation> find_association(Work& work, const std::string& id) {
  if (!id.starts_with("rtbassoc-"))
    return refuse("InvalidAssociationID.Malformed", fmt::format("Invalid id: \"{}\" (expecting \"rtbassoc-...\")", id));
  for (const auto& [key, table] : all<records::RouteTable>(work))
    for (size_t i = 0; i < table->associations.size(); ++i)
      if (table->associations[i].id == id) return FoundAssociation{*table, i};
  return refuse("InvalidAssociationID.NotFound", fmt::format("The association ID '{}' does not exist", id));
}

Handled<Nothing> disassociate_route_table(const Context& context, const m::DisassociateRouteTableRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  auto found = find_association(work, in.association_id);
  if (!found) return tl::unexpected(found.error());
  if (found->association().main)
    return refuse("InvalidParameterValue",
                  fmt::format("cannot disassociate the main route table association {}", in.association_id));
  found->table.associations.erase(found->table.associations.begin() + static_cast<std::ptrdiff_t>(found->index));
  put(work, found->table);
  return {Nothing{}, std::move(work.transaction)};
}

// With the main association, the other table becomes the VPC's main one.
Handled<m::ReplaceRouteTableAssociationResult> replace_route_table_association(
    const Context& context, const m::ReplaceRouteTableAssociationRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  auto from = find_association(work, in.association_id);
  if (!from) return tl::unexpected(from.error());
  const auto to = find<records::RouteTable>(work, in.route_table_id);
  if (!to) return tl::unexpected(to.error());
  const bool same = (*to)->id == from->table.id;
  if ((*to)->vpc_id != from->table.vpc_id)
    return other_networks((*to)->id, from->association().main ? from->table.vpc_id : from->association().subnet_id);
  records::SubnetAssociation moved = from->association();
  moved.id = new_id(work, "rtbassoc-");
  from->table.associations.erase(from->table.associations.begin() + static_cast<std::ptrdiff_t>(from->index));
  records::RouteTable target = same ? from->table : **to;
  target.associations.push_back(moved);
  put(work, from->table);
  put(work, target);
  if (moved.main && !same) {
    records::Vpc vpc = *look_up<records::Vpc>(work, target.vpc_id);
    vpc.main_route_table_id = target.id;
    put(work, vpc);
  }
  m::ReplaceRouteTableAssociationResult out;
  out.new_association_id = moved.id;
  out.association_state.emplace().state = "associated";
  return {std::move(out), std::move(work.transaction)};
}

}  // namespace

void add_route_table_handlers(OperationRegistry& registry) {
  add(registry, m::kDescribeRouteTables, kAnyResource, describe_route_tables);
  add(registry, m::kCreateRouteTable, Creates{"route-table"}, create_route_table);
  add(registry, m::kDeleteRouteTable, named, delete_route_table);
  add(registry, m::kAssociateRouteTable, named, associate_route_table);
  add(registry, m::kDisassociateRouteTable, named, disassociate_route_table);
  add(registry, m::kReplaceRouteTableAssociation, named, replace_route_table_association);
}

}  // namespace berth::services::ec2
