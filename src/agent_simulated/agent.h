// Orders from the store to the machine, what the machine shows back to the store. Watches `ecs/task-status/`
// and is the only writer of `ecs/task-observed/`, as the real agent.
//
// Thread: the state thread. The driver calls run() after each settle() and at the latest when it said.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "agent_simulated/machine.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/rare.h"
#include "state/store.h"

namespace berth::agent_simulated {

// What may go wrong between the store and the machine. The default: nothing.
struct Faults {
  uint32_t drops = 0;       // in a thousand: an order is not noticed until the next look at everything
  uint32_t delays = 0;      // in a thousand: a report is written late
  uint32_t duplicates = 0;  // in a thousand: a report is written twice
  int64_t delay_max_ms = 3000;
  int64_t look_at_all_ms = 0;  // how often everything is looked at again; 0: never, for no order is dropped
  RareBranches* rare = nullptr;
  PlantedBug bug = PlantedBug::none;
};

class Agent {
 public:
  // Borrowed. Adopts what runs on the machine; ends what the store does not know.
  Agent(state::Store& store, Machine& machine, Random& random, Faults faults = {});
  ~Agent();
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  // Other faults from now on. What was dropped before is looked at again.
  void set_faults(const Faults& faults) {
    faults_ = faults;
    look_at_all();
  }

  // Returns when to be called again without a change; absent: never.
  std::optional<TimeMs> run(TimeMs now_ms);

 private:
  void on_status(const state::WatchBatch& batch);
  void read_all();
  void look_at_all();
  void follow(const std::string& path, TimeMs now_ms);
  void report(const std::string& path, TimeMs now_ms);
  bool happens(uint32_t in_thousand) { return in_thousand > 0 && random_.below(1000) < in_thousand; }

  state::Store& store_;
  Machine& machine_;
  Random& random_;
  Faults faults_;
  state::WatchId watch_ = 0;
  // Committed statuses: an order that may yet be rolled back is not followed.
  std::map<std::string, std::shared_ptr<const records::TaskStatus>> statuses_;
  std::set<std::string> orders_;        // tasks whose status has changed
  std::set<std::string> reports_;       // tasks to report whether the machine says that they changed or not
  std::map<std::string, TimeMs> late_;  // reports held back, until when
  TimeMs look_at_all_at_ms_ = 0;
};

}  // namespace berth::agent_simulated
