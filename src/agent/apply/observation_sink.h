// What the agent saw, written into its tasks' records: the only writer of TaskObserved. State thread, of the process that
// decides; an agent on another machine reaches it by way of that.
#pragma once

#include <string>

#include "records/keys.h"
#include "records/task.h"
#include "state/store.h"

namespace berth::agent {

class ObservationSink {
 public:
  // The store is borrowed and outlives it. `epoch`: of the host when its agent was registered.
  ObservationSink(state::Store& store, int64_t epoch) : store_(store), epoch_(epoch) {}

  // Not written where the task's record is gone or nothing changed.
  void write(const records::keys::TaskPath& path, records::TaskObserved observed);

 private:
  state::Store& store_;
  const int64_t epoch_;
};

}  // namespace berth::agent
