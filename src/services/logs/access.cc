#include "services/logs/access.h"

#include <fmt/format.h>

namespace berth::services::logs::access {

std::string group_arn(const Context& context, std::string_view name_or_arn) {
  if (name_or_arn.ends_with(":*")) name_or_arn.remove_suffix(2);
  if (name_or_arn.starts_with("arn:")) return std::string(name_or_arn);
  return fmt::format("arn:aws:logs:{}:{}:log-group:{}", context.caller.region, context.caller.account, name_or_arn);
}

std::string stream_arn(const Context& context, std::string_view group, std::string_view stream) {
  return fmt::format("{}:log-stream:{}", group_arn(context, group), stream);
}

void create_log_group(const Context& context, const model::logs::CreateLogGroupRequest& in, AccessQuery& query) {
  of_group(context, in, query);
  if (!in.tags || in.tags->empty()) return;
  Permission tagging{"logs:TagResource", {group_arn(context, in.log_group_name)}, {}};
  for (const auto& [key, value] : *in.tags) {
    query.condition("aws:RequestTag/" + key, value);
    query.condition("aws:TagKeys", key);
    tagging.conditions.emplace_back("aws:RequestTag/" + key, value);
    tagging.conditions.emplace_back("aws:TagKeys", key);
  }
  query.also(std::move(tagging));
}

void describe_log_groups(const Context& context, const model::logs::DescribeLogGroupsRequest& in, AccessQuery& query) {
  query.resource(stream_arn(context, text(in.log_group_name_prefix), ""));
}

}  // namespace berth::services::logs::access
