#include "records/service_events.h"

#include "records/read.h"

namespace berth::records {
namespace {

struct EventsInStatus {
  std::vector<ServiceEvent> events;
  template <class A>
  void fields(A& a) {
    a("events", events);
  }
};

}  // namespace

std::vector<ServiceEvent> service_events(const state::Store& store, const keys::ServicePath& path) {
  std::vector<ServiceEvent> out;
  const auto kept = range<ServiceEvent>(store, keys::service(keys::kServiceEvent, path) + "/");
  for (auto event = kept.rbegin(); event != kept.rend(); ++event) out.push_back(*event->second);
  return out;
}

std::vector<ServiceEvent> events_in_status(const state::Value& status) {
  return decode<EventsInStatus>(status.bytes()).events;
}

}  // namespace berth::records
