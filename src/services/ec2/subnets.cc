// Subnets.
#include <algorithm>

#include "base/limits.h"
#include "model/ec2/operations.h"
#include "model/ec2/subnets.h"
#include "services/ec2/cidrs.h"
#include "services/ec2/default_vpc.h"
#include "services/ec2/handlers.h"
#include "services/ec2/objects.h"
#include "services/ec2/select.h"
#include "services/ec2/zones.h"

namespace berth::services::ec2 {
namespace {

namespace kinds = records::ec2_kinds;
constexpr int kDefaultSubnetPrefixMin = 20;
constexpr std::string_view kIpv6 = "IPv6 in subnets";

int64_t available(const Work& work, const records::Subnet& subnet) {
  const auto block = parse_network(subnet.cidr);
  return block ? std::max<int64_t>(0, work.context.networks.available(subnet.id, *block)) : 0;
}

m::PrivateDnsNameOptionsOnLaunch name_options(const records::Subnet& subnet) {
  auto names = common::from_kept<m::PrivateDnsNameOptionsOnLaunch>(subnet.kept);
  if (!names.hostname_type) names.hostname_type = "ip-name";
  if (!names.enable_resource_name_dns_a_record) names.enable_resource_name_dns_a_record = false;
  names.enable_resource_name_dns_aaaa_record = false;
  return names;
}

m::Subnet render(Work& work, const records::Subnet& subnet) {
  m::Subnet out;
  out.availability_zone_id = zone_id(work.scope.region, subnet.availability_zone.back());
  out.map_customer_owned_ip_on_launch = false;
  out.owner_id = work.scope.account;
  out.assign_ipv6_address_on_creation = false;
  out.ipv6_cidr_block_association_set.emplace();
  out.tags = render_tags(work, subnet.id);
  out.subnet_arn = arn(work, "subnet", subnet.id);
  out.enable_dns64 = false;
  out.ipv6_native = false;
  out.private_dns_name_options_on_launch = name_options(subnet);
  out.subnet_id = subnet.id;
  out.state = "available";
  out.vpc_id = subnet.vpc_id;
  out.cidr_block = subnet.cidr;
  out.available_ip_address_count = static_cast<int32_t>(available(work, subnet));
  out.availability_zone = subnet.availability_zone;
  out.default_for_az = subnet.is_default;
  out.map_public_ip_on_launch = subnet.map_public_ip_on_launch;
  return out;
}

Filterable shown(const Work& work, const records::Subnet& subnet) {
  const std::string zone = zone_id(work.scope.region, subnet.availability_zone.back());
  const auto names = name_options(subnet);
  return Filterable()
      .with("availability-zone", subnet.availability_zone)
      .with("availabilityZone", subnet.availability_zone)
      .with("availability-zone-id", zone)
      .with("availabilityZoneId", zone)
      .with("available-ip-address-count", std::to_string(available(work, subnet)))
      .with("cidr", subnet.cidr)
      .with("cidr-block", subnet.cidr)
      .with("cidrBlock", subnet.cidr)
      .with("default-for-az", subnet.is_default)
      .with("defaultForAz", subnet.is_default)
      .with("enable-dns64", false)
      .with("ipv6-native", false)
      .with("map-customer-owned-ip-on-launch", false)
      .with("map-public-ip-on-launch", subnet.map_public_ip_on_launch)
      .with("owner-id", work.scope.account)
      .with("private-dns-name-options-on-launch.hostname-type", names.hostname_type.value_or(""))
      .with("private-dns-name-options-on-launch.enable-resource-name-dns-a-record",
            names.enable_resource_name_dns_a_record.value_or(false))
      .with("private-dns-name-options-on-launch.enable-resource-name-dns-aaaa-record", false)
      .with("state", "available")
      .with("subnet-arn", arn(work, "subnet", subnet.id))
      .with("subnet-id", subnet.id)
      .with("vpc-id", subnet.vpc_id);
}

Handled<m::DescribeSubnetsResult> describe_subnets(const Context& context, const m::DescribeSubnetsRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  auto found = select<records::Subnet>(
      work, in, list(in.subnet_ids),
      {"availability-zone", "availabilityZone", "availability-zone-id", "availabilityZoneId",
       "available-ip-address-count", "cidr", "cidr-block", "cidrBlock", "customer-owned-ipv4-pool", "default-for-az",
       "defaultForAz", "enable-dns64", "enable-lni-at-device-index", "ipv6-cidr-block-association.association-id",
       "ipv6-cidr-block-association.ipv6-cidr-block", "ipv6-cidr-block-association.state", "ipv6-native",
       "map-customer-owned-ip-on-launch", "map-public-ip-on-launch", "outpost-arn", "owner-id",
       "private-dns-name-options-on-launch.hostname-type",
       "private-dns-name-options-on-launch.enable-resource-name-dns-a-record",
       "private-dns-name-options-on-launch.enable-resource-name-dns-aaaa-record", "state", "subnet-arn", "subnet-id",
       "vpc-id"},
      [&](const records::Subnet& subnet) { return shown(work, subnet); });
  if (!found) return tl::unexpected(found.error());
  m::DescribeSubnetsResult out;
  out.subnets.emplace();
  for (const auto& subnet : found->records) out.subnets->push_back(render(work, *subnet));
  out.next_token = found->next_token;
  return {std::move(out), std::move(work.transaction)};
}

std::vector<Ipv4Network> blocks_in(Work& work, const std::string& vpc_id) {
  std::vector<Ipv4Network> out;
  for (const auto& [key, subnet] : all<records::Subnet>(work))
    if (const auto block = parse_network(subnet->cidr); block && subnet->vpc_id == vpc_id) out.push_back(*block);
  return out;
}

// Every subnet is in one network ACL; at first in the VPC's default one.
void join_default_acl(Work& work, const records::Vpc& vpc, const std::string& subnet_id) {
  const auto found = look_up<records::NetworkAcl>(work, vpc.default_network_acl_id);
  if (!found) return;
  records::NetworkAcl acl = *found;
  acl.associations.push_back({new_id(work, "aclassoc-"), subnet_id});
  put(work, acl);
}

Handled<m::CreateSubnetResult> create_subnet(const Context& context, const m::CreateSubnetRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  const auto vpc = find<records::Vpc>(work, in.vpc_id);
  if (!vpc) return tl::unexpected(vpc.error());
  if (!in.cidr_block)
    return refuse("MissingParameter", "Either 'cidrBlock' or 'ipv4IpamPoolId' should be provided.");
  const auto block = parse_cidr(*in.cidr_block, "cidrBlock");
  if (!block) return tl::unexpected(block.error());
  const auto zone = zone_of(work.scope.region, in.availability_zone, in.availability_zone_id);
  if (!zone) return tl::unexpected(zone.error());
  const auto tags = tags_at_creation(in.tag_specifications, kKind<records::Subnet>.resource_type);
  if (!tags) return tl::unexpected(tags.error());
  const auto own = blocks_of(**vpc);
  const bool inside = std::any_of(own.begin(), own.end(), [&](const auto& outer) { return outer.contains(*block); });
  if (block->prefix < kVpcPrefixMin || block->prefix > kVpcPrefixMax || !inside)
    return refuse("InvalidSubnet.Range", fmt::format("The CIDR '{}' is invalid.", *in.cidr_block));
  const auto others = blocks_in(work, (*vpc)->id);
  for (const Ipv4Network& other : others)
    if (other.overlaps(*block))
      return refuse("InvalidSubnet.Conflict",
                    fmt::format("The CIDR '{}' conflicts with another subnet", block->to_string()));
  if (others.size() >= limits::kSubnetsMax)
    return refuse("SubnetLimitExceeded", "The maximum number of subnets has been reached.");
  records::Subnet subnet;
  subnet.id = new_id<records::Subnet>(work);
  subnet.vpc_id = (*vpc)->id;
  subnet.cidr = block->to_string();
  subnet.availability_zone = *zone;
  subnet.is_default = subnet.map_public_ip_on_launch = false;
  put(work, subnet);
  put_tags(work, subnet.id, *tags);
  join_default_acl(work, **vpc, subnet.id);
  m::CreateSubnetResult out;
  out.subnet = render(work, subnet);
  return {std::move(out), std::move(work.transaction)};
}

Handled<m::CreateDefaultSubnetResult> create_default_subnet(const Context& context,
                                                            const m::CreateDefaultSubnetRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  if (!in.availability_zone && !in.availability_zone_id)
    return refuse("MissingParameter", "The request must contain the parameter availabilityZone");
  const auto zone = zone_of(work.scope.region, in.availability_zone, in.availability_zone_id);
  if (!zone) return tl::unexpected(zone.error());
  const records::Vpc* vpc = nullptr;
  const auto vpcs = all<records::Vpc>(work);
  for (const auto& [key, candidate] : vpcs)
    if (candidate->is_default) vpc = candidate.get();
  if (vpc == nullptr)
    return refuse("DefaultVpcDoesNotExist", "No default VPC exists for this account in this region.");
  for (const auto& [key, subnet] : all<records::Subnet>(work))
    if (subnet->is_default && subnet->vpc_id == vpc->id && subnet->availability_zone == *zone)
      return refuse("DefaultSubnetAlreadyExistsInAvailabilityZone",
                    fmt::format("'{}' is already the default subnet in {}.", subnet->id, *zone));
  const auto taken = blocks_in(work, vpc->id);
  const Ipv4Network whole = *parse_network(vpc->cidr);
  Ipv4Network block{whole.base, std::max(kDefaultSubnetPrefixMin, whole.prefix + 4)};
  const auto is_taken = [&] {
    return std::any_of(taken.begin(), taken.end(), [&](const auto& other) { return other.overlaps(block); });
  };
  while (is_taken()) {
    block.base.value += static_cast<uint32_t>(block.size());
    if (!whole.contains(block))
      return refuse("InsufficientAddressSpace", fmt::format("No free /{} CIDR block is left in the default VPC.", block.prefix));
  }
  records::Subnet subnet;
  subnet.id = new_id<records::Subnet>(work);
  subnet.vpc_id = vpc->id;
  subnet.cidr = block.to_string();
  subnet.availability_zone = *zone;
  put(work, subnet);
  join_default_acl(work, *vpc, subnet.id);
  m::CreateDefaultSubnetResult out;
  out.subnet = render(work, subnet);
  return {std::move(out), std::move(work.transaction)};
}

// Its bonds with a route table and an ACL go with it; interfaces, NAT gateways and endpoints must be gone before.
Handled<Nothing> delete_subnet(const Context& context, const m::DeleteSubnetRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  const auto subnet = find<records::Subnet>(work, in.subnet_id);
  if (!subnet) return tl::unexpected(subnet.error());
  const std::string& id = (*subnet)->id;
  for (const std::string_view kind : {kinds::kInterface, kinds::kNatGateway, kinds::kVpcEndpoint})
    if (context.networks.is_named(id, kind)) return has_dependencies("subnet", id);
  const auto without = [&](auto record) {
    std::erase_if(record.associations, [&](const auto& association) { return association.subnet_id == id; });
    put(work, record);
  };
  for (const std::string& key : context.networks.naming(id, kinds::kRouteTable))
    if (const auto table = work.get<records::RouteTable>(key)) without(*table);
  for (const std::string& key : context.networks.naming(id, kinds::kNetworkAcl))
    if (const auto acl = work.get<records::NetworkAcl>(key)) without(*acl);
  erase(work, **subnet);
  return {Nothing{}, std::move(work.transaction)};
}

Handled<Nothing> modify_subnet_attribute(const Context& context, const m::ModifySubnetAttributeRequest& in) {
  Work work(context);
  if (auto begun = begin(work, std::nullopt); !begun) return tl::unexpected(begun.error());
  const auto found = find<records::Subnet>(work, in.subnet_id);
  if (!found) return tl::unexpected(found.error());
  records::Subnet subnet = **found;
  auto names = name_options(subnet);
  int given = 0;
  bool ipv6 = false, outpost = false;
  const auto take = [&](const std::optional<m::AttributeBooleanValue>& value, auto& to) {
    if (!value) return;
    ++given;
    to = value->value.value_or(false);
  };
  take(in.map_public_ip_on_launch, subnet.map_public_ip_on_launch);
  take(in.enable_resource_name_dns_a_record_on_launch, names.enable_resource_name_dns_a_record);
  bool of_ipv6[3] = {};
  take(in.assign_ipv6_address_on_creation, of_ipv6[0]);
  take(in.enable_dns64, of_ipv6[1]);
  take(in.enable_resource_name_dns_aaaa_record_on_launch, of_ipv6[2]);
  ipv6 = of_ipv6[0] || of_ipv6[1] || of_ipv6[2];
  take(in.map_customer_owned_ip_on_launch, outpost);
  if (in.private_dns_hostname_type_on_launch) {
    ++given;
    names.hostname_type = in.private_dns_hostname_type_on_launch;
  }
  if (given == 0) return refuse("InvalidParameterCombination", "No attributes specified.");
  if (given > 1) return refuse("InvalidParameterCombination", "Fields for multiple attribute types specified");
  if (ipv6) return unsupported(kIpv6);
  if (outpost) return unsupported("Outposts");
  subnet.kept = common::to_kept(names);
  put(work, subnet);
  return {Nothing{}, std::move(work.transaction)};
}

}  // namespace

void add_subnet_handlers(OperationRegistry& registry) {
  add(registry, m::kDescribeSubnets, kAnyResource, describe_subnets);
  add(registry, m::kCreateSubnet, Creates{"subnet"}, create_subnet);
  add(registry, m::kCreateDefaultSubnet, kAnyResource, create_default_subnet);
  add(registry, m::kDeleteSubnet, named, delete_subnet);
  add(registry, m::kModifySubnetAttribute, named, modify_subnet_attribute);
}

}  // namespace berth::services::ec2
