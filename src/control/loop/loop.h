// Watches what was asked and what was seen, lets controllers decide, and knows when it next has to act. The same
// object runs in the daemon and in the simulator.
//
//   changes ─watch─▶ agendas of controllers ─decide─▶ plans ─▶ store
//                        ▲                              │
//                        └────── timers ◀───────────────┘
//
// Controllers are asked in their order: the first one that has something to decide decides what it has, and then the loop begins
// at the first one again. So networks come before the tasks in them, and tasks before the services that made them.
//
// Thread: the state thread, all of it. The driver calls run() after each settle() and at the latest when it said.
//
// Plans are derived transactions (but the decision that a task stops, see settings.h) that carry what they read; one that meets a
// conflict is decided again. Status keys have no other writer, so they are not watched: after a failed commit every watch says
// `compacted`, and each controller begins again from what the store holds, as it does at start.
#pragma once

#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "control/loop/controller.h"
#include "control/loop/settings.h"
#include "state/store.h"

namespace berth::control {

class Loop {
 public:
  // The store is borrowed and outlives the loop. Begins with everything that the controllers find in it.
  Loop(state::Store& store, Settings settings, std::vector<std::unique_ptr<Controller>> controllers);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Decides what is dirty or due. Returns when to be called again without a change: absent for never,
  // `now_ms` or earlier for at once, after whatever else the state thread has to do.
  std::optional<TimeMs> run(TimeMs now_ms);

  uint64_t decisions() const { return decisions_; }  // since construction; for tests of cost

 private:
  class Entry;
  struct Timer {
    TimeMs at_ms;
    Entry* entry;
    std::string object;
    bool operator>(const Timer& other) const { return at_ms > other.at_ms; }
  };

  void watch(Entry& entry, std::string_view prefix);
  void take_due(TimeMs now_ms);
  Entry* next_with_work();
  void note(std::string_view name) const { rare(settings_.rare, name); }

  state::Store& store_;
  const Settings settings_;
  std::vector<state::WatchId> watches_;
  std::vector<std::unique_ptr<Entry>> entries_;
  std::priority_queue<Timer, std::vector<Timer>, std::greater<>> timers_;
  uint64_t decisions_ = 0;
};

}  // namespace berth::control
