#include "agent/apply/agent.h"

#include <fmt/format.h>

#include <set>

#include "base/log.h"

namespace berth::agent {

void Agent::fact(const std::string& task_id, const taskdir::Fact& fact) {
  if (const auto task = tasks_.find(task_id); task != tasks_.end()) task->second->fact(fact);
}

void Agent::executed(const std::string&, const taskdir::Reply& reply) { machine_->executed(reply); }

void Agent::gone(const std::string& task_id, const std::string& reason) {
  machine_->gone(task_id);
  if (const auto task = tasks_.find(task_id); task != tasks_.end())
    task->second->gone(reason);
  else
    supervisors_->remove(task_id);
}

void Agent::adopt(std::vector<Assignment> assignments) {
  loop_.post([this, all = std::move(assignments)]() mutable { adopt_now(std::move(all)); });
}

void Agent::order(Assignment assignment) {
  loop_.post([this, one = std::move(assignment)]() mutable { take(std::move(one)); });
}

void Agent::over(const records::keys::TaskPath& path) {
  loop_.post([this, id = path.id] { tasks_.erase(id); });
}

void Agent::forget(const records::keys::TaskPath& path) {
  loop_.post([this, id = path.id] {
    tasks_.erase(id);
    machine_->remove_own_logs(id);
  });
}

void Agent::resync() {
  loop_.post([this] {
    for (const auto& [id, task] : tasks_) task->report_again();
  });
}

std::shared_ptr<Task> Agent::make(Assignment assignment) {
  const std::string id = assignment.path.id;
  auto task = std::make_shared<Task>(*machine_, std::move(assignment), report_);
  tasks_.insert_or_assign(id, task);
  return task;
}

void Agent::take(Assignment assignment) {
  const auto known = tasks_.find(assignment.path.id);
  if (known == tasks_.end()) {
    make(std::move(assignment))->begin();
  } else {
    known->second->take(std::move(assignment));
  }
}

void Agent::adopt_now(std::vector<Assignment> assignments) {
  std::vector<std::shared_ptr<Task>> all, rest;
  std::vector<std::string> cgroups = machine_->cgroups();
  for (Assignment& assignment : assignments) {
    all.push_back(make(std::move(assignment)));
    all.back()->resume(machine_->observed_at_launch(all.back()->assignment().path.id));
  }
  supervisors_->adopt();
  for (const std::string& id : supervisors_->known()) {
    if (tasks_.contains(id)) continue;
    log_info("task {} runs on this machine and is in no record; it goes", id);
    machine_->stop(id, "no record of the task");
  }
  std::set<std::string> live;
  for (const auto& task : all) {
    live.insert(task->assignment().path.id);
    if (supervisors_->knows(task->assignment().path.id))
      task->resumed();
    else
      rest.push_back(make(task->assignment()));  // nothing of it is here, or its launch was only prepared
  }
  for (const auto& task : rest) {
    const auto& observed = task->assignment().observed;
    live.insert(task->assignment().path.id);
    if (observed && (observed->provisioned || observed->stopped))
      task->lost("ContainerRuntimeError: nothing of the task was left when the daemon started");
    else
      task->begin();
  }
  std::erase_if(cgroups, [&](const std::string& id) { return live.contains(id) || supervisors_->knows(id); });
  machine_->collect_cgroups(std::move(cgroups));
  machine_->collect_network(std::move(live));
}

}  // namespace berth::agent
