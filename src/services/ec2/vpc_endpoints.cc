// VPC endpoints: kept and described. A gateway endpoint has its routes in its route tables, an interface endpoint an interface
// in each of its subnets.
#include <algorithm>
#include <set>

#include "base/hash.h"
#include "base/json.h"
#include "base/limits.h"
#include "model/ec2/operations.h"
#include "model/ec2/vpc_endpoints.h"
#include "records/aws_prefix_lists.h"
#include "services/ec2/endpoint_services.h"
#include "services/ec2/handlers.h"
#include "services/ec2/objects.h"
#include "services/ec2/select.h"
#include "services/ec2/service_interfaces.h"

namespace berth::services::ec2 {
namespace {

using records::VpcEndpoint;

constexpr std::string_view kAllowAll =
    R"({"Version":"2008-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]})";

tl::unexpected<ApiError> invalid_parameter(std::string text) { return refuse("InvalidParameter", std::move(text)); }

std::string short_name(const VpcEndpoint& endpoint) {
  const std::string_view rest = std::string_view(endpoint.service_name).substr(std::string_view("com.amazonaws.").size());
  return std::string(rest.substr(rest.find('.') + 1));
}

std::vector<m::DnsEntry> dns_entries(const Work& work, const VpcEndpoint& endpoint) {
  std::vector<m::DnsEntry> out;
  const std::string name = short_name(endpoint), label = fmt::format("{:08x}", fnv1a(endpoint.id) & 0xffffffff);
  const auto entry = [&](std::string dns_name) {
    auto& added = out.emplace_back();
    added.dns_name = std::move(dns_name);
    added.hosted_zone_id = "Z" + fmt::format("{:013X}", fnv1a(name) & 0xfffffffffffff);
  };
  entry(fmt::format("{}-{}.{}.{}.vpce.amazonaws.com", endpoint.id, label, name, work.scope.region));
  for (const std::string& id : endpoint.subnet_ids)
    if (const auto subnet = records::get<records::Subnet>(work.context.store, key_of<records::Subnet>(work, id)))
      entry(fmt::format("{}-{}-{}.{}.{}.vpce.amazonaws.com", endpoint.id, label, subnet->availability_zone, name,
                        work.scope.region));
  if (endpoint.private_dns) entry(fmt::format("{}.{}.amazonaws.com", name, work.scope.region));
  return out;
}

m::VpcEndpoint render(Work& work, const VpcEndpoint& endpoint) {
  const bool is_interface = endpoint.type == "Interface";
  auto out = common::from_kept<m::VpcEndpoint>(endpoint.kept);
  out.vpc_endpoint_id = endpoint.id;
  out.vpc_endpoint_type = endpoint.type;
  out.vpc_id = endpoint.vpc_id;
  out.service_name = endpoint.service_name;
  out.state = "available";
  out.policy_document = endpoint.policy;
  out.route_table_ids = endpoint.route_table_ids;
  out.subnet_ids = endpoint.subnet_ids;
  out.groups.emplace();
  for (const std::string& id : endpoint.groups) {
    const auto group = look_up<records::SecurityGroup>(work, id);
    auto& shown = out.groups->emplace_back();
    shown.group_id = id;
    if (group) shown.group_name = group->name;
  }
  if (is_interface) {
    if (!out.ip_address_type) out.ip_address_type = "ipv4";
    if (!out.dns_options) out.dns_options.emplace();
    if (!out.dns_options->dns_record_ip_type) out.dns_options->dns_record_ip_type = "ipv4";
  }
  out.private_dns_enabled = endpoint.private_dns;
  out.requester_managed = false;
  out.network_interface_ids = endpoint.interface_ids;
  out.dns_entries = is_interface ? dns_entries(work, endpoint) : std::vector<m::DnsEntry>{};
  out.creation_timestamp = endpoint.created_at_ms;
  out.tags = render_tags(work, endpoint.id);
  out.owner_id = work.scope.account;
  out.service_region = work.scope.region;
  return out;
}

Handled<m::DescribeVpcEndpointsResult> describe_vpc_endpoints(const Context& context,
                                                              const m::DescribeVpcEndpointsRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  m::DescribeVpcEndpointsRequest asked = in;
  if (asked.max_results) asked.max_results = std::min(*asked.max_results, kPageMax);  // AWS takes more, and gives no more
  auto found = select<VpcEndpoint>(work, asked, list(in.vpc_endpoint_ids),
                                   {"ip-address-type", "service-name", "service-region", "vpc-endpoint-id",
                                    "vpc-endpoint-state", "vpc-endpoint-type", "vpc-id"},
                                   [&](const VpcEndpoint& endpoint) {
                                     return Filterable()
                                         .with("ip-address-type", "ipv4")
                                         .with("service-name", endpoint.service_name)
                                         .with("service-region", work.scope.region)
                                         .with("vpc-endpoint-id", endpoint.id)
                                         .with("vpc-endpoint-state", "available")
                                         .with("vpc-endpoint-type", endpoint.type)
                                         .with("vpc-id", endpoint.vpc_id);
                                   },
                                   {1, kPageMax});
  if (!found) return tl::unexpected(found.error());
  m::DescribeVpcEndpointsResult out;
  out.vpc_endpoints.emplace();
  for (const auto& endpoint : found->records) out.vpc_endpoints->push_back(render(work, *endpoint));
  out.next_token = found->next_token;
  return {std::move(out), std::move(work.transaction)};
}

std::string prefix_list_of(const VpcEndpoint& endpoint) {
  for (const auto& prefixes : records::kAwsPrefixLists)
    if (prefixes.service == short_name(endpoint)) return std::string(prefixes.id);
  return {};
}

ApiResult<void> join_table(Work& work, VpcEndpoint& endpoint, const std::string& id) {
  const auto found = find<records::RouteTable>(work, id);
  if (!found) return tl::unexpected(found.error());
  records::RouteTable table = **found;
  if (table.vpc_id != endpoint.vpc_id)
    return invalid_parameter(fmt::format("Route table {} belongs to another network than the endpoint.", id));
  const std::string prefixes = prefix_list_of(endpoint);
  for (const auto& route : table.routes)
    if (route.destination_prefix_list_id == prefixes)
      return refuse("RouteAlreadyExists", fmt::format("route table {} already has a route with "
                                                      "destination-prefix-list-id {}",
                                                      id, prefixes));
  table.routes.push_back({"", prefixes, endpoint.id, "CreateRoute"});
  put(work, table);
  endpoint.route_table_ids.push_back(id);
  return {};
}

void leave_table(Work& work, VpcEndpoint& endpoint, const std::string& id) {
  std::erase(endpoint.route_table_ids, id);
  const auto found = look_up<records::RouteTable>(work, id);
  if (!found) return;
  records::RouteTable table = *found;
  std::erase_if(table.routes, [&](const auto& route) { return route.target == endpoint.id; });
  put(work, table);
}

ApiResult<void> join_subnet(Work& work, VpcEndpoint& endpoint, const std::string& id) {
  const auto subnet = find<records::Subnet>(work, id);
  if (!subnet) return tl::unexpected(subnet.error());
  if ((*subnet)->vpc_id != endpoint.vpc_id)
    return invalid_parameter(fmt::format("Subnet {} belongs to another network than the endpoint.", id));
  for (const std::string& other_id : endpoint.subnet_ids) {
    const auto other = look_up<records::Subnet>(work, other_id);
    if (other && other->availability_zone == (*subnet)->availability_zone)
      return refuse("DuplicateSubnetsInSameZone",
                    fmt::format("Found another VPC endpoint subnet in the availability zone of {}", id));
  }
  const auto interface = make_interface(work, **subnet, {endpoint.id, "vpc_endpoint",
                                                         "VPC Endpoint Interface " + endpoint.id, endpoint.groups, {}});
  if (!interface)
    return refuse("InsufficientFreeAddressesInSubnet",
                  "The specified subnet does not have enough free addresses to satisfy the request.");
  endpoint.subnet_ids.push_back(id);
  endpoint.interface_ids.push_back(interface->id);
  return {};
}

void leave_subnet(Work& work, VpcEndpoint& endpoint, const std::string& id) {
  std::erase(endpoint.subnet_ids, id);
  std::erase_if(endpoint.interface_ids, [&](const std::string& interface_id) {
    const auto interface = look_up<records::Interface>(work, interface_id);
    if (!interface || interface->subnet_id != id) return false;
    erase_interface(work, interface_id);
    return true;
  });
}

ApiResult<void> check_group(Work& work, const VpcEndpoint& endpoint, const std::string& id) {
  const auto group = find<records::SecurityGroup>(work, id);
  if (!group) return tl::unexpected(group.error());
  if ((*group)->vpc_id == endpoint.vpc_id) return {};
  return invalid_parameter(fmt::format("Security group {} belongs to another network than the endpoint.", id));
}

// Private names need both DNS attributes of the VPC, and one endpoint a service.
ApiResult<void> check_private_dns(Work& work, const VpcEndpoint& endpoint) {
  if (!endpoint.private_dns) return {};
  const auto vpc = look_up<records::Vpc>(work, endpoint.vpc_id);
  if (!vpc || !vpc->dns_support || !vpc->dns_hostnames)
    return invalid_parameter(fmt::format("Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC "
                                         "attributes set to true for {}",
                                         endpoint.vpc_id));
  for (const auto& [key, other] : all<VpcEndpoint>(work))
    if (other->id != endpoint.id && other->vpc_id == endpoint.vpc_id && other->private_dns &&
        other->service_name == endpoint.service_name)
      return invalid_parameter(fmt::format("private-dns-enabled cannot be set because there is already a conflicting DNS "
                                           "domain for {}.{}.amazonaws.com in the VPC {}",
                                           short_name(endpoint), work.scope.region, endpoint.vpc_id));
  return {};
}

ApiResult<void> check_policy(const std::optional<std::string>& policy) {
  if (!policy || policy->empty() || json::parse(*policy)) return {};
  return refuse("InvalidPolicyDocument", "The policy document is not valid JSON.");
}

// What of the request is kept in API shape.
template <class In>
void keep(const In& in, VpcEndpoint& endpoint) {
  auto kept = common::from_kept<m::VpcEndpoint>(endpoint.kept);
  if (in.ip_address_type) kept.ip_address_type = in.ip_address_type;
  if (in.dns_options) {
    auto& to = kept.dns_options ? *kept.dns_options : kept.dns_options.emplace();
    to.dns_record_ip_type = in.dns_options->dns_record_ip_type;
    to.private_dns_only_for_inbound_resolver_endpoint = in.dns_options->private_dns_only_for_inbound_resolver_endpoint;
    to.private_dns_preference = in.dns_options->private_dns_preference;
    to.private_dns_specified_domains = in.dns_options->private_dns_specified_domains;
  }
  endpoint.kept = common::to_kept(kept);
}

ApiResult<VpcEndpoint> begin_endpoint(Work& work, const records::Vpc& vpc, const m::CreateVpcEndpointRequest& in) {
  VpcEndpoint out;
  out.type = in.vpc_endpoint_type.value_or("Gateway");
  if (out.type != "Gateway" && out.type != "Interface") return unsupported("VPC endpoints of the type " + out.type);
  if (!in.service_name) return refuse("MissingParameter", "The request must contain the parameter serviceName");
  if (in.service_region && *in.service_region != work.scope.region)
    return unsupported("VPC endpoints for services of other regions");
  const EndpointService* service = find_endpoint_service(*in.service_name, work.scope.region);
  if (service == nullptr)
    return refuse("InvalidServiceName", fmt::format("The Vpc Endpoint Service '{}' does not exist", *in.service_name));
  if (out.type == "Gateway" && !service->gateway)
    return invalid_parameter("Endpoint type (Gateway) does not match available service types ([Interface]).");
  if (auto checked = check_policy(in.policy_document); !checked) return tl::unexpected(checked.error());
  size_t count = 0;
  for (const auto& [key, other] : all<VpcEndpoint>(work)) count += other->type == out.type;
  if (count >= limits::kVpcEndpointsMax)
    return refuse("VpcEndpointLimitExceeded", "The maximum number of VPC endpoints has been reached.");
  out.id = new_id<VpcEndpoint>(work);
  out.vpc_id = vpc.id;
  out.service_name = *in.service_name;
  out.policy = in.policy_document && !in.policy_document->empty() ? *in.policy_document : std::string(kAllowAll);
  out.private_dns = out.type == "Interface" && in.private_dns_enabled.value_or(true);
  out.created_at_ms = work.context.now_ms;
  keep(in, out);
  return out;
}

ApiResult<void> place(Work& work, const records::Vpc& vpc, const m::CreateVpcEndpointRequest& in, VpcEndpoint& endpoint) {
  if (auto checked = check_private_dns(work, endpoint); !checked) return checked;
  if (endpoint.type == "Gateway") {
    if (!list(in.subnet_ids).empty() || !list(in.security_group_ids).empty())
      return invalid_parameter("Gateway endpoints have neither subnets nor security groups.");
    for (const std::string& id : list(in.route_table_ids))
      if (auto joined = join_table(work, endpoint, id); !joined) return joined;
    return {};
  }
  if (!list(in.route_table_ids).empty()) return invalid_parameter("Interface endpoints have no route tables.");
  for (const std::string& id : list(in.security_group_ids))
    if (auto checked = check_group(work, endpoint, id); !checked) return checked;
  endpoint.groups = list(in.security_group_ids);
  if (endpoint.groups.empty()) endpoint.groups = {vpc.default_security_group_id};
  for (const std::string& id : list(in.subnet_ids))
    if (auto joined = join_subnet(work, endpoint, id); !joined) return joined;
  return {};
}

Handled<m::CreateVpcEndpointResult> create_vpc_endpoint(const Context& context, const m::CreateVpcEndpointRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  const auto vpc = find<records::Vpc>(work, in.vpc_id);
  if (!vpc) return tl::unexpected(vpc.error());
  const auto tags = tags_at_creation(in.tag_specifications, kKind<VpcEndpoint>.resource_type);
  if (!tags) return tl::unexpected(tags.error());
  const std::string hash = parameters_hash(in);
  const auto before = id_by_token(work, "CreateVpcEndpoint", in.client_token, hash);
  if (!before) return tl::unexpected(before.error());
  m::CreateVpcEndpointResult out;
  out.client_token = in.client_token;
  if (const auto known = look_up<VpcEndpoint>(work, *before)) {
    out.vpc_endpoint = render(work, *known);
    return {std::move(out), std::move(work.transaction)};
  }
  auto endpoint = begin_endpoint(work, **vpc, in);
  if (!endpoint) return tl::unexpected(endpoint.error());
  if (auto placed = place(work, **vpc, in, *endpoint); !placed) return tl::unexpected(placed.error());
  put(work, *endpoint);
  put_tags(work, endpoint->id, *tags);
  remember_token(work, "CreateVpcEndpoint", in.client_token, hash, endpoint->id);
  out.vpc_endpoint = render(work, *endpoint);
  if (endpoint->type == "Interface") out.vpc_endpoint->state = "pending";
  return {std::move(out), std::move(work.transaction)};
}

void write_groups(Work& work, const VpcEndpoint& endpoint) {
  for (const std::string& id : endpoint.interface_ids) {
    const auto found = look_up<records::Interface>(work, id);
    if (!found) continue;
    records::Interface interface = *found;
    interface.groups = endpoint.groups;
    put(work, interface);
  }
}

ApiResult<void> change_groups(Work& work, const m::ModifyVpcEndpointRequest& in, VpcEndpoint& endpoint) {
  for (const std::string& id : list(in.add_security_group_ids)) {
    if (auto checked = check_group(work, endpoint, id); !checked) return checked;
    if (std::find(endpoint.groups.begin(), endpoint.groups.end(), id) == endpoint.groups.end())
      endpoint.groups.push_back(id);
  }
  for (const std::string& id : list(in.remove_security_group_ids)) std::erase(endpoint.groups, id);
  if (endpoint.groups.empty()) return invalid_parameter("An interface endpoint has at least one security group.");
  write_groups(work, endpoint);
  return {};
}

ApiResult<void> change(Work& work, const m::ModifyVpcEndpointRequest& in, VpcEndpoint& endpoint) {
  if (auto checked = check_policy(in.policy_document); !checked) return checked;
  if (in.policy_document && !in.policy_document->empty()) endpoint.policy = *in.policy_document;
  if (in.reset_policy.value_or(false)) endpoint.policy = kAllowAll;
  keep(in, endpoint);
  const bool is_gateway = endpoint.type == "Gateway";
  const bool for_gateways = !list(in.add_route_table_ids).empty() || !list(in.remove_route_table_ids).empty();
  const bool for_interfaces = !list(in.add_subnet_ids).empty() || !list(in.remove_subnet_ids).empty() ||
                              !list(in.add_security_group_ids).empty() || !list(in.remove_security_group_ids).empty();
  if (is_gateway ? for_interfaces : for_gateways)
    return invalid_parameter(is_gateway ? "Gateway endpoints have neither subnets nor security groups."
                                        : "Interface endpoints have no route tables.");
  for (const std::string& id : list(in.remove_route_table_ids)) leave_table(work, endpoint, id);
  for (const std::string& id : list(in.add_route_table_ids))
    if (auto joined = join_table(work, endpoint, id); !joined) return joined;
  if (is_gateway) return {};
  for (const std::string& id : list(in.remove_subnet_ids)) leave_subnet(work, endpoint, id);
  for (const std::string& id : list(in.add_subnet_ids))
    if (auto joined = join_subnet(work, endpoint, id); !joined) return joined;
  if (in.private_dns_enabled) endpoint.private_dns = *in.private_dns_enabled;
  if (auto checked = check_private_dns(work, endpoint); !checked) return checked;
  return change_groups(work, in, endpoint);
}

Handled<m::ModifyVpcEndpointResult> modify_vpc_endpoint(const Context& context, const m::ModifyVpcEndpointRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  const auto found = find<VpcEndpoint>(work, in.vpc_endpoint_id);
  if (!found) return tl::unexpected(found.error());
  VpcEndpoint endpoint = **found;
  if (auto changed = change(work, in, endpoint); !changed) return tl::unexpected(changed.error());
  put(work, endpoint);
  m::ModifyVpcEndpointResult out;
  out.return_ = true;
  return {std::move(out), std::move(work.transaction)};
}

// Errors of single endpoints stand in the answer of a call that succeeds.
Handled<m::DeleteVpcEndpointsResult> delete_vpc_endpoints(const Context& context,
                                                          const m::DeleteVpcEndpointsRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  m::DeleteVpcEndpointsResult out;
  out.unsuccessful.emplace();
  for (const std::string& id : in.vpc_endpoint_ids) {
    const auto found = look_up<VpcEndpoint>(work, id);
    if (!found) {
      auto& failure = out.unsuccessful->emplace_back();
      failure.resource_id = id;
      failure.error.emplace().code = "InvalidVpcEndpoint.NotFound";
      failure.error->message = fmt::format("The Vpc Endpoint Id '{}' does not exist", id);
      continue;
    }
    VpcEndpoint endpoint = *found;
    for (const std::string& table : found->route_table_ids) leave_table(work, endpoint, table);
    for (const std::string& interface : found->interface_ids) erase_interface(work, interface);
    erase(work, endpoint);
  }
  return {std::move(out), std::move(work.transaction)};
}

}  // namespace

void add_vpc_endpoint_handlers(OperationRegistry& registry) {
  add(registry, m::kDescribeVpcEndpoints, kAnyResource, describe_vpc_endpoints);
  add(registry, m::kCreateVpcEndpoint, Creates{"vpc-endpoint"}, create_vpc_endpoint);
  add(registry, m::kModifyVpcEndpoint, named, modify_vpc_endpoint);
  add(registry, m::kDeleteVpcEndpoints, named, delete_vpc_endpoints);
}

}  // namespace berth::services::ec2
