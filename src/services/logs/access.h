// What each operation of CloudWatch Logs asks of IAM, told from its input alone. Policies name a group with ":*"
// after it for all but tagging by ARN; that matches what stands here, "log-group:NAME:log-stream:STREAM".
#pragma once

#include "model/logs/event.h"
#include "model/logs/group.h"
#include "services/handler.h"

namespace berth::services::logs::access {

std::string group_arn(const Context& context, std::string_view name_or_arn);
std::string stream_arn(const Context& context, std::string_view group, std::string_view stream);

inline std::string text(const std::string& value) { return value; }
inline std::string text(const std::optional<std::string>& value) { return value.value_or(std::string()); }

template <class In>
std::string group_of(const In& in) {
  std::string name = text(in.log_group_name);
  if constexpr (requires { in.log_group_identifier; }) {
    if (name.empty()) name = text(in.log_group_identifier);
  }
  return name;
}
template <class In>
void of_group(const Context& context, const In& in, AccessQuery& query) {
  query.resource(stream_arn(context, group_of(in), ""));
}
template <class In>
void of_stream(const Context& context, const In& in, AccessQuery& query) {
  query.resource(stream_arn(context, group_of(in), in.log_stream_name));
}
template <class In>
void of_arn(const Context& context, const In& in, AccessQuery& query) {
  query.resource(group_arn(context, in.resource_arn));
}

void create_log_group(const Context& context, const model::logs::CreateLogGroupRequest& in, AccessQuery& query);
void describe_log_groups(const Context& context, const model::logs::DescribeLogGroupsRequest& in, AccessQuery& query);

}  // namespace berth::services::logs::access
