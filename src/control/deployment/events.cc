#include "control/deployment/events.h"

#include <fmt/format.h>

#include "control/deployment/deployment.h"

namespace berth::control::deployment {

void Events::tell(const std::string& text) {
  events_.insert(events_.begin(), {new_uuid(random_), now_ms_, fmt::format("(service {}) {}", service_, text)});
  if (events_.size() > records::kServiceEventsMax) events_.resize(records::kServiceEventsMax);
}

void Events::tell_once(const std::string& text, int64_t repeat_ms, const std::string& same_as, TimeMs since_ms) {
  const std::string begin = fmt::format("(service {}) {}", service_, same_as.empty() ? text : same_as);
  const std::string steady = fmt::format("(service {}) has reached a steady state.", service_);
  for (const records::ServiceEvent& event : events_) {
    if (event.message == steady || now_ms_ - event.created_at_ms >= repeat_ms || event.created_at_ms < since_ms) break;
    if (event.message.starts_with(begin)) return;
  }
  tell(text);
}

std::string Events::tasks(const std::vector<std::string>& ids) {
  std::string out;
  for (const std::string& id : ids) out += fmt::format("{}(task {})", out.empty() ? "" : " ", id);
  return out;
}

}  // namespace berth::control::deployment
