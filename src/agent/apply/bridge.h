// The agent's half on the state thread: turns what control decided into orders, and what the agent saw into records.
// Writes TaskObserved, and for awslogs the log group (awslogs-create-group) and stream.
#pragma once

#include <functional>
#include <string>

#include "agent/apply/order.h"
#include "base/clock.h"
#include "base/random.h"
#include "records/keys.h"
#include "state/store.h"

namespace berth::agent {

class Bridge {
 public:
  // All are borrowed and outlive it.
  Bridge(state::Store& store, OrderSink& sink, const Clock& clock, Random& random, std::string logs_directory);
  ~Bridge();

  // Hands over what is there and follows what comes.
  void start();
  // What the agent saw of a task. Not written where the task's record is gone or nothing changed.
  void report(const records::keys::TaskPath& path, const records::TaskObserved& observed);

 private:
  void follow(state::Revision from);
  void relist();
  TaskOrder compose(const records::keys::TaskPath& path, std::shared_ptr<const records::TaskStatus> status);
  void find_network(TaskOrder& order) const;
  void find_logs(TaskOrder& order);
  Result<std::string> log_directory(const TaskOrder& order, const std::string& container, const records::AwsLogs& logs);

  state::Store& store_;
  OrderSink& sink_;
  const Clock& clock_;
  Random& random_;
  const std::string logs_directory_;
  state::WatchId watch_ = 0;
};

}  // namespace berth::agent
