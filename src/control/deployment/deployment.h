// A service's controller: how many tasks of which revision there should be, decided from what is there.
//
//   desired D, lower = ceil(D × minimum/100), upper = floor(D × maximum/100)
//   start: while tasks of the PRIMARY deployment are fewer than D, and all live tasks fewer than upper
//   stop:  what is not healthy of older deployments; what is healthy of them while the healthy stay at least
//   lower
//
// A task is live until somebody has decided that it stops: one that is stopping counts neither for the lower
// bound nor for the upper (ECS Developer Guide, "deployment parameters"). Value in, value out; plans are
// bounded, `again` asks for more.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "base/rare.h"
#include "control/placement/placement.h"
#include "records/keys.h"
#include "records/service.h"
#include "records/task.h"
#include "records/task_definition.h"
#include "records/task_index.h"

namespace berth::control::deployment {

// Mistakes that the simulator plants to see that its checkers catch them; `none` everywhere else.
enum class PlantedBug {
  none,
  above_maximum_percent,        // starts without looking at the upper bound
  below_minimum_percent,        // stops old tasks without looking at the lower bound
  stop_without_a_reason,        // scales in without code and text
  one_task_short,               // is content with one task less than desired
  no_start_back_off,            // starts again at once after every failure
  count_failures_twice,         // does not mark failures as counted
  breaker_never_trips,          // the circuit breaker counts and does nothing
  never_replace_unhealthy,      // leaves unhealthy tasks alone
  never_drain_deleted,          // a deleted service keeps its tasks
  completes_with_what_crashes,  // takes a task for healthy in the moment that it runs, with a circuit breaker too
  ill_wait_for_memory,          // unhealthy tasks stay while there is no memory for their replacements
  tells_what_it_did_not,        // an event names a task that was not started
};

struct Settings {
  // AWS calls a task without a health check healthy 40 s after RUNNING; that wait is for its own
  // infrastructure.
  int64_t healthy_after_running_ms = 0;
  // A task that ends by itself sooner than this has proved nothing: starts back off, failures in a row are
  // not forgotten, and a deployment with a circuit breaker does not count it as healthy yet where it has no check.
  int64_t short_run_ms = 10'000;
  int64_t back_off_first_ms = 1'000;  // doubles with each failure in a row
  int64_t back_off_max_ms = 15 * 60'000;
  int64_t failed_shown_ms =
      15'000;  // a deployment that was rolled back stays listed so long, a poll of the CLI's waiters
  int64_t event_repeat_ms = 6 * 3'600'000;  // the same event is not told again sooner
  int writes_max = 20;                      // starts and stops of one plan, each
  RareBranches* rare = nullptr;
  PlantedBug bug = PlantedBug::none;
};

struct ServiceTask {
  const records::TaskSummary* summary;
  bool has_health_check = false;  // of its own task definition
};

struct ServiceSnapshot {
  const records::keys::ServicePath& path;
  const records::ServiceSpec& spec;
  const records::ServiceStatus* status = nullptr;  // null: never decided
  // Live and stopping tasks of the service, and those whose failure may not have been counted yet.
  std::vector<ServiceTask> tasks;
  const records::TaskDefinition* target_definition = nullptr;  // of the revision that primary_revision() names
  placement::Room room;
  std::map<std::string, std::string> zones = {};  // of the subnets that the service names, by subnet
  bool cluster_active = true;
  std::vector<records::ServiceEvent> events = {};  // of this incarnation, newest first
};

// The revision whose tasks the next decision would start: for which the snapshot needs the definition.
const records::Revision& primary_revision(const records::ServiceSpec& spec, const records::ServiceStatus* status);

struct TaskStart {
  std::string id;
  records::TaskSpec spec;
};
struct TaskStop {
  records::keys::TaskPath path;
  records::StopCode code;
  std::string reason;
};

// All of it is one transaction, so that nothing is counted twice, started twice or told twice.
struct ServicePlan {
  records::ServiceStatus status;
  std::vector<records::ServiceEvent> events;  // newest first; what is told now stands before what was
  std::vector<TaskStart> starts;
  std::vector<TaskStop> stops;
  std::vector<records::keys::TaskPath> counted;  // their failure_counted becomes true
  bool again = false;                            // more to do than one plan may hold
  int64_t waits_for_room_mib = 0;                // not 0: decide again when there is so much memory for a task
  TimeMs wake_at_ms = 0;                         // 0: only when something changes
};

ServicePlan decide(const ServiceSnapshot& service, TimeMs now_ms, Random& random, const Settings& settings);

// Failures in a row at which the circuit breaker trips: half the desired count, at least 3 and at most 200.
int breaker_threshold(int desired_count);
// How long the next start waits after so many failures in a row.
int64_t back_off_ms(int failures, const Settings& settings);

}  // namespace berth::control::deployment
