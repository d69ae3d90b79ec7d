// Internet gateways and their attachment to a VPC.
#include "base/limits.h"
#include "model/ec2/internet_gateways.h"
#include "model/ec2/operations.h"
#include "services/ec2/handlers.h"
#include "services/ec2/objects.h"
#include "services/ec2/select.h"

namespace berth::services::ec2 {
namespace {

namespace kinds = records::ec2_kinds;

m::InternetGateway render(Work& work, const records::InternetGateway& gateway) {
  m::InternetGateway out;
  out.attachments.emplace();
  if (!gateway.vpc_id.empty()) {
    auto& attachment = out.attachments->emplace_back();
    attachment.state = "available";  // not "attached", whatever the enumeration says
    attachment.vpc_id = gateway.vpc_id;
  }
  out.internet_gateway_id = gateway.id;
  out.owner_id = work.scope.account;
  out.tags = render_tags(work, gateway.id);
  return out;
}

Handled<m::DescribeInternetGatewaysResult> describe_internet_gateways(const Context& context,
                                                                      const m::DescribeInternetGatewaysRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  auto found = select<records::InternetGateway>(
      work, in, list(in.internet_gateway_ids),
      {"attachment.state", "attachment.vpc-id", "internet-gateway-id", "owner-id"},
      [&](const records::InternetGateway& gateway) {
        Filterable out;
        out.with("internet-gateway-id", gateway.id).with("owner-id", work.scope.account);
        if (!gateway.vpc_id.empty())
          out.with("attachment.state", "available").with("attachment.vpc-id", gateway.vpc_id);
        return out;
      });
  if (!found) return tl::unexpected(found.error());
  m::DescribeInternetGatewaysResult out;
  out.internet_gateways.emplace();
  for (const auto& gateway : found->records) out.internet_gateways->push_back(render(work, *gateway));
  out.next_token = found->next_token;
  return {std::move(out), std::move(work.transaction)};
}

Handled<m::CreateInternetGatewayResult> create_internet_gateway(const Context& context,
                                                                const m::CreateInternetGatewayRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  const auto tags = tags_at_creation(in.tag_specifications, kKind<records::InternetGateway>.resource_type);
  if (!tags) return tl::unexpected(tags.error());
  if (all<records::InternetGateway>(work).size() >= limits::kInternetGatewaysMax)
    return refuse("InternetGatewayLimitExceeded", "The maximum number of internet gateways has been reached.");
  records::InternetGateway gateway;
  gateway.id = new_id<records::InternetGateway>(work);
  put(work, gateway);
  put_tags(work, gateway.id, *tags);
  m::CreateInternetGatewayResult out;
  out.internet_gateway = render(work, gateway);
  return {std::move(out), std::move(work.transaction)};
}

Handled<Nothing> delete_internet_gateway(const Context& context, const m::DeleteInternetGatewayRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  const auto gateway = find<records::InternetGateway>(work, in.internet_gateway_id);
  if (!gateway) return tl::unexpected(gateway.error());
  if (!(*gateway)->vpc_id.empty()) return has_dependencies("internetGateway", (*gateway)->id);
  erase(work, **gateway);
  return {Nothing{}, std::move(work.transaction)};
}

Handled<Nothing> attach_internet_gateway(const Context& context, const m::AttachInternetGatewayRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  const auto found = find<records::InternetGateway>(work, in.internet_gateway_id);
  if (!found) return tl::unexpected(found.error());
  const auto vpc = find<records::Vpc>(work, in.vpc_id);
  if (!vpc) return tl::unexpected(vpc.error());
  records::InternetGateway gateway = **found;
  if (!gateway.vpc_id.empty())
    return refuse("Resource.AlreadyAssociated",
                  fmt::format("resource {} is already attached to network {}", gateway.id, gateway.vpc_id));
  if (context.networks.is_named(in.vpc_id, kinds::kInternetGateway))
    return refuse("InvalidParameterValue", fmt::format("Network {} already has an internet gateway attached", in.vpc_id));
  gateway.vpc_id = in.vpc_id;
  put(work, gateway);
  return {Nothing{}, std::move(work.transaction)};
}

// Whether an interface in the VPC has a public address, one of its own or an Elastic IP.
bool has_public_addresses(Work& work, const std::string& vpc_id) {
  const auto& networks = work.context.networks;
  for (const std::string& key : networks.naming(vpc_id, kinds::kInterface)) {
    const auto interface = records::get<records::Interface>(work.context.store, key);
    if (interface && (!interface->public_address.empty() || networks.is_named(interface->id, kinds::kAddress)))
      return true;
  }
  return false;
}

Handled<Nothing> detach_internet_gateway(const Context& context, const m::DetachInternetGatewayRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  const auto found = find<records::InternetGateway>(work, in.internet_gateway_id);
  if (!found) return tl::unexpected(found.error());
  const auto vpc = find<records::Vpc>(work, in.vpc_id);
  if (!vpc) return tl::unexpected(vpc.error());
  records::InternetGateway gateway = **found;
  if (gateway.vpc_id != in.vpc_id)
    return refuse("Gateway.NotAttached", fmt::format("resource {} is not attached to network {}", gateway.id, in.vpc_id));
  if (has_public_addresses(work, in.vpc_id))
    return refuse("DependencyViolation",
                  fmt::format("Network {} has some mapped public address(es). Please unmap those public address(es) "
                              "before detaching the gateway.",
                              in.vpc_id));
  gateway.vpc_id.clear();
  put(work, gateway);
  return {Nothing{}, std::move(work.transaction)};
}

}  // namespace

void add_internet_gateway_handlers(OperationRegistry& registry) {
  add(registry, m::kDescribeInternetGateways, kAnyResource, describe_internet_gateways);
  add(registry, m::kCreateInternetGateway, Creates{"internet-gateway"}, create_internet_gateway);
  add(registry, m::kDeleteInternetGateway, named, delete_internet_gateway);
  add(registry, m::kAttachInternetGateway, named, attach_internet_gateway);
  add(registry, m::kDetachInternetGateway, named, detach_internet_gateway);
}

}  // namespace berth::services::ec2
