// Amazon CloudWatch Logs: log groups and streams as records, events straight from and to their segments. What
// touches files (events, sizes, times of events) is deferred to a worker; the rest is pure.
#pragma once

#include <functional>

#include "logstore/log_store.h"
#include "model/descriptor.h"
#include "services/handler.h"

namespace berth::services::logs {

// `store` is borrowed and outlives the registry's use.
void add_handlers(Registry<model::Operation>& registry, logstore::LogStore& store);

// What must be done now and then, at least hourly and once at start: deletes what retention no longer keeps, and what
// deleted groups have left behind; forgets streams, made for tasks that nobody knows any more, whose last event
// retention has taken. Call on the state thread; apply the transaction (bounded: call again at once while it is not
// empty), and run `work` on a worker, after the transaction is durable.
struct Maintenance {
  state::Transaction transaction;
  std::function<void()> work;
};
Maintenance maintain(const state::Store& state, logstore::LogStore& store, TimeMs now_ms);

}  // namespace berth::services::logs
