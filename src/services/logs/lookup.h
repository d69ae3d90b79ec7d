// Finding groups and streams, and what is said when they are not there. State thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "records/logs.h"
#include "records/read.h"
#include "services/common/page_token.h"
#include "services/handler.h"

namespace berth::services::logs {

template <class T>
using Found = ApiResult<std::shared_ptr<const T>>;

tl::unexpected<ApiError> invalid_parameter(std::string message);
tl::unexpected<ApiError> not_found(std::string what);  // "log group", "log stream"

std::string group_arn(const records::Scope& scope, std::string_view name);  // without the ":*"
std::string stream_arn(const records::Scope& scope, std::string_view group, std::string_view stream);

Found<records::LogGroup> find_group(const Context& context, std::string_view name);
// Exactly one of a name and an identifier (a name too, or an ARN with or without ":*").
Found<records::LogGroup> find_group(const Context& context, const std::optional<std::string>& name,
                                    const std::optional<std::string>& identifier);
// The name in an identifier; an ARN must be this account's and region's.
ApiResult<std::string> group_name_of(const Context& context, std::string_view identifier);
Found<records::LogStream> find_stream(const Context& context, const records::LogGroup& group, std::string_view name);

// Keys under which the streams of a group lie.
std::string streams_prefix(const records::Scope& scope, std::string_view group_uid);
std::vector<std::shared_ptr<const records::LogStream>> streams_of(const Context& context,
                                                                  const records::LogGroup& group,
                                                                  std::string_view name_prefix = {});

// When the oldest event that is still to be seen was written; the least time where the group keeps all.
TimeMs expiry_ms(const records::LogGroup& group, TimeMs now_ms);

// nextToken of the Describe operations: the last item of the page before, bound to the question that it
// answers.
using common::page_token;
ApiResult<std::string> open_page_token(std::string_view question, const std::optional<std::string>& token);

// Ahead of a group's own changes: takes away some of the stream records that deleted groups have left, as
// many as a transaction has room for beside the caller's few.
void sweep_deleted(const state::Store& state, state::Transaction& transaction);
std::string deleted_group_key(const records::Scope& scope, std::string_view uid);

}  // namespace berth::services::logs
