// What the agent is told of one task: all that it needs, as immutable values, so that it never reads the store.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/network/network.h"
#include "records/keys.h"
#include "records/network.h"
#include "records/task.h"
#include "records/task_definition.h"

namespace berth::agent {

struct TaskOrder {
  records::keys::TaskPath path;
  std::shared_ptr<const records::TaskSpec> spec;
  std::shared_ptr<const records::TaskDefinition> definition;
  std::shared_ptr<const records::TaskStatus> status;
  std::shared_ptr<const records::TaskObserved> observed;  // what was written last; null for a task not seen yet
  std::shared_ptr<const records::Interface> interface;    // what network it has; its VPC was told to this host before
  std::map<std::string, std::string> log_directories;     // container → its stream's directory, where it has logs
  std::string failure;                                    // not empty: it cannot start, and this is its reason
};

// Takes orders on the state thread and must not block it.
class OrderSink {
 public:
  virtual ~OrderSink() = default;
  // All tasks that are not over, once, before anything else: what is on the machine and not among them is nobody's.
  virtual void adopt(std::vector<TaskOrder> orders) = 0;
  // The latest order counts; earlier ones need not have been carried out.
  virtual void order(TaskOrder order) = 0;
  // The task is STOPPED: nothing more will be asked or said of it.
  virtual void over(const records::keys::TaskPath& path) = 0;
  // The task's record is gone: what was kept for `berth logs` may go too.
  virtual void forget(const records::keys::TaskPath& path) = 0;
  // Writes were rolled back: report everything again.
  virtual void resync() = 0;
};

}  // namespace berth::agent
