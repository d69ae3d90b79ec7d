#include "agent/observe/health_watch.h"

#include <algorithm>

namespace berth::agent {

using records::Health;

HealthWatch::HealthWatch(const records::HealthCheck& check, TimeMs started_at_ms)
    : interval_ms_(check.interval_s * 1000),
      retries_(check.retries),
      start_period_ms_(check.start_period_s * 1000),
      start_period_ends_ms_(started_at_ms + start_period_ms_),
      failures_count_from_ms_(started_at_ms + interval_ms_),
      next_ms_(started_at_ms) {}

std::optional<TimeMs> HealthWatch::next_probe_at_ms(TimeMs now_ms) const {
  if (under_way_) return std::nullopt;
  return std::min(next_ms_, now_ms + interval_ms_);
}

void HealthWatch::probe_begun(TimeMs now_ms) {
  under_way_ = true;
  // As for a clock that was set back.
  failures_count_from_ms_ = std::min(failures_count_from_ms_, now_ms + interval_ms_);
  failure_counts_ = now_ms >= failures_count_from_ms_;
}

std::optional<Health> HealthWatch::probed(bool passed, TimeMs now_ms) {
  under_way_ = false;
  start_period_ends_ms_ =
      std::min(start_period_ends_ms_, now_ms + start_period_ms_);  // as for a clock that was set back
  const bool in_start_period = now_ms < start_period_ends_ms_;
  const Health before = health_;
  if (passed) {
    failures_ = 0;
    health_ = Health::healthy;
    start_period_ends_ms_ = 0;
  } else if (!in_start_period && failure_counts_ && ++failures_ >= retries_) {
    health_ = Health::unhealthy;
  }
  next_ms_ = now_ms + (in_start_period && !passed ? 1000 : interval_ms_);
  if (health_ == before) return std::nullopt;
  return health_;
}

}  // namespace berth::agent
