// All tasks of this machine. Orders come from the state thread and are carried out on the agent's own; reports go back.
//
// At start, before any order: what supervisors left in task directories is matched with what the state knows.
//   task known, supervisor alive            adopted; it never noticed
//   task known, supervisor dead or rebooted it stops with a reason; control replaces it
//   task known, nothing begun here          it begins (also where only its launch had been prepared)
//   directory of a task nobody knows        killed and taken away
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "agent/apply/host_machine.h"
#include "agent/apply/order.h"
#include "agent/apply/task.h"
#include "agent/event_loop.h"
#include "agent/supervise/supervisors.h"

namespace berth::agent {

class Agent final : public OrderSink, public SupervisorEvents {
 public:
  // Everything is borrowed and outlives it. `report` is called on the agent's thread.
  Agent(EventLoop& loop, Task::Report report) : loop_(loop), report_(std::move(report)) {}
  // Once, before any order; apart from the constructor because supervisors report to this object.
  void use(HostMachine& machine, Supervisors& supervisors) { machine_ = &machine, supervisors_ = &supervisors; }

  void adopt(std::vector<Assignment> assignments) override;
  void order(Assignment assignment) override;
  void over(const records::keys::TaskPath& path) override;
  void forget(const records::keys::TaskPath& path) override;
  void resync() override;

  void fact(const std::string& task_id, const taskdir::Fact& fact) override;
  void executed(const std::string& task_id, const taskdir::Reply& reply) override;
  void gone(const std::string& task_id, const std::string& reason) override;

 private:
  std::shared_ptr<Task> make(Assignment assignment);
  void adopt_now(std::vector<Assignment> assignments);
  void take(Assignment assignment);

  EventLoop& loop_;
  Task::Report report_;
  HostMachine* machine_ = nullptr;
  Supervisors* supervisors_ = nullptr;
  std::map<std::string, std::shared_ptr<Task>> tasks_;  // by task id
};

}  // namespace berth::agent
