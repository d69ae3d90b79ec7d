// The life of a task, decided from what was asked, what was decided before and what the agent saw. Value in,
// value out. It says run or stop: which container starts when is the agent's to decide (containers/).
//
//   PROVISIONING ─▶ PENDING ─▶ ACTIVATING ─▶ RUNNING ─▶ STOPPING ─▶ DEPROVISIONING ─▶ STOPPED ─▶ erased
//   order=run       address    some of its   all that    order=stop  nothing of it    all given    an hour
//                   is there   containers    must run                runs any more    back         later
//                              have started  have started
//
// Nothing is registered anywhere when a task starts or stops (no load balancer, no discovery), so
// DEACTIVATING is left in the decision that would enter it. A task that was never ordered to run goes to
// STOPPED at once. States only go forward.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "base/rare.h"
#include "control/placement/placement.h"
#include "records/keys.h"
#include "records/task.h"
#include "records/task_definition.h"

namespace berth::control::lifecycle {

// Mistakes that the simulator plants to see that its checkers catch them; `none` everywhere else.
enum class PlantedBug {
  none,
  stop_without_a_reason,       // a stopped task carries neither code nor text
  running_before_all_started,  // RUNNING as soon as the agent has provisioned
  never_erase,                 // STOPPED tasks stay for ever
  forget_to_stop,              // decides STOPPED, never orders the agent to stop
  version_stands_still,        // changes keep the version that was
};

struct Settings {
  int64_t stopped_kept_ms = 3'600'000;  // STOPPED tasks stay visible for an hour
  RareBranches* rare = nullptr;
  PlantedBug bug = PlantedBug::none;
};

// Borrowed for the call; null where the key is absent.
struct TaskSnapshot {
  const records::keys::TaskPath& path;
  const records::TaskSpec& spec;
  const records::TaskIntent* intent = nullptr;
  const records::TaskStatus* status = nullptr;
  const records::TaskObserved* observed = nullptr;
  const records::TaskDefinition* definition = nullptr;
  // Read only while there is no status: the subnets with free addresses to choose from, one without, and whether there is a
  // public address where the task asks for one.
  std::vector<placement::SubnetUse> subnets = {};
  std::string full_subnet = {};
  bool public_address_free = true;
  std::vector<placement::HostRoom> hosts = {};     // likewise: those that are not lost
  std::string cannot_run = {};  // likewise; not empty: why no order can be made of it, complete text for stoppedReason
  int64_t host_epoch = 0;       // of the status's host now; 0: not known
};

struct TaskPlan {
  std::optional<records::TaskStatus> status;  // absent: as it was
  bool erase = false;                         // all keys of the task, in one transaction
  TimeMs wake_at_ms = 0;                      // decide again then at the latest; 0: only when something changes
};

TaskPlan decide(const TaskSnapshot& task, TimeMs now_ms, Random& random, const Settings& settings);

// The status after somebody (StopTask's intent, the service's controller) has decided that the task shall
// stop. Does not change one that is being stopped already: the first reason is the one that is told, cut to
// limits::kStoppedReasonBytesMax.
records::TaskStatus stopping(const records::TaskStatus& status, records::StopCode code, std::string reason,
                             TimeMs now_ms);

}  // namespace berth::control::lifecycle
