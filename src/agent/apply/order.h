// What the agent is told of one task: all that it needs, as immutable values, so that it never reads the store.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "agent/network/network.h"
#include "records/host.h"
#include "records/keys.h"
#include "records/task.h"

namespace berth::agent {

struct Assignment {
  records::keys::TaskPath path;
  std::shared_ptr<const records::TaskOrder> order;
  std::shared_ptr<const records::TaskStop> stop;          // null: it is to run
  std::shared_ptr<const records::TaskObserved> observed;  // what was written last; null for a task not seen yet
  int64_t revision = 0;                                   // of the latest of order and stop
};

// Takes orders on the state thread and must not block it.
class OrderSink {
 public:
  virtual ~OrderSink() = default;
  // All tasks that are not over, once, before anything else: what is on the machine and not among them is nobody's.
  virtual void adopt(std::vector<Assignment> assignments) = 0;
  // A task that is known already has nothing new in it but, perhaps, its stop.
  virtual void order(Assignment assignment) = 0;
  // The task is STOPPED: nothing more will be asked or said of it.
  virtual void over(const records::keys::TaskPath& path) = 0;
  // The task's record is gone: what was kept for `berth logs` may go too.
  virtual void forget(const records::keys::TaskPath& path) = 0;
  // Writes were rolled back: report everything again.
  virtual void resync() = 0;
};

}  // namespace berth::agent
