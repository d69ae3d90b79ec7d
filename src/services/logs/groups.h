// Handlers of log groups and their tags. State thread; DescribeLogGroups looks up sizes on a worker.
#pragma once

#include "logstore/log_store.h"
#include "model/logs/group.h"
#include "model/logs/tag.h"
#include "services/handler.h"

namespace berth::services::logs {

namespace m = model::logs;
struct Nothing {};  // the answer of operations without one

Handled<Nothing> create_log_group(const Context& context, const m::CreateLogGroupRequest& in);
Handled<Nothing> delete_log_group(logstore::LogStore& store, const Context& context,
                                  const m::DeleteLogGroupRequest& in);
Handled<m::DescribeLogGroupsResponse> describe_log_groups(logstore::LogStore& store, const Context& context,
                                                          const m::DescribeLogGroupsRequest& in);
Handled<Nothing> put_retention_policy(const Context& context, const m::PutRetentionPolicyRequest& in);
Handled<Nothing> delete_retention_policy(const Context& context, const m::DeleteRetentionPolicyRequest& in);

Handled<Nothing> tag_log_group(const Context& context, const m::TagLogGroupRequest& in);
Handled<Nothing> untag_log_group(const Context& context, const m::UntagLogGroupRequest& in);
Handled<m::ListTagsLogGroupResponse> list_tags_log_group(const Context& context, const m::ListTagsLogGroupRequest& in);
Handled<Nothing> tag_resource(const Context& context, const m::TagResourceRequest& in);
Handled<Nothing> untag_resource(const Context& context, const m::UntagResourceRequest& in);
Handled<m::ListTagsForResourceResponse> list_tags_for_resource(const Context& context,
                                                               const m::ListTagsForResourceRequest& in);

}  // namespace berth::services::logs
