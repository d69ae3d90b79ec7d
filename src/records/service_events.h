// A service's events: the last hundred, a key each, so that a new one does not write the others again.
#pragma once

#include <vector>

#include "records/keys.h"
#include "records/service.h"
#include "state/store.h"

namespace berth::records {

inline constexpr int64_t kServiceEventsMax = 100;

// Newest first.
std::vector<ServiceEvent> service_events(const state::Store& store, const keys::ServicePath& path);
// As a Berth before 0.2 kept them, inside the status; empty where there are none.
std::vector<ServiceEvent> events_in_status(const state::Value& status);

}  // namespace berth::records
