// Handlers of log streams. State thread; times of events are looked up on a worker.
#pragma once

#include "logstore/log_store.h"
#include "model/logs/stream.h"
#include "services/handler.h"
#include "services/logs/groups.h"

namespace berth::services::logs {

Handled<Nothing> create_log_stream(const Context& context, const m::CreateLogStreamRequest& in);
Handled<Nothing> delete_log_stream(logstore::LogStore& store, const Context& context,
                                   const m::DeleteLogStreamRequest& in);
Handled<m::DescribeLogStreamsResponse> describe_log_streams(logstore::LogStore& store, const Context& context,
                                                            const m::DescribeLogStreamsRequest& in);

}  // namespace berth::services::logs
