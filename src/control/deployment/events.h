// A service's events: texts as AWS writes them, newest first, at most a hundred, repeats suppressed.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "records/service_events.h"

namespace berth::control::deployment {

class Events {
 public:
  Events(std::vector<records::ServiceEvent>& events, const std::string& service, TimeMs now_ms, Random& random)
      : events_(events), service_(service), now_ms_(now_ms), random_(random) {}

  // "(service NAME) " goes in front.
  void tell(const std::string& text);
  // Not told where the same, or one that begins with `same_as`, was told less than `repeat_ms` ago, not before
  // `since_ms`, and the service has not been steady since.
  void tell_once(const std::string& text, int64_t repeat_ms, const std::string& same_as = {}, TimeMs since_ms = 0);
  static std::string tasks(const std::vector<std::string>& ids);  // "(task a) (task b)"

 private:
  std::vector<records::ServiceEvent>& events_;
  const std::string& service_;
  TimeMs now_ms_;
  Random& random_;
};

}  // namespace berth::control::deployment
