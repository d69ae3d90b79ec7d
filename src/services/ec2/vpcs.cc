// VPCs: their blocks and attributes.
#include <algorithm>

#include "base/limits.h"
#include "model/ec2/operations.h"
#include "model/ec2/vpcs.h"
#include "services/ec2/cidrs.h"
#include "services/ec2/default_vpc.h"
#include "services/ec2/handlers.h"
#include "services/ec2/objects.h"
#include "services/ec2/select.h"

namespace berth::services::ec2 {
namespace {

namespace kinds = records::ec2_kinds;
using VpcPtr = std::shared_ptr<const records::Vpc>;

m::VpcCidrBlockAssociation render_association(const std::string& id, const std::string& cidr, const char* state) {
  m::VpcCidrBlockAssociation out;
  out.association_id = id;
  out.cidr_block = cidr;
  out.cidr_block_state.emplace().state = state;
  return out;
}

m::Vpc render(Work& work, const records::Vpc& vpc) {
  m::Vpc out;
  out.owner_id = work.scope.account;
  out.instance_tenancy = vpc.instance_tenancy;
  out.ipv6_cidr_block_association_set.emplace();
  auto& blocks = out.cidr_block_association_set.emplace();
  blocks.push_back(render_association(vpc.cidr_association_id, vpc.cidr, "associated"));
  for (const auto& secondary : vpc.secondary_cidrs)
    blocks.push_back(render_association(secondary.id, secondary.cidr, "associated"));
  out.is_default = vpc.is_default;
  out.tags = render_tags(work, vpc.id);
  out.vpc_id = vpc.id;
  out.state = "available";
  out.cidr_block = vpc.cidr;
  out.dhcp_options_id = vpc.dhcp_options_id;
  return out;
}

Filterable shown(const Work& work, const records::Vpc& vpc) {
  Filterable out;
  out.with("cidr", vpc.cidr).with("cidr-block", vpc.cidr);
  out.with("cidr-block-association.association-id", vpc.cidr_association_id);
  out.with("cidr-block-association.cidr-block", vpc.cidr);
  for (const auto& secondary : vpc.secondary_cidrs) {
    out.with("cidr-block-association.association-id", secondary.id);
    out.with("cidr-block-association.cidr-block", secondary.cidr);
  }
  out.with("cidr-block-association.state", "associated").with("dhcp-options-id", vpc.dhcp_options_id);
  out.with("is-default", vpc.is_default).with("isDefault", vpc.is_default).with("owner-id", work.scope.account);
  return out.with("state", "available").with("vpc-id", vpc.id);
}

Handled<m::DescribeVpcsResult> describe_vpcs(const Context& context, const m::DescribeVpcsRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  auto found = select<records::Vpc>(
      work, in, list(in.vpc_ids),
      {"cidr", "cidr-block", "cidr-block-association.association-id", "cidr-block-association.cidr-block",
       "cidr-block-association.state", "dhcp-options-id", "ipv6-cidr-block-association.association-id",
       "ipv6-cidr-block-association.ipv6-cidr-block", "ipv6-cidr-block-association.ipv6-pool",
       "ipv6-cidr-block-association.state", "is-default", "isDefault", "owner-id", "state", "vpc-id"},
      [&](const records::Vpc& vpc) { return shown(work, vpc); });
  if (!found) return tl::unexpected(found.error());
  m::DescribeVpcsResult out;
  out.vpcs.emplace();
  for (const auto& vpc : found->records) out.vpcs->push_back(render(work, *vpc));
  out.next_token = found->next_token;
  return {std::move(out), std::move(work.transaction)};
}

// The region's own options where they are still there.
std::string region_dhcp_options(Work& work) {
  const auto made = work.get<records::DefaultVpcMade>(records::keys::ec2(kinds::kRegion, work.scope, "default-vpc"));
  return made && look_up<records::DhcpOptions>(work, made->dhcp_options_id) ? made->dhcp_options_id : "default";
}

Handled<m::CreateVpcResult> create_vpc(const Context& context, const m::CreateVpcRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  if (!in.cidr_block)
    return refuse("MissingParameter", "Either 'cidrBlock' or 'ipv4IpamPoolId' should be provided.");
  const auto block = parse_vpc_cidr(*in.cidr_block);
  if (!block) return tl::unexpected(block.error());
  const auto tags = tags_at_creation(in.tag_specifications, kKind<records::Vpc>.resource_type);
  if (!tags) return tl::unexpected(tags.error());
  if (all<records::Vpc>(work).size() >= limits::kVpcsMax)
    return refuse("VpcLimitExceeded", "The maximum number of VPCs has been reached.");
  records::Vpc vpc;
  vpc.id = new_id<records::Vpc>(work);
  vpc.cidr = block->to_string();
  vpc.cidr_association_id = new_id(work, "vpc-cidr-assoc-");
  vpc.is_default = false;
  vpc.dhcp_options_id = region_dhcp_options(work);
  vpc.instance_tenancy = in.instance_tenancy.value_or("default");
  vpc.dns_hostnames = false;
  make_companions(work.scope, vpc, context.random, work.transaction);
  put(work, vpc);
  put_tags(work, vpc.id, *tags);
  m::CreateVpcResult out;
  out.vpc = render(work, vpc);
  out.vpc->state = "pending";
  return {std::move(out), std::move(work.transaction)};
}

Handled<m::CreateDefaultVpcResult> create_default_vpc(const Context& context, const m::CreateDefaultVpcRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  for (const auto& [key, vpc] : all<records::Vpc>(work))
    if (vpc->is_default)
      return refuse("DefaultVpcAlreadyExists", "A Default VPC already exists for this account in this region.");
  const std::string options = region_dhcp_options(work);
  const std::string id = make_default_vpc(work.scope, default_block(context.store, context.network),
                                          options == "default" ? "" : options, context.random, work.transaction);
  m::CreateDefaultVpcResult out;
  out.vpc = render(work, *look_up<records::Vpc>(work, id));
  out.vpc->state = "pending";
  return {std::move(out), std::move(work.transaction)};
}

// A VPC goes with its main route table, default ACL and default group alone; all else must be gone before.
Handled<Nothing> delete_vpc(const Context& context, const m::DeleteVpcRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  const auto vpc = find<records::Vpc>(work, in.vpc_id);
  if (!vpc) return tl::unexpected(vpc.error());
  const records::Vpc& old = **vpc;
  for (const std::string& key : context.networks.naming(old.id))
    if (key != key_of<records::RouteTable>(work, old.main_route_table_id) &&
        key != key_of<records::NetworkAcl>(work, old.default_network_acl_id) &&
        key != key_of<records::SecurityGroup>(work, old.default_security_group_id))
      return has_dependencies("vpc", old.id);
  if (const auto table = look_up<records::RouteTable>(work, old.main_route_table_id)) erase(work, *table);
  if (const auto acl = look_up<records::NetworkAcl>(work, old.default_network_acl_id)) erase(work, *acl);
  if (const auto group = look_up<records::SecurityGroup>(work, old.default_security_group_id))
    if (auto erased = erase_group(work, *group); !erased) return tl::unexpected(erased.error());
  erase(work, old);
  return {Nothing{}, std::move(work.transaction)};
}

Handled<m::DescribeVpcAttributeResult> describe_vpc_attribute(const Context& context,
                                                              const m::DescribeVpcAttributeRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  const auto vpc = find<records::Vpc>(work, in.vpc_id);
  if (!vpc) return tl::unexpected(vpc.error());
  m::DescribeVpcAttributeResult out;
  out.vpc_id = in.vpc_id;
  if (in.attribute == "enableDnsSupport")
    out.enable_dns_support.emplace().value = (*vpc)->dns_support;
  else if (in.attribute == "enableDnsHostnames")
    out.enable_dns_hostnames.emplace().value = (*vpc)->dns_hostnames;
  else if (in.attribute == "enableNetworkAddressUsageMetrics")
    out.enable_network_address_usage_metrics.emplace().value = (*vpc)->address_usage_metrics;
  else
    return refuse("InvalidParameterValue",
                  fmt::format("Value ({}) for parameter attribute is invalid. Unknown attribute.", in.attribute));
  return {std::move(out), std::move(work.transaction)};
}

Handled<Nothing> modify_vpc_attribute(const Context& context, const m::ModifyVpcAttributeRequest& in) {
  Work work(context);
  if (auto begun = begin(work, std::nullopt); !begun) return tl::unexpected(begun.error());
  const auto found = find<records::Vpc>(work, in.vpc_id);
  if (!found) return tl::unexpected(found.error());
  records::Vpc vpc = **found;
  int given = 0;
  const auto take = [&](const std::optional<m::AttributeBooleanValue>& value, bool& to) {
    if (!value) return;
    ++given;
    to = value->value.value_or(false);
  };
  take(in.enable_dns_support, vpc.dns_support);
  take(in.enable_dns_hostnames, vpc.dns_hostnames);
  take(in.enable_network_address_usage_metrics, vpc.address_usage_metrics);
  if (given == 0) return refuse("InvalidParameterCombination", "No attributes specified.");
  if (given > 1) return refuse("InvalidParameterCombination", "Fields for multiple attribute types specified");
  put(work, vpc);
  return {Nothing{}, std::move(work.transaction)};
}

Handled<m::ModifyVpcTenancyResult> modify_vpc_tenancy(const Context& context, const m::ModifyVpcTenancyRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  const auto found = find<records::Vpc>(work, in.vpc_id);
  if (!found) return tl::unexpected(found.error());
  records::Vpc vpc = **found;
  vpc.instance_tenancy = in.instance_tenancy;
  put(work, vpc);
  m::ModifyVpcTenancyResult out;
  out.return_value = true;
  return {std::move(out), std::move(work.transaction)};
}

std::vector<records::RouteTable> tables_of(Work& work, const std::string& vpc_id) {
  std::vector<records::RouteTable> out;
  for (const auto& [key, table] : all<records::RouteTable>(work))
    if (table->vpc_id == vpc_id) out.push_back(*table);
  return out;
}

Handled<m::AssociateVpcCidrBlockResult> associate_vpc_cidr_block(const Context& context,
                                                                 const m::AssociateVpcCidrBlockRequest& in) {
  Work work(context);
  if (auto begun = begin(work, std::nullopt); !begun) return tl::unexpected(begun.error());
  const auto found = find<records::Vpc>(work, in.vpc_id);
  if (!found) return tl::unexpected(found.error());
  if (!in.cidr_block) return refuse("MissingParameter", "The request must contain the parameter cidrBlock");
  const auto block = parse_vpc_cidr(*in.cidr_block);
  if (!block) return tl::unexpected(block.error());
  records::Vpc vpc = **found;
  const auto blocks = blocks_of(vpc);
  for (const Ipv4Network& other : blocks)
    if (other.overlaps(*block))
      return refuse("InvalidVpc.Range", fmt::format("The CIDR '{}' is invalid.", *in.cidr_block));
  if (blocks.size() >= limits::kVpcCidrsMax)
    return refuse("CidrLimitExceeded", fmt::format("This network {} has met its maximum number of allowed CIDRs: {}",
                                                   vpc.id, limits::kVpcCidrsMax));
  records::CidrAssociation association{new_id(work, "vpc-cidr-assoc-"), block->to_string()};
  for (records::RouteTable& table : tables_of(work, vpc.id)) {
    const auto local = [](const records::Route& route) { return route.origin == "CreateRouteTable"; };
    std::erase_if(table.routes, [&](const records::Route& route) { return route.destination_cidr == association.cidr; });
    const auto after = std::find_if_not(table.routes.begin(), table.routes.end(), local);
    table.routes.insert(after, local_route(association.cidr));
    put(work, table);
  }
  m::AssociateVpcCidrBlockResult out;
  out.vpc_id = vpc.id;
  out.cidr_block_association = render_association(association.id, association.cidr, "associating");
  vpc.secondary_cidrs.push_back(std::move(association));
  put(work, vpc);
  return {std::move(out), std::move(work.transaction)};
}

Handled<m::DisassociateVpcCidrBlockResult> disassociate_vpc_cidr_block(const Context& context,
                                                                       const m::DisassociateVpcCidrBlockRequest& in) {
  Work work(context);
  if (auto begun = begin(work, std::nullopt); !begun) return tl::unexpected(begun.error());
  for (const auto& [key, found] : all<records::Vpc>(work)) {
    if (found->cidr_association_id == in.association_id)
      return refuse("OperationNotPermitted",
                    fmt::format("The vpc CIDR block with association ID {} may not be disassociated. It is the primary "
                                "IPv4 CIDR block of the VPC",
                                in.association_id));
    records::Vpc vpc = *found;
    const auto at = std::find_if(vpc.secondary_cidrs.begin(), vpc.secondary_cidrs.end(),
                                 [&](const auto& association) { return association.id == in.association_id; });
    if (at == vpc.secondary_cidrs.end()) continue;
    const records::CidrAssociation association = *at;
    const auto block = parse_network(association.cidr);
    for (const auto& [subnet_key, subnet] : all<records::Subnet>(work)) {
      const auto inner = parse_network(subnet->cidr);
      if (subnet->vpc_id == vpc.id && inner && block && block->contains(*inner))
        return refuse("InvalidCidr.InUse",
                      fmt::format("The vpc currently has a subnet within CIDR block {}", association.cidr));
    }
    for (records::RouteTable& table : tables_of(work, vpc.id)) {
      std::erase_if(table.routes,
                    [&](const records::Route& route) { return route.destination_cidr == association.cidr; });
      put(work, table);
    }
    vpc.secondary_cidrs.erase(at);
    put(work, vpc);
    m::DisassociateVpcCidrBlockResult out;
    out.vpc_id = vpc.id;
    out.cidr_block_association = render_association(association.id, association.cidr, "disassociating");
    return {std::move(out), std::move(work.transaction)};
  }
  return refuse("InvalidVpcCidrBlockAssociationID.NotFound",
                fmt::format("The vpc CIDR block association ID '{}' does not exist", in.association_id));
}

}  // namespace

void add_vpc_handlers(OperationRegistry& registry) {
  add(registry, m::kDescribeVpcs, kAnyResource, describe_vpcs);
  add(registry, m::kDescribeVpcAttribute, named, describe_vpc_attribute);
  add(registry, m::kCreateVpc, Creates{"vpc"}, create_vpc);
  add(registry, m::kCreateDefaultVpc, kAnyResource, create_default_vpc);
  add(registry, m::kDeleteVpc, named, delete_vpc);
  add(registry, m::kModifyVpcAttribute, named, modify_vpc_attribute);
  add(registry, m::kModifyVpcTenancy, named, modify_vpc_tenancy);
  add(registry, m::kAssociateVpcCidrBlock, named, associate_vpc_cidr_block);
  add(registry, m::kDisassociateVpcCidrBlock, named, disassociate_vpc_cidr_block);
}

}  // namespace berth::services::ec2
