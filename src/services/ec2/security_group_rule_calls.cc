// Authorize, Revoke, Modify and Describe of security group rules.
#include <algorithm>

#include "model/ec2/operations.h"
#include "model/ec2/security_groups.h"
#include "services/ec2/prefix_lists.h"
#include "services/ec2/quotas.h"
#include "services/ec2/security_groups.h"
#include "services/ec2/select.h"

namespace berth::services::ec2 {
namespace {

using Group = records::SecurityGroup;
using Permissions = std::vector<m::IpPermission>;

std::string tags_key(const Work& work, const std::string& id) {
  return records::keys::ec2(records::ec2_kinds::kTags, work.scope, id);
}

// The members of old that say one rule without IpPermissions. A group as source stands for every port of TCP, UDP and ICMP
// where the request names no protocol.
template <class In>
Permissions flat_permissions(const In& in) {
  m::IpPermission one;
  one.ip_protocol = in.ip_protocol;
  one.from_port = in.from_port;
  one.to_port = in.to_port;
  if (in.cidr_ip) one.ip_ranges.emplace().emplace_back().cidr_ip = in.cidr_ip;
  if constexpr (requires { in.source_security_group_name; }) {
    if (in.source_security_group_name) {
      auto& source = one.user_id_group_pairs.emplace().emplace_back();
      source.group_name = in.source_security_group_name;
      source.user_id = in.source_security_group_owner_id;
      if (!in.ip_protocol) {
        Permissions out(3, one);
        out[0].ip_protocol = "tcp", out[0].from_port = 0, out[0].to_port = 65535;
        out[1].ip_protocol = "udp", out[1].from_port = 0, out[1].to_port = 65535;
        out[2].ip_protocol = "icmp", out[2].from_port = -1, out[2].to_port = -1;
        return out;
      }
    }
  }
  return {one};
}

template <class In>
bool has_flat_members(const In& in) {
  bool named = in.cidr_ip || in.ip_protocol || in.from_port || in.to_port;
  if constexpr (requires { in.source_security_group_name; }) named = named || in.source_security_group_name;
  return named;
}

// Peers that are groups by name get their ids; one of another account is no group that anybody here could name.
ApiResult<void> name_peers_by_id(Work& work, const Group& group, Permissions& permissions) {
  for (m::IpPermission& permission : permissions) {
    if (!permission.user_id_group_pairs) continue;
    for (m::UserIdGroupPair& peer : *permission.user_id_group_pairs) {
      if (peer.user_id && !peer.user_id->empty() && *peer.user_id != work.scope.account)
        return not_found(kKind<Group>, peer.group_id.value_or(peer.group_name.value_or("")));
      if (peer.group_id || !peer.group_name) continue;
      const auto named = group_named(work, group.vpc_id, *peer.group_name);
      if (!named) return not_found(kKind<Group>, *peer.group_name);
      peer.group_id = (*named)->id;
    }
  }
  return {};
}

// Peers that are objects must be there, and groups be of the rule's own VPC. Reads that the transaction need not remember: what it
// writes would be no more wrong than if it had come a moment before.
ApiResult<void> check_peers(const Work& work, const Group& group, const Rules& rules, PrefixListSizes& sizes) {
  for (const Rule& rule : rules) {
    if (!rule.peer_group_id.empty()) {
      const auto peer = records::get<Group>(work.context.store, key_of<Group>(work, rule.peer_group_id));
      if (!peer) return not_found(kKind<Group>, rule.peer_group_id);
      if (peer->vpc_id != group.vpc_id)
        return refuse("InvalidGroup.NotFound", "You have specified two resources that belong to different networks.");
    }
    if (!rule.prefix_list_id.empty()) {
      const auto entries = prefix_list_entries_max(work, rule.prefix_list_id);
      if (!entries) return not_found(kKind<records::PrefixList>, rule.prefix_list_id);
      sizes.emplace_back(rule.prefix_list_id, *entries);
    }
  }
  return {};
}

PrefixListSizes sizes_of(const Work& work, const Rules& rules) {
  PrefixListSizes sizes;
  for (const Rule& rule : rules)
    if (!rule.prefix_list_id.empty())
      sizes.emplace_back(rule.prefix_list_id, prefix_list_entries_max(work, rule.prefix_list_id).value_or(1));
  return sizes;
}

m::SecurityGroupRule render(const Work& work, const Rule& rule, const records::Tags& tags) {
  m::SecurityGroupRule out;
  auto text = [](const std::string& value) { return value.empty() ? std::nullopt : std::optional(value); };
  out.security_group_rule_id = rule.id;
  out.group_id = rule.group_id;
  out.group_owner_id = work.scope.account;
  out.is_egress = rule.egress;
  out.ip_protocol = protocol_name(rule.protocol);
  out.from_port = rule.from_port;
  out.to_port = rule.to_port;
  out.cidr_ipv4 = text(rule.cidr_ipv4);
  out.cidr_ipv6 = text(rule.cidr_ipv6);
  out.prefix_list_id = text(rule.prefix_list_id);
  if (!rule.peer_group_id.empty()) {
    auto& peer = out.referenced_group_info.emplace();
    peer.group_id = rule.peer_group_id;
    peer.user_id = work.scope.account;
  }
  out.description = text(rule.description);
  out.tags.emplace();
  for (const auto& [key, value] : tags) out.tags->push_back({key, value});
  out.security_group_rule_arn = arn(work, kKind<Rule>.arn_type, rule.id);
  return out;
}

template <class In, class Out, bool egress>
Handled<Out> authorize(const Context& context, const In& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  std::optional<std::string> name;
  if constexpr (requires { in.group_name; }) name = in.group_name;
  const auto group = find_group(work, in.group_id, name);
  if (!group) return tl::unexpected(group.error());
  Permissions permissions = list(in.ip_permissions);
  if (has_flat_members(in)) {
    if (!permissions.empty())
      return refuse("InvalidParameterCombination",
                    "The parameter ipPermissions may not be used together with the parameters of a single rule.");
    permissions = flat_permissions(in);
  }
  if (permissions.empty()) return refuse("MissingParameter", "The request must contain the parameter ipPermissions");
  if (auto named = name_peers_by_id(work, **group, permissions); !named) return tl::unexpected(named.error());
  auto added = rules_of(permissions, egress);
  if (!added) return tl::unexpected(added.error());
  const Rules present = rules_in_group(work, (*group)->id);
  PrefixListSizes sizes = sizes_of(work, present);
  if (auto checked = check_peers(work, **group, *added, sizes); !checked) return tl::unexpected(checked.error());
  if (auto checked = check_added(present, *added, sizes); !checked) return tl::unexpected(checked.error());
  const auto tags = tags_at_creation(in.tag_specifications, kKind<Rule>.resource_type);
  if (!tags) return tl::unexpected(tags.error());
  if (!tags->empty() && added->size() > quotas::kTaggedRulesOfRequest)
    return refuse("InvalidParameterValue",
                  fmt::format("A request can name at most {} rules with tags.", quotas::kTaggedRulesOfRequest));
  Out out;
  out.return_ = true;
  out.security_group_rules.emplace();
  for (Rule& rule : *added) {
    rule.id = new_id<Rule>(work);
    rule.group_id = (*group)->id;
    work.put(rule_key(work, rule), rule);
    if (!tags->empty()) work.put(tags_key(work, rule.id), records::ResourceTags{*tags});
    out.security_group_rules->push_back(render(work, rule, *tags));
  }
  return {std::move(out), std::move(work.transaction)};
}

// The rules with the ids, of one direction; all must be there.
ApiResult<Rules> rules_by_id(const Rules& present, const std::vector<std::string>& ids) {
  Rules out;
  for (const std::string& id : ids) {
    if (!id.starts_with(kKind<Rule>.prefix))
      return refuse("InvalidSecurityGroupRuleId.Malformed",
                    fmt::format("The security group rule ID '{}' is malformed", id));
    const auto found = std::find_if(present.begin(), present.end(), [&](const Rule& rule) { return rule.id == id; });
    if (found == present.end()) return not_found(kKind<Rule>, id);
    out.push_back(*found);
  }
  return out;
}

struct Matched {
  Rules present;  // as the group has them
  Rules missing;  // asked for, and not there
};

// The group's rules of one direction that the permissions name.
ApiResult<Matched> rules_by_permission(Work& work, const Group& group, Permissions permissions, const Rules& present,
                                       bool egress) {
  if (auto named = name_peers_by_id(work, group, permissions); !named) return tl::unexpected(named.error());
  const auto asked = rules_of(permissions, egress);
  if (!asked) return tl::unexpected(asked.error());
  Matched out;
  for (const Rule& rule : *asked) {
    const auto found =
        std::find_if(present.begin(), present.end(), [&](const Rule& other) { return same_rule(rule, other); });
    if (found == present.end())
      out.missing.push_back(rule);
    else
      out.present.push_back(*found);
  }
  return out;
}

tl::unexpected<ApiError> no_such_rule() {
  return refuse("InvalidPermission.NotFound", "The specified rule does not exist in this security group.");
}

Rules of_direction(Rules rules, bool egress) {
  std::erase_if(rules, [&](const Rule& rule) { return rule.egress != egress; });
  return rules;
}

m::RevokedSecurityGroupRule render_revoked(const Rule& rule) {
  m::RevokedSecurityGroupRule out;
  auto text = [](const std::string& value) { return value.empty() ? std::nullopt : std::optional(value); };
  out.security_group_rule_id = rule.id;
  out.group_id = rule.group_id;
  out.is_egress = rule.egress;
  out.ip_protocol = protocol_name(rule.protocol);
  out.from_port = rule.from_port;
  out.to_port = rule.to_port;
  out.cidr_ipv4 = text(rule.cidr_ipv4);
  out.cidr_ipv6 = text(rule.cidr_ipv6);
  out.prefix_list_id = text(rule.prefix_list_id);
  out.referenced_group_id = text(rule.peer_group_id);
  out.description = text(rule.description);
  return out;
}

template <class In, class Out, bool egress>
Handled<Out> revoke(const Context& context, const In& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  std::optional<std::string> name;
  if constexpr (requires { in.group_name; }) name = in.group_name;
  const auto group = find_group(work, in.group_id, name);
  if (!group) return tl::unexpected(group.error());
  const Rules present = of_direction(rules_in_group(work, (*group)->id), egress);
  Permissions permissions = list(in.ip_permissions);
  if (has_flat_members(in)) permissions = flat_permissions(in);
  if (permissions.empty() == list(in.security_group_rule_ids).empty())
    return permissions.empty()
               ? refuse("MissingParameter", "Either 'ipPermissions' or 'securityGroupRuleIds' should be provided.")
               : refuse("InvalidParameterCombination",
                        "'ipPermissions' and 'securityGroupRuleIds' may not be used in the same request.");
  Out out;
  out.return_ = true;
  out.unknown_ip_permissions.emplace();
  out.revoked_security_group_rules.emplace();
  Rules revoked;
  if (!permissions.empty()) {
    auto matched = rules_by_permission(work, **group, std::move(permissions), present, egress);
    if (!matched) return tl::unexpected(matched.error());
    if (!matched->missing.empty()) {
      // EC2 forgives this in default VPCs, and says what it did not find.
      const auto vpc = look_up<records::Vpc>(work, (*group)->vpc_id);
      if (!vpc || !vpc->is_default) return no_such_rule();
      out.unknown_ip_permissions = permissions_of(matched->missing, work.scope.account);
    }
    revoked = std::move(matched->present);
  } else {
    auto found = rules_by_id(present, list(in.security_group_rule_ids));
    if (!found) return tl::unexpected(found.error());
    revoked = *std::move(found);
  }
  for (const Rule& rule : revoked) {
    work.erase(rule_key(work, rule));
    if (context.store.get(tags_key(work, rule.id))) work.erase(tags_key(work, rule.id));
    out.revoked_security_group_rules->push_back(render_revoked(rule));
  }
  if (work.transaction.writes.size() > quotas::kRulesOfRequest)
    return refuse("InvalidParameterValue",
                  fmt::format("A request can name at most {} rules.", quotas::kRulesOfRequest));
  return {std::move(out), std::move(work.transaction)};
}

template <class In, class Out, bool egress>
Handled<Out> update_descriptions(const Context& context, const In& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  const auto group = find_group(work, in.group_id, in.group_name);
  if (!group) return tl::unexpected(group.error());
  const Rules present = of_direction(rules_in_group(work, (*group)->id), egress);
  const Permissions permissions = list(in.ip_permissions);
  if (permissions.empty() == list(in.security_group_rule_descriptions).empty())
    return permissions.empty()
               ? refuse("MissingParameter",
                        "Either 'ipPermissions' or 'securityGroupRuleDescriptions' should be provided.")
               : refuse("InvalidParameterCombination",
                        "'ipPermissions' and 'securityGroupRuleDescriptions' may not be used in the same request.");
  if (list(in.security_group_rule_descriptions).size() > quotas::kRulesOfRequest)
    return refuse("InvalidParameterValue",
                  fmt::format("A request can name at most {} rules.", quotas::kRulesOfRequest));
  auto describe = [&](Rule rule, const std::string& description) -> ApiResult<void> {
    if (auto checked = check_rule_description(description); !checked) return checked;
    rule.description = description;
    work.put(rule_key(work, rule), rule);
    return {};
  };
  for (const auto& one : list(in.security_group_rule_descriptions)) {
    const auto found = rules_by_id(present, {one.security_group_rule_id.value_or("")});
    if (!found) return tl::unexpected(found.error());
    if (auto done = describe(found->front(), one.description.value_or("")); !done) return tl::unexpected(done.error());
  }
  if (!permissions.empty()) {
    auto named = permissions;
    if (auto done = name_peers_by_id(work, **group, named); !done) return tl::unexpected(done.error());
    const auto asked = rules_of(named, egress);
    if (!asked) return tl::unexpected(asked.error());
    for (const Rule& rule : *asked) {
      const auto found =
          std::find_if(present.begin(), present.end(), [&](const Rule& other) { return same_rule(rule, other); });
      if (found == present.end()) return no_such_rule();
      if (auto done = describe(*found, rule.description); !done) return tl::unexpected(done.error());
    }
  }
  Out out;
  out.return_ = true;
  return {std::move(out), std::move(work.transaction)};
}

int kind_of_peer(const Rule& rule) {
  return !rule.cidr_ipv4.empty() ? 0 : !rule.cidr_ipv6.empty() ? 1 : !rule.prefix_list_id.empty() ? 2 : 3;
}

Handled<m::ModifySecurityGroupRulesResult> modify_rules(const Context& context,
                                                        const m::ModifySecurityGroupRulesRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  const auto group = find<Group>(work, in.group_id);
  if (!group) return tl::unexpected(group.error());
  if (in.security_group_rules.size() > quotas::kRulesOfRequest)
    return refuse("InvalidParameterValue",
                  fmt::format("A request can name at most {} rules.", quotas::kRulesOfRequest));
  Rules rest = rules_in_group(work, (*group)->id), changed;
  for (const m::SecurityGroupRuleUpdate& update : in.security_group_rules) {
    const auto found = rules_by_id(rest, {update.security_group_rule_id});
    if (!found) return tl::unexpected(found.error());
    const Rule before = found->front();
    if (!update.security_group_rule)
      return refuse("MissingParameter", "The request must contain the parameter SecurityGroupRule");
    const m::SecurityGroupRuleRequest& asked = *update.security_group_rule;
    auto after = make_rule({asked.ip_protocol, asked.from_port, asked.to_port, asked.cidr_ipv4, asked.cidr_ipv6,
                            asked.prefix_list_id, asked.referenced_group_id, asked.description},
                           before.egress);
    if (!after) return tl::unexpected(after.error());
    if (kind_of_peer(*after) != kind_of_peer(before))
      return refuse("InvalidParameterValue",
                    fmt::format("The kind of source or destination of the security group rule '{}' cannot be changed.",
                                before.id));
    after->id = before.id;
    after->group_id = before.group_id;
    std::erase_if(rest, [&](const Rule& rule) { return rule.id == before.id; });
    changed.push_back(*std::move(after));
  }
  PrefixListSizes sizes = sizes_of(work, rest);
  if (auto checked = check_peers(work, **group, changed, sizes); !checked) return tl::unexpected(checked.error());
  for (const Rule& rule : changed) {
    if (auto checked = check_added(rest, {rule}, sizes); !checked) return tl::unexpected(checked.error());
    rest.push_back(rule);
    work.put(rule_key(work, rule), rule);
  }
  m::ModifySecurityGroupRulesResult out;
  out.return_ = true;
  return {std::move(out), std::move(work.transaction)};
}

// Every rule of the region, or of the groups that a filter names without patterns.
std::map<std::string, std::shared_ptr<const Rule>> rules_asked_for(const Work& work,
                                                                   const std::vector<FilterSpec>& filters) {
  std::map<std::string, std::shared_ptr<const Rule>> found;
  const auto by_group = std::find_if(filters.begin(), filters.end(), [](const FilterSpec& filter) {
    return filter.name == "group-id" && std::none_of(filter.values.begin(), filter.values.end(), [](const auto& value) {
             return value.find_first_of("*?\\") != std::string::npos;
           });
  });
  const auto key = [&](const std::string& rest) {
    return records::keys::ec2(records::ec2_kinds::kSecurityGroupRule, work.scope, rest);
  };
  if (by_group == filters.end()) return work.all<Rule>(key(""));
  for (const std::string& group : by_group->values) found.merge(work.all<Rule>(key(group + "/")));
  return found;
}

Handled<m::DescribeSecurityGroupRulesResult> describe_rules(const Context& context,
                                                            const m::DescribeSecurityGroupRulesRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  const auto filters = filters_in(in);
  if (auto checked = check_filters(filters, {"group-id", "security-group-rule-id"}); !checked)
    return tl::unexpected(checked.error());
  for (const FilterSpec& filter : filters)
    for (const std::string& value : filter.values)
      if (filter.name == "group-id" && !value.starts_with("sg-"))
        return refuse("InvalidGroupId.Malformed", fmt::format("The security group ID '{}' is malformed", value));
  auto pages = pages_of(work, in);
  if (!pages) return tl::unexpected(pages.error());
  const std::vector<std::string>& ids = list(in.security_group_rule_ids);
  const auto found = rules_asked_for(work, ids.empty() ? filters : std::vector<FilterSpec>{});
  if (!ids.empty()) {
    Rules present;
    for (const auto& [key, rule] : found)
      if (std::find(ids.begin(), ids.end(), rule->id) != ids.end()) present.push_back(*rule);
    if (const auto checked = rules_by_id(present, ids); !checked) return tl::unexpected(checked.error());
  }
  m::DescribeSecurityGroupRulesResult out;
  out.security_group_rules.emplace();
  for (const auto& [key, rule] : found) {
    if (!ids.empty() && std::find(ids.begin(), ids.end(), rule->id) == ids.end()) continue;
    Filterable seen;
    seen.with("group-id", rule->group_id).with("security-group-rule-id", rule->id);
    if (has_tag_filter(filters)) seen.with_tags(tags_of(work, rule->id));
    if (seen.matches(filters) && pages->take(key))
      out.security_group_rules->push_back(render(work, *rule, tags_of(work, rule->id)));
    if (pages->is_full()) break;
  }
  out.next_token = pages->next_token();
  return {std::move(out), std::move(work.transaction)};
}

}  // namespace

void add_security_group_rule_handlers(OperationRegistry& registry) {
  add(registry, m::kDescribeSecurityGroupRules, kAnyResource, describe_rules);
  add(registry, m::kModifySecurityGroupRules, named, modify_rules);
  add(registry, m::kAuthorizeSecurityGroupIngress, named,
      authorize<m::AuthorizeSecurityGroupIngressRequest, m::AuthorizeSecurityGroupIngressResult, false>);
  add(registry, m::kAuthorizeSecurityGroupEgress, named,
      authorize<m::AuthorizeSecurityGroupEgressRequest, m::AuthorizeSecurityGroupEgressResult, true>);
  add(registry, m::kRevokeSecurityGroupIngress, named,
      revoke<m::RevokeSecurityGroupIngressRequest, m::RevokeSecurityGroupIngressResult, false>);
  add(registry, m::kRevokeSecurityGroupEgress, named,
      revoke<m::RevokeSecurityGroupEgressRequest, m::RevokeSecurityGroupEgressResult, true>);
  add(registry, m::kUpdateSecurityGroupRuleDescriptionsIngress, named,
      update_descriptions<m::UpdateSecurityGroupRuleDescriptionsIngressRequest,
                          m::UpdateSecurityGroupRuleDescriptionsIngressResult, false>);
  add(registry, m::kUpdateSecurityGroupRuleDescriptionsEgress, named,
      update_descriptions<m::UpdateSecurityGroupRuleDescriptionsEgressRequest,
                          m::UpdateSecurityGroupRuleDescriptionsEgressResult, true>);
}

}  // namespace berth::services::ec2
