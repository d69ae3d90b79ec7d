// Orders of one host from the store to its machine, what the machine shows back to the store. Watches `host/<host>/` and is the
// only writer of its tasks' `ecs/task-observed/` and of its lease, as the real agent.
//
// Thread: the state thread. The driver calls run() after each settle() and at the latest when it said.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent_simulated/machine.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/rare.h"
#include "records/host.h"
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
  // Borrowed. Adopts what runs on the machine; ends what the store does not know. `host` as it was registered.
  Agent(state::Store& store, Machine& machine, Random& random, const records::Host& host, Faults faults = {});
  ~Agent();
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  // Other faults from now on. What was dropped before is looked at again.
  void set_faults(const Faults& faults) {
    faults_ = faults;
    look_at_all();
  }

  // Nothing goes between the store and the machine, on which everything goes on. Afterwards everything is looked at anew.
  void set_partitioned(bool partitioned);
  bool partitioned() const { return partitioned_; }
  int64_t epoch() const { return epoch_; }

  // Returns when to be called again without a change; absent: never.
  std::optional<TimeMs> run(TimeMs now_ms);

 private:
  void follow_keys(const std::string& prefix);
  void changed(const state::WatchBatch& batch);
  void take(const std::string& key, const state::ValuePtr& value, int64_t revision);
  void read_all();
  void look_at_all();
  void follow(const std::string& path, TimeMs now_ms);
  void vanished(const std::string& path, bool stop, int64_t revision, TimeMs now_ms);
  void report(const std::string& path, TimeMs now_ms);
  void write(const std::string& path, records::TaskObserved observed, bool twice);
  void renew_lease(TimeMs now_ms);
  bool happens(uint32_t in_thousand) { return in_thousand > 0 && random_.below(1000) < in_thousand; }

  state::Store& store_;
  Machine& machine_;
  Random& random_;
  Faults faults_;
  const std::string host_, orders_prefix_, stops_prefix_;
  const int64_t epoch_, lease_ms_;
  bool partitioned_ = false;
  std::vector<state::WatchId> watches_;
  // Committed orders: one that may yet be rolled back is not followed.
  struct Ordered {
    std::shared_ptr<const records::TaskOrder> order;  // null: it is over
    bool stop = false;
    int64_t revision = 0;
  };
  std::map<std::string, Ordered> ordered_;  // by path
  std::set<std::string> orders_;        // tasks whose orders have changed
  std::set<std::string> reports_;       // tasks to report whether the machine says that they changed or not
  std::map<std::string, TimeMs> late_;  // reports held back, until when
  TimeMs look_at_all_at_ms_ = 0;
  TimeMs renewed_at_ms_ = 0;
};

}  // namespace berth::agent_simulated
