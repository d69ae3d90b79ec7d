// EC2's objects by kind: what an id looks like, what is said of a wrong one, how records are found and tagged. State thread.
//
//   find<R>     one object, by an id that the caller wrote: malformed and unknown ids are refused in AWS's words
//   look_up<R>  one object, by an id of ours; null where it is gone
//   all<R>      every object of the account and region
#pragma once

#include <fmt/format.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/ec2/common.h"
#include "records/network.h"
#include "services/common/tags.h"
#include "services/common/tokens.h"
#include "services/common/work.h"
#include "services/handler.h"

namespace berth::services::ec2 {

namespace m = model::ec2;
using common::Work;

struct Kind {
  std::string_view record;         // records::ec2_kinds
  std::string_view prefix;         // of ids
  std::string_view resource_type;  // in TagSpecifications and DescribeTags
  std::string_view arn_type;
  std::string_view malformed;  // error codes
  std::string_view not_found;
  std::string_view not_found_text;  // {}: the id
};

template <class R>
inline constexpr Kind kKind{};
template <>
inline constexpr Kind kKind<records::Vpc>{
    records::ec2_kinds::kVpc,          "vpc-", "vpc", "vpc", "InvalidVpcID.Malformed", "InvalidVpcID.NotFound",
    "The vpc ID '{}' does not exist",
};
template <>
inline constexpr Kind kKind<records::Subnet>{
    records::ec2_kinds::kSubnet, "subnet-", "subnet", "subnet", "InvalidSubnetID.Malformed", "InvalidSubnetID.NotFound",
    "The subnet ID '{}' does not exist",
};
template <>
inline constexpr Kind kKind<records::RouteTable>{
    records::ec2_kinds::kRouteTable,
    "rtb-",
    "route-table",
    "route-table",
    "InvalidRouteTableId.Malformed",
    "InvalidRouteTableID.NotFound",
    "The routeTable ID '{}' does not exist",
};
template <>
inline constexpr Kind kKind<records::InternetGateway>{
    records::ec2_kinds::kInternetGateway,
    "igw-",
    "internet-gateway",
    "internet-gateway",
    "InvalidInternetGatewayId.Malformed",
    "InvalidInternetGatewayID.NotFound",
    "The internetGateway ID '{}' does not exist",
};
template <>
inline constexpr Kind kKind<records::NatGateway>{
    records::ec2_kinds::kNatGateway,
    "nat-",
    "natgateway",
    "natgateway",
    "NatGatewayMalformed",
    "NatGatewayNotFound",
    "The Nat Gateway {} was not found",
};
template <>
inline constexpr Kind kKind<records::Address>{
    records::ec2_kinds::kAddress,
    "eipalloc-",
    "elastic-ip",
    "elastic-ip",
    "InvalidAllocationID.Malformed",
    "InvalidAllocationID.NotFound",
    "The allocation ID '{}' does not exist",
};
template <>
inline constexpr Kind kKind<records::NetworkAcl>{
    records::ec2_kinds::kNetworkAcl,
    "acl-",
    "network-acl",
    "network-acl",
    "InvalidNetworkAclId.Malformed",
    "InvalidNetworkAclID.NotFound",
    "The networkAcl ID '{}' does not exist",
};
template <>
inline constexpr Kind kKind<records::SecurityGroup>{
    records::ec2_kinds::kSecurityGroup,
    "sg-",
    "security-group",
    "security-group",
    "InvalidGroupId.Malformed",
    "InvalidGroup.NotFound",
    "The security group '{}' does not exist",
};
// Their keys have the group's id before the rule's: look_up and find do not take them.
template <>
inline constexpr Kind kKind<records::SecurityGroupRule>{
    records::ec2_kinds::kSecurityGroupRule,
    "sgr-",
    "security-group-rule",
    "security-group-rule",
    "InvalidSecurityGroupRuleId.Malformed",
    "InvalidSecurityGroupRuleId.NotFound",
    "The security group rule ID '{}' does not exist",
};
template <>
inline constexpr Kind kKind<records::Interface>{
    records::ec2_kinds::kInterface,
    "eni-",
    "network-interface",
    "network-interface",
    "InvalidNetworkInterfaceId.Malformed",
    "InvalidNetworkInterfaceID.NotFound",
    "The networkInterface ID '{}' does not exist",
};
template <>
inline constexpr Kind kKind<records::DhcpOptions>{
    records::ec2_kinds::kDhcpOptions,
    "dopt-",
    "dhcp-options",
    "dhcp-options",
    "InvalidDhcpOptionsId.Malformed",
    "InvalidDhcpOptionID.NotFound",
    "The dhcpOption ID '{}' does not exist",
};
template <>
inline constexpr Kind kKind<records::PrefixList>{
    records::ec2_kinds::kPrefixList,
    "pl-",
    "prefix-list",
    "prefix-list",
    "InvalidPrefixListId.Malformed",
    "InvalidPrefixListID.NotFound",
    "The prefix list ID '{}' does not exist",
};
template <>
inline constexpr Kind kKind<records::VpcEndpoint>{
    records::ec2_kinds::kVpcEndpoint,
    "vpce-",
    "vpc-endpoint",
    "vpc-endpoint",
    "InvalidVpcEndpointId.Malformed",
    "InvalidVpcEndpointId.NotFound",
    "The Vpc Endpoint Id '{}' does not exist",
};

template <class R>
const std::string& id_of(const R& record) {
  if constexpr (requires { record.allocation_id; } && !requires { record.id; })
    return record.allocation_id;
  else
    return record.id;
}

// Begins every operation: refuses a dry run, and sees to it that the region has its default VPC, whole.
ApiResult<void> begin(Work& work, const std::optional<bool>& dry_run);

// A new id: the prefix, with its dash, and 17 hex digits.
std::string new_id(Work& work, std::string_view prefix);
template <class R>
std::string new_id(Work& work) {
  return new_id(work, kKind<R>.prefix);
}

ApiResult<void> check_id(const Kind& kind, std::string_view id);
tl::unexpected<ApiError> not_found(const Kind& kind, std::string_view id);
std::string arn(const Work& work, std::string_view type, std::string_view id);
// `{}` of the texts is the object's kind in AWS's words: vpc, subnet, internetGateway, routeTable.
tl::unexpected<ApiError> has_dependencies(std::string_view what, std::string_view id);
// What Berth understands and does not serve.
tl::unexpected<ApiError> unsupported(std::string_view what);

template <class R>
std::string key_of(const Work& work, std::string_view id) {
  return records::keys::ec2(kKind<R>.record, work.scope, id);
}
template <class R>
std::shared_ptr<const R> look_up(Work& work, std::string_view id) {
  return id.empty() ? nullptr : work.get<R>(key_of<R>(work, id));
}
template <class R>
ApiResult<std::shared_ptr<const R>> find(Work& work, std::string_view id) {
  if (auto checked = check_id(kKind<R>, id); !checked) return tl::unexpected(checked.error());
  auto record = look_up<R>(work, id);
  if (!record) return not_found(kKind<R>, id);
  return record;
}
template <class R>
std::map<std::string, std::shared_ptr<const R>> all(const Work& work) {
  return work.all<R>(key_of<R>(work, ""));
}
template <class R>
void put(Work& work, const R& record) {
  work.put(key_of<R>(work, id_of(record)), record);
}

// ---- tags: records of their own

records::Tags tags_of(Work& work, std::string_view id);
std::optional<std::vector<m::Tag>> render_tags(Work& work, std::string_view id);  // never absent: AWS sends empty sets
void put_tags(Work& work, std::string_view id, const records::Tags& tags);        // none: the record goes
// EC2's rules; `before` are those that the object has.
ApiResult<records::Tags> merged_tags(const records::Tags& before, const records::Tags& added);
// What TagSpecifications ask for, of the resource that is being created.
ApiResult<records::Tags> tags_at_creation(const std::optional<std::vector<m::TagSpecification>>& specifications,
                                          std::string_view resource_type);

// The record and its tags.
template <class R>
void erase(Work& work, const R& record) {
  work.erase(key_of<R>(work, id_of(record)));
  put_tags(work, id_of(record), {});
}

// The group with its rules, and the tags of all of them. Refused where one transaction cannot hold them all.
ApiResult<void> erase_group(Work& work, const records::SecurityGroup& group);

// ---- idempotency: ClientToken

// The id that the token's first use made; empty: a first use, which remember_token must follow. A token that comes with other
// parameters is refused.
ApiResult<std::string> id_by_token(Work& work, std::string_view operation, const std::optional<std::string>& token,
                                   const std::string& hash);
void remember_token(Work& work, std::string_view operation, const std::optional<std::string>& token,
                    const std::string& hash, const std::string& id);
using common::parameters_hash;

// An absent list is an empty one.
template <class T>
const std::vector<T>& list(const std::optional<std::vector<T>>& value) {
  static const std::vector<T> none;
  return value ? *value : none;
}

}  // namespace berth::services::ec2
