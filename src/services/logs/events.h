// Handlers of log events: what is needed is looked up on the state thread, reading and writing happen on a
// worker.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "logstore/log_store.h"
#include "model/logs/event.h"
#include "services/handler.h"

namespace berth::services::logs {

namespace m = model::logs;

// Names of a group's streams by uid, kept from call to call while the group has not changed: following a
// group costs what is new in it, not how many streams it has had. State thread; the maps are immutable and
// travel.
class StreamNames {
 public:
  using Names = std::unordered_map<uint64_t, std::string>;
  std::shared_ptr<const Names> of(const Context& context, const std::string& group_uid);

 private:
  struct Kept {
    state::Revision revision = 0;
    uint64_t used = 0;
    std::shared_ptr<const Names> names;
  };
  std::unordered_map<std::string, Kept> groups_;
  uint64_t clock_ = 0;
};

Handled<m::PutLogEventsResponse> put_log_events(logstore::LogStore& store, const Context& context,
                                                const m::PutLogEventsRequest& in);
Handled<m::GetLogEventsResponse> get_log_events(logstore::LogStore& store, const Context& context,
                                                const m::GetLogEventsRequest& in);
Handled<m::FilterLogEventsResponse> filter_log_events(logstore::LogStore& store, StreamNames& names,
                                                      const Context& context, const m::FilterLogEventsRequest& in);

}  // namespace berth::services::logs
