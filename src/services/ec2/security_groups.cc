// Security groups.
#include "model/ec2/operations.h"
#include "model/ec2/security_groups.h"
#include "services/ec2/default_vpc.h"
#include "services/ec2/handlers.h"
#include "services/ec2/objects.h"
#include "services/ec2/select.h"

namespace berth::services::ec2 {
namespace {

// A default group: everything from its own members in, everything out.
m::SecurityGroup render(Work& work, const records::SecurityGroup& group) {
  const auto& scope = work.scope;
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
  out.security_group_arn = arn(work, "security-group", group.id);
  out.owner_id = scope.account;
  out.group_name = group.name;
  out.description = group.description;
  out.tags = render_tags(work, group.id);
  return out;
}

Handled<m::DescribeSecurityGroupsResult> describe_security_groups(const Context& context,
                                                                  const m::DescribeSecurityGroupsRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  std::vector<std::string> ids = list(in.group_ids);
  for (const std::string& name : list(in.group_names)) {
    const size_t before = ids.size();
    const std::string vpc_id = default_vpc_id(context.store, work.scope);
    for (const auto& [key, group] : all<records::SecurityGroup>(work))
      if (group->name == name && group->vpc_id == vpc_id) ids.push_back(group->id);
    if (ids.size() == before)
      return refuse("InvalidGroup.NotFound",
                    fmt::format("The security group '{}' does not exist in default VPC '{}'", name, vpc_id));
  }
  auto found = select<records::SecurityGroup>(
      work, in, ids, {"description", "group-id", "group-name", "owner-id", "vpc-id"},
      [&](const records::SecurityGroup& group) {
        return Filterable()
            .with("description", group.description)
            .with("group-id", group.id)
            .with("group-name", group.name)
            .with("owner-id", work.scope.account)
            .with("vpc-id", group.vpc_id);
      });
  if (!found) return tl::unexpected(found.error());
  m::DescribeSecurityGroupsResult out;
  out.security_groups.emplace();
  for (const auto& group : found->records) out.security_groups->push_back(render(work, *group));
  out.next_token = found->next_token;
  return {std::move(out), std::move(work.transaction)};
}

}  // namespace

void add_security_group_handlers(OperationRegistry& registry) {
  add(registry, m::kDescribeSecurityGroups, kAnyResource, describe_security_groups);
}

}  // namespace berth::services::ec2
