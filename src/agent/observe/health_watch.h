// From probes of one container to its health, after the ECS Developer Guide ("healthCheck"): pure, the time an argument.
// The first probe comes at once; within the start period one follows every second, failures do not count, and the first
// success ends the period; afterwards one every interval. `retries` failures in a row make it UNHEALTHY, one success
// HEALTHY again. On AWS the first probe comes after one interval. Ours comes earlier so that what depends on HEALTHY starts
// sooner, so a probe that began within the first interval may succeed, but its failure does not count.
#pragma once

#include <optional>

#include "base/clock.h"
#include "records/task.h"
#include "records/task_definition.h"

namespace berth::agent {

class HealthWatch {
 public:
  HealthWatch(const records::HealthCheck& check, TimeMs started_at_ms);

  // Goes on from a verdict that was reached before the daemon was restarted.
  void resume(records::Health health) {
    health_ = health;
    start_period_ends_ms_ = 0;
    failures_count_from_ms_ = 0;
  }

  // When the next probe is due; nothing while one is under way. A clock that was set back puts it off by an interval at most.
  std::optional<TimeMs> next_probe_at_ms(TimeMs now_ms) const;
  void probe_begun(TimeMs now_ms);
  // The verdict where it changes.
  std::optional<records::Health> probed(bool passed, TimeMs now_ms);

  records::Health health() const { return health_; }

 private:
  int interval_ms_;
  int retries_;
  int start_period_ms_;
  TimeMs start_period_ends_ms_;
  TimeMs failures_count_from_ms_;  // of probes that began then or later
  TimeMs next_ms_;
  int failures_ = 0;
  bool failure_counts_ = false;  // of the probe that is under way
  bool under_way_ = false;
  records::Health health_ = records::Health::unknown;
};

}  // namespace berth::agent
