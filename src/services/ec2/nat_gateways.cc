// NAT gateways. What is wrong with one is its state, not an error of the call. Deleted and failed ones are described for an
// hour; control erases them then (control/loop/retention.h).
#include <algorithm>

#include "base/limits.h"
#include "model/ec2/nat_gateways.h"
#include "model/ec2/operations.h"
#include "services/ec2/handlers.h"
#include "services/ec2/interfaces.h"
#include "services/ec2/objects.h"
#include "services/ec2/select.h"
#include "services/ec2/service_interfaces.h"

namespace berth::services::ec2 {
namespace {

namespace kinds = records::ec2_kinds;

bool is_over(const records::NatGateway& gateway) { return gateway.state == "deleted" || gateway.state == "failed"; }

m::NatGateway render(Work& work, const records::NatGateway& gateway) {
  m::NatGateway out;
  out.create_time = gateway.created_at_ms;
  if (gateway.deleted_at_ms != 0) out.delete_time = gateway.deleted_at_ms;
  if (!gateway.failure_code.empty()) {
    out.failure_code = gateway.failure_code;
    out.failure_message = gateway.failure_message;
  }
  auto& address = out.nat_gateway_addresses.emplace().emplace_back();
  const auto given = [](const std::string& text) { return text.empty() ? std::nullopt : std::optional(text); };
  address.allocation_id = given(gateway.allocation_id);
  address.network_interface_id = given(gateway.interface_id);
  address.private_ip = given(gateway.private_address);
  address.public_ip = given(gateway.public_address);
  address.association_id = given(gateway.association_id);
  address.is_primary = true;
  address.status = gateway.state == "failed" ? "failed" : "succeeded";
  out.nat_gateway_id = gateway.id;
  out.state = gateway.state;
  out.subnet_id = gateway.subnet_id;
  out.vpc_id = gateway.vpc_id;
  out.tags = render_tags(work, gateway.id);
  out.connectivity_type = gateway.connectivity_type;
  out.availability_mode = "zonal";
  return out;
}

Handled<m::DescribeNatGatewaysResult> describe_nat_gateways(const Context& context,
                                                            const m::DescribeNatGatewaysRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  auto found = select<records::NatGateway>(work, in, list(in.nat_gateway_ids),
                                           {"nat-gateway-id", "state", "subnet-id", "vpc-id"},
                                           [&](const records::NatGateway& gateway) {
                                             return Filterable()
                                                 .with("nat-gateway-id", gateway.id)
                                                 .with("state", gateway.state)
                                                 .with("subnet-id", gateway.subnet_id)
                                                 .with("vpc-id", gateway.vpc_id);
                                           });
  if (!found) return tl::unexpected(found.error());
  m::DescribeNatGatewaysResult out;
  out.nat_gateways.emplace();
  for (const auto& gateway : found->records) out.nat_gateways->push_back(render(work, *gateway));
  out.next_token = found->next_token;
  return {std::move(out), std::move(work.transaction)};
}

ApiResult<void> check_quota(const Work& work, const records::Subnet& subnet) {
  size_t count = 0;
  for (const auto& [key, other] : all<records::NatGateway>(work)) {
    if (is_over(*other)) continue;
    const auto at = records::get<records::Subnet>(work.context.store, key_of<records::Subnet>(work, other->subnet_id));
    count += at && at->availability_zone == subnet.availability_zone;
  }
  if (count < limits::kNatGatewaysMax) return {};
  return refuse("NatGatewayLimitExceeded",
                fmt::format("Performing this operation would exceed the limit of {} NAT gateways", limits::kNatGatewaysMax));
}

// The private address that the caller wants.
ApiResult<std::optional<Ipv4>> wanted_address(const Work& work, const records::Subnet& subnet,
                                              const std::optional<std::string>& text) {
  if (!text) return std::optional<Ipv4>();
  const auto address = check_address(work, subnet, *text, {});
  if (!address) return tl::unexpected(address.error());
  return std::optional(*address);
}

void fail(const Work& work, records::NatGateway& gateway, std::string code, std::string message) {
  gateway.state = "failed";
  gateway.failure_code = std::move(code);
  gateway.failure_message = std::move(message);
  gateway.deleted_at_ms = work.context.now_ms;
}

// Gives the gateway its Elastic IP and interface, or its failure.
void build(Work& work, records::NatGateway& gateway, const records::Subnet& subnet, std::optional<Ipv4> address) {
  const bool is_public = gateway.connectivity_type == "public";
  const auto elastic = look_up<records::Address>(work, gateway.allocation_id);
  if (is_public && !work.context.networks.is_named(gateway.vpc_id, kinds::kInternetGateway))
    return fail(work, gateway, "Gateway.NotAttached",
                fmt::format("Network {} has no Internet gateway attached", gateway.vpc_id));
  if (is_public && !elastic)
    return fail(work, gateway, "InvalidAllocationID.NotFound",
                fmt::format("The allocation ID '{}' does not exist", gateway.allocation_id));
  if (is_public && !elastic->association_id.empty())
    return fail(work, gateway, "Resource.AlreadyAssociated",
                fmt::format("Elastic IP address {} is already associated", gateway.allocation_id));
  const auto interface = make_interface(
      work, subnet, {gateway.id, "nat_gateway", "Interface for NAT Gateway " + gateway.id, {}, address});
  if (!interface)
    return fail(work, gateway, "InsufficientFreeAddressesInSubnet",
                "Subnet has insufficient free addresses to create this NAT gateway");
  gateway.interface_id = interface->id;
  gateway.private_address = interface->address;
  if (!is_public) return;
  records::Address associated = *elastic;
  associated.association_id = gateway.association_id = new_id(work, "eipassoc-");
  associated.interface_id = interface->id;
  associated.private_address = interface->address;
  gateway.public_address = associated.public_address;
  put(work, associated);
}

Handled<m::CreateNatGatewayResult> create_nat_gateway(const Context& context, const m::CreateNatGatewayRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  if (!in.subnet_id) return refuse("MissingParameter", "The request must contain the parameter SubnetId");
  const auto subnet = find<records::Subnet>(work, *in.subnet_id);
  if (!subnet) return tl::unexpected(subnet.error());
  const std::string connectivity = in.connectivity_type.value_or("public");
  if (connectivity == "public" && !in.allocation_id)
    return refuse("MissingParameter", "The request must contain the parameter AllocationId");
  if (connectivity == "private" && in.allocation_id)
    return refuse("InvalidParameterCombination", "A private NAT gateway has no allocation ID");
  if (in.allocation_id)
    if (auto checked = check_id(kKind<records::Address>, *in.allocation_id); !checked)
      return tl::unexpected(checked.error());
  const auto address = wanted_address(work, **subnet, in.private_ip_address);
  if (!address) return tl::unexpected(address.error());
  const auto tags = tags_at_creation(in.tag_specifications, kKind<records::NatGateway>.resource_type);
  if (!tags) return tl::unexpected(tags.error());
  const std::string hash = parameters_hash(in);
  const auto before = id_by_token(work, "CreateNatGateway", in.client_token, hash);
  if (!before) return tl::unexpected(before.error());
  m::CreateNatGatewayResult out;
  out.client_token = in.client_token;
  if (const auto known = look_up<records::NatGateway>(work, *before)) {
    out.nat_gateway = render(work, *known);
    return {std::move(out), std::move(work.transaction)};
  }
  if (auto checked = check_quota(work, **subnet); !checked) return tl::unexpected(checked.error());
  records::NatGateway gateway;
  gateway.id = new_id<records::NatGateway>(work);
  gateway.vpc_id = (*subnet)->vpc_id;
  gateway.subnet_id = (*subnet)->id;
  gateway.connectivity_type = connectivity;
  gateway.allocation_id = in.allocation_id.value_or("");
  gateway.created_at_ms = context.now_ms;
  build(work, gateway, **subnet, *address);
  put(work, gateway);
  put_tags(work, gateway.id, *tags);
  remember_token(work, "CreateNatGateway", in.client_token, hash, gateway.id);
  out.nat_gateway = render(work, gateway);
  out.nat_gateway->state = "pending";
  out.nat_gateway->failure_code.reset();
  out.nat_gateway->failure_message.reset();
  out.nat_gateway->delete_time.reset();
  return {std::move(out), std::move(work.transaction)};
}

// It is deleted at once; Terraform's first look finds it so, and waiters are content with it.
Handled<m::DeleteNatGatewayResult> delete_nat_gateway(const Context& context, const m::DeleteNatGatewayRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  const auto found = find<records::NatGateway>(work, in.nat_gateway_id);
  if (!found) return tl::unexpected(found.error());
  m::DeleteNatGatewayResult out;
  out.nat_gateway_id = in.nat_gateway_id;
  if (is_over(**found)) return {std::move(out), std::move(work.transaction)};
  records::NatGateway gateway = **found;
  gateway.state = "deleted";
  gateway.deleted_at_ms = context.now_ms;
  if (const auto elastic = look_up<records::Address>(work, gateway.allocation_id)) {
    records::Address freed = *elastic;
    freed.association_id.clear();
    freed.interface_id.clear();
    freed.private_address.clear();
    put(work, freed);
  }
  erase_interface(work, gateway.interface_id);
  put(work, gateway);
  return {std::move(out), std::move(work.transaction)};
}

}  // namespace

void add_nat_gateway_handlers(OperationRegistry& registry) {
  add(registry, m::kDescribeNatGateways, kAnyResource, describe_nat_gateways);
  add(registry, m::kCreateNatGateway, Creates{"natgateway"}, create_nat_gateway);
  add(registry, m::kDeleteNatGateway, named, delete_nat_gateway);
}

}  // namespace berth::services::ec2
