// Watches what was asked and what was seen, lets the decisions decide, commits their plans and knows when it
// next has to act. The same object runs in the daemon and in the simulator.
//
//   spec, intent, observed ─watch─▶ dirty tasks ─decide─▶ status ─┐
//                                        ▲                        ▼
//                                        └── new tasks ◀─decide─ dirty services ◀── memory given back
//
// Thread: the state thread, all of it. The driver calls run() after each settle() and at the latest when it
// said.
//
// Plans are derived transactions (but the decision that a task stops, see loop.cc) that carry what they read;
// one that meets a conflict is decided again. Work follows what changed: a service is decided once a run,
// however many of its tasks have changed, from the index and without ranging.
//
// Status keys have no other writer, so they are not watched: after a failed commit every watch says
// `compacted`, and the loop begins again from what the store holds, as it does at start.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "base/rare.h"
#include "control/deployment/deployment.h"
#include "control/lifecycle/lifecycle.h"
#include "control/loop/retention.h"
#include "records/keys.h"
#include "records/task_index.h"
#include "state/store.h"

namespace berth::control {

// Mistakes that the simulator plants to see that its checkers catch them; `none` everywhere else.
enum class PlantedBug {
  none,
  writes_what_the_agent_saw,  // says itself that a task is released
  forgets_timers,             // arms none
  ignores_failed_commits,     // goes on as if what was rolled back were there
  never_erases_services,      // INACTIVE ones stay for ever
  stops_are_derived,          // power loss may take the decision that a task stops
};

struct Settings {
  int64_t memory_mib = 0;  // what tasks may reserve: the machine's memory times the overcommit factor
  lifecycle::Settings lifecycle = {};
  deployment::Settings deployment = {};
  RetentionSettings retention = {};
  size_t decisions_max = 512;  // of one run(); more are left for the next, which is then due at once
  RareBranches* rare = nullptr;
  PlantedBug bug = PlantedBug::none;
};

class Loop {
 public:
  // Everything is borrowed and outlives the loop. Begins with all tasks and services that the store holds.
  Loop(state::Store& store, records::TaskIndex& index, Random& random, Settings settings);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Decides what is dirty or due. Returns when to be called again without a change: absent for never,
  // `now_ms` or earlier for at once, after whatever else the state thread has to do.
  std::optional<TimeMs> run(TimeMs now_ms);

  // Services are not decided any more: the daemon is ending and takes its tasks along. What they want is
  // still kept.
  void hold_services() { services_held_ = true; }

  uint64_t decisions() const { return decisions_; }  // since construction; for tests of cost

 private:
  struct Service {
    bool all_tasks = false;       // look at STOPPED ones too: failures may be uncounted
    std::set<std::string> ended;  // ids of tasks whose end has been decided since the last look
  };
  struct Waiting {
    int64_t needed_mib = 0;  // by one of its tasks
    uint64_t asked = 0;      // at which of the times that memory was given back
  };
  struct Timer {
    TimeMs at_ms;
    std::string key;  // a task-spec or service-spec key
    bool operator>(const Timer& other) const { return at_ms > other.at_ms; }
  };

  bool services_held_ = false;
  void watch(std::string_view prefix);
  void begin_again();
  void changed(const state::Change& change);
  void dirty_task(const std::string& path) { dirty_tasks_.insert(path); }
  void dirty_service(const std::string& path, bool all_tasks = false);
  void take_due(TimeMs now_ms);
  void wake_at(const std::string& key, TimeMs at_ms);

  void decide_task(const std::string& path, TimeMs now_ms);
  void task_decided(const records::keys::TaskPath& path, const std::string& service, const records::TaskStatus* before,
                    const records::TaskStatus* after);
  void decide_service(const std::string& path, Service work, TimeMs now_ms);
  void erase_inactive(const std::string& path, const state::Entry& spec, const std::optional<state::Entry>& status,
                      TimeMs now_ms);
  enum class Applied { yes, conflict, too_large };
  Applied apply_service_plan(const std::string& path, const deployment::ServicePlan& plan,
                             const std::optional<state::Entry>& status, const state::Entry& spec, TimeMs now_ms);
  std::vector<deployment::ServiceTask> tasks_of(const records::keys::ServicePath& path, const Service& work) const;
  std::vector<placement::SubnetUse> subnets_of(const records::keys::TaskPath& path,
                                               const records::TaskSpec& spec) const;
  std::shared_ptr<const records::TaskDefinition> definition(const records::Scope& scope, const std::string& family,
                                                            int64_t revision) const;
  void wake_those_who_wait_for_room();
  void note(std::string_view name) const { rare(settings_.rare, name); }
  state::Durability stop_durability() const;

  state::Store& store_;
  records::TaskIndex& index_;
  Random& random_;
  const Settings settings_;
  std::vector<state::WatchId> watches_;
  Retention retention_;

  std::set<std::string> dirty_tasks_;  // "<account>/<region>/<cluster>/<id>"
  std::map<std::string, Service> dirty_services_;
  std::map<std::string, Waiting> waiting_for_room_;  // services
  int64_t reserved_mib_ = 0;                         // at the last look
  uint64_t times_given_back_ = 0;
  bool room_to_give_ = false;  // perhaps not all of what was given back is taken again
  std::unordered_map<std::string, TimeMs> wake_;
  std::priority_queue<Timer, std::vector<Timer>, std::greater<>> timers_;
  uint64_t decisions_ = 0;
};

}  // namespace berth::control
