#include "services/ec2/security_groups.h"

#include <algorithm>

#include "model/ec2/operations.h"
#include "model/ec2/security_groups.h"
#include "services/ec2/quotas.h"
#include "services/ec2/select.h"

namespace berth::services::ec2 {
namespace {

using Group = records::SecurityGroup;

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c); });
  return text;
}

ApiResult<void> check_text(const char* parameter, const std::string& text) {
  static constexpr std::string_view kOthers = " ._-:/()#,@[]+=&;{}!$*";
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           kOthers.find(c) != std::string_view::npos;
  });
  if (text.empty())
    return refuse("MissingParameter", fmt::format("The request must contain the parameter {}", parameter));
  const char* why = std::any_of(text.begin(), text.end(), [](char c) { return (c & 0x80) != 0; })
                        ? "Character sets beyond ASCII are not supported."
                        : "Valid values are strings of at most 255 characters from the following set: a-zA-Z0-9. "
                          "_-:/()#,@[]+=&;{}!$*";
  if (!plain || text.size() > quotas::kGroupNameBytes)
    return refuse("InvalidParameterValue",
                  fmt::format("Value ({}) for parameter {} is invalid. {}", text, parameter, why));
  return {};
}

ApiResult<void> check_name(const std::string& name) {
  if (auto checked = check_text("GroupName", name); !checked) return checked;
  if (lower(name) == "default")
    return refuse("InvalidParameterValue", "Cannot use reserved security group name: default");
  if (name.starts_with("sg-"))
    return refuse("InvalidParameterValue",
                  fmt::format("Value ({}) for parameter GroupName is invalid. Group names may not be in the format "
                              "sg-*.",
                              name));
  return {};
}

std::vector<GroupPtr> groups_of_vpc(const Work& work, const std::string& vpc_id) {
  std::vector<GroupPtr> out;
  for (auto& [key, group] : all<Group>(work))
    if (group->vpc_id == vpc_id) out.push_back(group);
  return out;
}

ApiResult<records::Vpc> default_vpc_of(const Work& work) {
  for (const auto& [key, vpc] : all<records::Vpc>(work))
    if (vpc->is_default) return *vpc;
  return refuse("VPCIdNotSpecified", "No default VPC for this user");
}

Handled<m::CreateSecurityGroupResult> create_security_group(const Context& context,
                                                            const m::CreateSecurityGroupRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  if (auto checked = check_name(in.group_name); !checked) return tl::unexpected(checked.error());
  if (auto checked = check_text("GroupDescription", in.description); !checked) return tl::unexpected(checked.error());
  auto tags = tags_at_creation(in.tag_specifications, kKind<Group>.resource_type);
  if (!tags) return tl::unexpected(tags.error());
  Group group;
  if (in.vpc_id) {
    const auto vpc = find<records::Vpc>(work, *in.vpc_id);
    if (!vpc) return tl::unexpected(vpc.error());
    group.vpc_id = (*vpc)->id;
  } else {
    const auto vpc = default_vpc_of(work);
    if (!vpc) return tl::unexpected(vpc.error());
    group.vpc_id = vpc->id;
  }
  const auto others = groups_of_vpc(work, group.vpc_id);
  for (const GroupPtr& other : others)
    if (lower(other->name) == lower(in.group_name))
      return refuse("InvalidGroup.Duplicate",
                    fmt::format("The security group '{}' already exists for VPC '{}'", in.group_name, group.vpc_id));
  if (others.size() >= quotas::kGroupsOfVpc)
    return refuse("SecurityGroupLimitExceeded", "The maximum number of security groups has been reached.");
  group.id = new_id<Group>(work);
  group.name = in.group_name;
  group.description = in.description;
  put_new_group(work, group);
  put_tags(work, group.id, *tags);
  m::CreateSecurityGroupResult out;
  out.group_id = group.id;
  out.security_group_arn = arn(work, kKind<Group>.arn_type, group.id);
  out.tags.emplace();
  for (const auto& [key, value] : *tags) out.tags->push_back({key, value});
  return {std::move(out), std::move(work.transaction)};
}

// Whether somebody but the group's own rules and VPC names it.
bool is_used(const Work& work, const Group& group) {
  const std::string own_rules = records::keys::ec2(records::ec2_kinds::kSecurityGroupRule, work.scope, group.id + "/");
  const auto keys = work.context.networks.naming(group.id);
  return std::any_of(keys.begin(), keys.end(), [&](const std::string& key) { return !key.starts_with(own_rules); });
}

Handled<m::DeleteSecurityGroupResult> delete_security_group(const Context& context,
                                                            const m::DeleteSecurityGroupRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  const auto group = find_group(work, in.group_id, in.group_name);
  if (!group) return tl::unexpected(group.error());
  if ((*group)->name == "default")
    return refuse(
        "CannotDelete",
        fmt::format("the specified group: \"{}\" name: \"default\" cannot be deleted by a user", (*group)->id));
  if (is_used(work, **group))
    return refuse("DependencyViolation", fmt::format("resource {} has a dependent object", (*group)->id));
  if (auto erased = erase_group(work, **group); !erased) return tl::unexpected(erased.error());
  m::DeleteSecurityGroupResult out;
  out.return_ = true;
  out.group_id = (*group)->id;
  return {std::move(out), std::move(work.transaction)};
}

void show_rules(Filterable& seen, const Work& work, const Rules& rules) {
  for (const Rule& rule : rules) {
    const std::string name = rule.egress ? "egress.ip-permission." : "ip-permission.";
    auto with = [&](const char* what, const std::string& value) {
      if (!value.empty()) seen.with(name + what, value);
    };
    with("cidr", rule.cidr_ipv4);
    with("ipv6-cidr", rule.cidr_ipv6);
    with("prefix-list-id", rule.prefix_list_id);
    with("protocol", protocol_name(rule.protocol));
    if (has_ports(rule.protocol)) {
      with("from-port", std::to_string(rule.from_port));
      with("to-port", std::to_string(rule.to_port));
    }
    if (rule.peer_group_id.empty()) continue;
    with("group-id", rule.peer_group_id);
    with("user-id", work.scope.account);
    const auto peer = records::get<Group>(work.context.store, key_of<Group>(work, rule.peer_group_id));
    if (peer) with("group-name", peer->name);
  }
}

const std::vector<std::string_view> kGroupFilters{"description",
                                                  "egress.ip-permission.cidr",
                                                  "egress.ip-permission.from-port",
                                                  "egress.ip-permission.group-id",
                                                  "egress.ip-permission.group-name",
                                                  "egress.ip-permission.ipv6-cidr",
                                                  "egress.ip-permission.prefix-list-id",
                                                  "egress.ip-permission.protocol",
                                                  "egress.ip-permission.to-port",
                                                  "egress.ip-permission.user-id",
                                                  "group-id",
                                                  "group-name",
                                                  "ip-permission.cidr",
                                                  "ip-permission.from-port",
                                                  "ip-permission.group-id",
                                                  "ip-permission.group-name",
                                                  "ip-permission.ipv6-cidr",
                                                  "ip-permission.prefix-list-id",
                                                  "ip-permission.protocol",
                                                  "ip-permission.to-port",
                                                  "ip-permission.user-id",
                                                  "owner-id",
                                                  "vpc-id"};

m::SecurityGroup render(Work& work, const Group& group) {
  Rules in, out;
  for (Rule& rule : rules_in_group(work, group.id)) (rule.egress ? out : in).push_back(std::move(rule));
  m::SecurityGroup shown;
  shown.group_id = group.id;
  shown.ip_permissions_egress = permissions_of(out, work.scope.account);
  shown.tags = render_tags(work, group.id);
  shown.vpc_id = group.vpc_id;
  shown.security_group_arn = arn(work, kKind<Group>.arn_type, group.id);
  shown.owner_id = work.scope.account;
  shown.group_name = group.name;
  shown.description = group.description;
  shown.ip_permissions = permissions_of(in, work.scope.account);
  return shown;
}

Handled<m::DescribeSecurityGroupsResult> describe_security_groups(const Context& context,
                                                                  const m::DescribeSecurityGroupsRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  std::vector<std::string> ids = list(in.group_ids);
  for (const std::string& name : list(in.group_names)) {
    const auto group = find_group(work, std::nullopt, name);
    if (!group) return tl::unexpected(group.error());
    ids.push_back((*group)->id);
  }
  // The rules are read only where a filter asks for them.
  const auto filters = filters_in(in);
  const bool by_rules = std::any_of(filters.begin(), filters.end(), [](const FilterSpec& filter) {
    return filter.name.find("ip-permission.") != std::string::npos;
  });
  auto shown = [&](const Group& group) {
    Filterable seen;
    seen.with("description", group.description).with("group-id", group.id).with("group-name", group.name);
    seen.with("owner-id", work.scope.account).with("vpc-id", group.vpc_id);
    if (by_rules) show_rules(seen, work, rules_in_group(work, group.id));
    return seen;
  };
  auto found = select<Group>(work, in, ids, kGroupFilters, shown);
  if (!found) return tl::unexpected(found.error());
  m::DescribeSecurityGroupsResult out;
  out.security_groups.emplace();
  for (const GroupPtr& group : found->records) out.security_groups->push_back(render(work, *group));
  out.next_token = std::move(found->next_token);
  return {std::move(out), std::move(work.transaction)};
}

Handled<m::GetSecurityGroupsForVpcResult> get_security_groups_for_vpc(const Context& context,
                                                                      const m::GetSecurityGroupsForVpcRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  const auto vpc = find<records::Vpc>(work, in.vpc_id);
  if (!vpc) return tl::unexpected(vpc.error());
  const auto filters = filters_in(in);
  if (auto checked = check_filters(filters, {"group-id", "description", "group-name", "owner-id", "primary-vpc-id"});
      !checked)
    return tl::unexpected(checked.error());
  auto pages = pages_of(work, in);
  if (!pages) return tl::unexpected(pages.error());
  m::GetSecurityGroupsForVpcResult out;
  out.security_group_for_vpcs.emplace();
  for (const GroupPtr& group : groups_of_vpc(work, in.vpc_id)) {
    Filterable seen;
    seen.with("group-id", group->id).with("description", group->description).with("group-name", group->name);
    seen.with("owner-id", work.scope.account).with("primary-vpc-id", group->vpc_id);
    if (has_tag_filter(filters)) seen.with_tags(tags_of(work, group->id));
    if (!seen.matches(filters) || !pages->take(group->id)) continue;
    m::SecurityGroupForVpc& shown = out.security_group_for_vpcs->emplace_back();
    shown.description = group->description;
    shown.group_name = group->name;
    shown.owner_id = work.scope.account;
    shown.group_id = group->id;
    shown.tags = render_tags(work, group->id);
    shown.primary_vpc_id = group->vpc_id;
  }
  out.next_token = pages->next_token();
  return {std::move(out), std::move(work.transaction)};
}

// Both look for references over a peering, and there is none.
Handled<m::DescribeSecurityGroupReferencesResult> describe_references(
    const Context& context, const m::DescribeSecurityGroupReferencesRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  for (const std::string& id : in.group_id)
    if (const auto group = find<Group>(work, id); !group) return tl::unexpected(group.error());
  m::DescribeSecurityGroupReferencesResult out;
  out.security_group_reference_set.emplace();
  return {std::move(out), std::move(work.transaction)};
}

Handled<m::DescribeStaleSecurityGroupsResult> describe_stale(const Context& context,
                                                             const m::DescribeStaleSecurityGroupsRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  if (const auto vpc = find<records::Vpc>(work, in.vpc_id); !vpc) return tl::unexpected(vpc.error());
  if (const auto pages = pages_of(work, in); !pages) return tl::unexpected(pages.error());
  m::DescribeStaleSecurityGroupsResult out;
  out.stale_security_group_set.emplace();
  return {std::move(out), std::move(work.transaction)};
}

}  // namespace

ApiResult<GroupPtr> group_named(Work& work, const std::string& vpc_id, const std::string& name) {
  for (GroupPtr& group : groups_of_vpc(work, vpc_id))
    if (group->name == name) return std::move(group);
  return refuse("InvalidGroup.NotFound",
                fmt::format("The security group '{}' does not exist in default VPC '{}'", name, vpc_id));
}

ApiResult<GroupPtr> find_group(Work& work, const std::optional<std::string>& id,
                               const std::optional<std::string>& name) {
  if (id) return find<Group>(work, *id);
  if (!name) return refuse("MissingParameter", "The request must contain the parameter groupName or groupId");
  const auto vpc = default_vpc_of(work);
  if (!vpc) return tl::unexpected(vpc.error());
  return group_named(work, vpc->id, *name);
}

ApiResult<std::vector<std::string>> groups_of_interface(Work& work, const records::Subnet& subnet,
                                                        const std::vector<std::string>& asked) {
  if (asked.empty()) {
    const auto vpc = look_up<records::Vpc>(work, subnet.vpc_id);
    return vpc ? std::vector<std::string>{vpc->default_security_group_id} : std::vector<std::string>{};
  }
  std::vector<std::string> groups;
  for (const std::string& id : asked) {
    const auto group = find<Group>(work, id);
    if (!group) return tl::unexpected(group.error());
    if ((*group)->vpc_id != subnet.vpc_id)
      return refuse("InvalidParameter",
                    fmt::format("Security group {} and subnet {} belong to different networks.", id, subnet.id));
    if (std::find(groups.begin(), groups.end(), id) == groups.end()) groups.push_back(id);
  }
  if (groups.size() > quotas::kGroupsOfInterface)
    return refuse("SecurityGroupsPerInterfaceLimitExceeded",
                  "The maximum number of security groups per interface has been reached.");
  return groups;
}

std::string rule_key(const Work& work, const Rule& rule) {
  return records::keys::ec2(records::ec2_kinds::kSecurityGroupRule, work.scope,
                            fmt::format("{}/{}", rule.group_id, rule.id));
}

Rules rules_in_group(const Work& work, const std::string& group_id) {
  Rules rules;
  const std::string prefix = records::keys::ec2(records::ec2_kinds::kSecurityGroupRule, work.scope, group_id + "/");
  for (const auto& [key, rule] : work.all<Rule>(prefix)) rules.push_back(*rule);
  return rules;
}

void put_new_group(Work& work, const Group& group) {
  put(work, group);
  Rule everything;
  everything.id = new_id<Rule>(work);
  everything.group_id = group.id;
  everything.egress = true;
  everything.cidr_ipv4 = "0.0.0.0/0";
  work.put(rule_key(work, everything), everything);
}

void add_security_group_handlers(OperationRegistry& registry) {
  add(registry, m::kCreateSecurityGroup, Creates{"security-group"}, create_security_group);
  add(registry, m::kDeleteSecurityGroup, named, delete_security_group);
  add(registry, m::kDescribeSecurityGroups, kAnyResource, describe_security_groups);
  add(registry, m::kGetSecurityGroupsForVpc, named, get_security_groups_for_vpc);
  add(registry, m::kDescribeSecurityGroupReferences, kAnyResource, describe_references);
  add(registry, m::kDescribeStaleSecurityGroups, kAnyResource, describe_stale);
}

}  // namespace berth::services::ec2
