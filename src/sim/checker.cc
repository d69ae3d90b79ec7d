#include "sim/checker.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <utility>

#include "records/host.h"
#include "records/keys.h"
#include "records/names.h"
#include "records/network.h"
#include "records/read.h"
#include "sim/workload.h"

namespace berth::sim {

namespace keys = records::keys;
using records::Condition;
using records::DesiredStatus;
using records::Health;
using records::Rollout;
using records::StopCode;
using records::TaskState;
using records::TaskStatus;

namespace {

// The wait doubles from 1 s, so 6 rounds in the first minute of a deployment, and as many again where a
// circuit breaker goes back; tasks of one round that fail apart, and those that a crash or a fault of the
// machine ends, add some.
constexpr size_t kFailingRoundsAMinuteMax = 20;

// The ids in "(service X) <what> N <…>: (task a) (task b)."; absent where the message says something else.
std::optional<std::set<std::string>> tasks_told(const std::string& message, std::string_view what) {
  const size_t at = message.find(") ");
  if (at == std::string::npos || !std::string_view(message).substr(at + 2).starts_with(what)) return std::nullopt;
  std::set<std::string> ids;
  for (size_t task = message.find("(task "); task != std::string::npos; task = message.find("(task ", task + 1))
    ids.insert(message.substr(task + 6, message.find(')', task) - task - 6));
  const size_t count = at + 2 + what.size();
  if (std::atoi(message.c_str() + count) != static_cast<int>(ids.size())) ids.insert("as many as it says");
  return ids;
}

}  // namespace

void Checker::attach(state::Store& store) {
  tasks_.clear();
  services_.clear();
  definitions_.clear();
  interfaces_.clear();
  epochs_.clear();
  store.add_index("ecs/", this);
  store.add_index(std::string(keys::kHost), this);
  store.add_index("ec2/interface/", this);
}

void Checker::changed(const std::string& key, const state::ValuePtr& before, const state::ValuePtr& after) {
  const auto take = [&]<class T>(std::shared_ptr<const T>& slot) {
    slot = after ? records::decoded<T>(after) : nullptr;
  };
  const auto is = [&](std::string_view kind) { return key.starts_with(kind); };
  if (is(keys::kHost)) {
    epochs_[key.substr(keys::kHost.size())] = after ? records::decoded<records::Host>(after)->epoch : 0;
    return;
  }
  if (is("ecs/taskdef/")) {
    const auto definition = after ? records::decoded<records::TaskDefinition>(after) : nullptr;
    if (definition) definitions_[definition->revision] = definition;
    return;
  }
  if (is("ec2/interface/")) return interface_changed(before, after);
  if (is(keys::kServiceEvent)) return event_changed(key, after);
  if (is(keys::kServiceSpec) || is(keys::kServiceStatus)) {
    Service& service = services_[key.substr(key.rfind('/') + 1)];
    if (is(keys::kServiceSpec)) {
      failing_starts_.erase(key.substr(key.rfind('/') + 1));
      return take(service.spec);
    }
    take(service.status);
    const std::string name = key.substr(key.rfind('/') + 1);
    touched_services_.insert(name);
    const auto fresh = std::exchange(service.fresh, {});
    if (!in_control_ || !service.status || !service.spec) return;
    const auto old = before ? records::decoded<records::ServiceStatus>(before) : nullptr;
    const auto* comparable = old && old->incarnation == service.status->incarnation ? old.get() : nullptr;
    check_told(name, service, fresh);
    check_completed(name, service, comparable);
    return;
  }
  for (std::string_view kind : {keys::kTaskSpec, keys::kTaskIntent, keys::kTaskStatus, keys::kTaskObserved}) {
    if (!is(kind)) continue;
    const std::string path = key.substr(kind.size());
    Task& task = tasks_[path];
    if (kind == keys::kTaskIntent) take(task.intent);
    if (kind == keys::kTaskObserved) take(task.observed);
    if (kind == keys::kTaskSpec) {
      take(task.spec);
      if (in_control_ && after && !task.spec->service.empty()) {
        ++started_[task.spec->service];
        to_be_told_started_[task.spec->service].insert(path.substr(path.rfind('/') + 1));
        if (never_runs(task.spec->revision)) failing_starts_[task.spec->service].insert(now_);
      }
    }
    if (kind == keys::kTaskStatus) {
      const auto old = before ? records::decoded<TaskStatus>(before) : nullptr;
      take(task.status);
      if (in_control_ && task.status) status_changed(path, old.get(), *task.status);
    }
    if (task.empty()) tasks_.erase(path);
  }
}

// An address is one task's, from its placement until nothing of the task is left.
void Checker::interface_changed(const state::ValuePtr& before, const state::ValuePtr& after) {
  if (before) interfaces_.erase(records::decoded<records::Interface>(before)->address);
  if (!after) return;
  const auto interface = records::decoded<records::Interface>(after);
  const auto [holder, is_new] = interfaces_.emplace(interface->address, interface->owner);
  if (!is_new) violated(fmt::format("{} has the address of {}", interface->owner, holder->second));
}

const records::TaskDefinition* Checker::definition(const Task& task) const {
  const auto found = task.spec ? definitions_.find(task.spec->revision) : definitions_.end();
  return found == definitions_.end() ? nullptr : found->second.get();
}

bool Checker::healthy(const Task& task, const TaskStatus& status) const {
  if (status.state != TaskState::running || status.desired != DesiredStatus::running) return false;
  const records::TaskDefinition* app = definition(task);
  const bool checked = app && std::any_of(app->containers.begin(), app->containers.end(),
                                          [](const auto& c) { return c.essential && c.health_check; });
  return !checked || status.health == Health::healthy;
}

int Checker::count(const std::string& service, const std::function<bool(const Task&)>& predicate) const {
  return static_cast<int>(std::count_if(tasks_.begin(), tasks_.end(), [&](const auto& entry) {
    return entry.second.spec && entry.second.spec->service == service && predicate(entry.second);
  }));
}

void Checker::before_control(TimeMs now_ms) {
  now_ = now_ms;
  in_control_ = true;
  started_.clear();
  stopped_healthy_.clear();
  touched_services_.clear();
  to_be_told_started_.clear();
  to_be_told_stopped_.clear();
}

void Checker::after_control(bool finished) {
  in_control_ = false;
  for (const auto& [service, count] : started_) check_maximum(service), check_held_back(service);
  for (const auto& [service, count] : stopped_healthy_) check_minimum(service);
  for (const std::string& name : touched_services_) check_service(name, services_[name], finished);
}

void Checker::status_changed(const std::string& path, const TaskStatus* before, const TaskStatus& after) {
  const Task& task = tasks_[path];
  if (!task.spec) return violated("control writes the status of a task that has no spec: " + path);
  check_status(path, before, after);
  const bool decided_now = after.desired == DesiredStatus::stopped && !(before && before->desired == after.desired);
  if (!decided_now) return;
  const bool by_health = after.stopped_reason == "Task failed container health checks";
  if (after.stop_code == StopCode::task_failed_to_start || after.stop_code == StopCode::essential_container_exited ||
      by_health)
    failures_[task.spec->started_by].insert(path);
  if (after.stop_code == StopCode::service_scheduler_initiated)
    to_be_told_stopped_[task.spec->service].insert(path.substr(path.rfind('/') + 1));
  if (before && healthy(task, *before) && after.stop_code == StopCode::service_scheduler_initiated)
    ++stopped_healthy_[task.spec->service];
  // A bug may stop without a code: that a healthy task of a service went without one is found as unexplained.
}

void Checker::check_status(const std::string& path, const TaskStatus* before, const TaskStatus& after) {
  const Task& task = tasks_[path];
  if (before) {
    if (after.state < before->state) violated("a task's state goes back: " + path);
    if (before->desired == DesiredStatus::stopped && after.desired == DesiredStatus::running)
      violated("a task that was to stop is to run again: " + path);
    if (after.order < before->order) violated("an order is taken back: " + path);
    TaskStatus uncounted = after;  // that a failure is counted is nobody's news
    uncounted.failure_counted = before->failure_counted;
    if (uncounted != *before && after.version <= before->version) violated("a change without a new version: " + path);
  }
  if (after.started_at_ms != 0 && after.started_at_ms < task.spec->created_at_ms)
    violated("started before it was made: " + path);
  if (after.stopped_at_ms != 0 && after.stopped_at_ms < after.stopping_at_ms)
    violated("stopped before it was stopping: " + path);
  check_explained(path, task, after);
  const records::TaskDefinition* app = definition(task);
  if (after.state == TaskState::running && after.desired == DesiredStatus::running && app) {
    for (const records::ContainerDefinition& container : app->containers) {
      const auto& seen = task.observed ? task.observed->containers : std::vector<records::ContainerObserved>{};
      const bool ran = std::any_of(seen.begin(), seen.end(), [&](const auto& c) {
        return c.name == container.name && (c.started_at_ms > 0 || (!container.essential && !c.reason.empty()));
      });
      if (!ran) violated(fmt::format("RUNNING although container {} has not started: {}", container.name, path));
    }
  }
  // Of a host that was given up nobody says that.
  if (after.state == TaskState::stopped && after.order != records::Order::none &&
      epochs_[after.host] <= after.host_epoch &&
      !(task.observed && task.observed->stopped && task.observed->released))
    violated("STOPPED although the agent has not given back what it held: " + path);
}

// Every stopped task says why, and the reason fits the code.
void Checker::check_explained(const std::string& path, const Task& task, const TaskStatus& status) {
  const bool stopping = status.desired == DesiredStatus::stopped || status.state >= TaskState::deactivating;
  if (!stopping) {
    if (status.stop_code != StopCode::none) violated("a running task has a stop code: " + path);
    return;
  }
  if (status.stop_code == StopCode::none || status.stopped_reason.empty())
    return violated("a task stops without a reason: " + path);
  const std::string& why = status.stopped_reason;
  switch (status.stop_code) {
    case StopCode::user_initiated:
      if (!task.intent || task.intent->reason != why) violated("UserInitiated without the user: " + path);
      break;
    case StopCode::service_scheduler_initiated:
      if (task.spec->service.empty()) violated("ServiceSchedulerInitiated for a standalone task: " + path);
      if (!why.starts_with("Scaling activity initiated by (deployment ecs-svc/") &&
          why != "Task failed container health checks")
        violated("unknown reason of the scheduler: " + why);
      break;
    case StopCode::essential_container_exited:
      if (status.started_at_ms == 0 && why != "Essential container in task exited")
        violated("EssentialContainerExited before the task ran: " + path);
      break;
    case StopCode::task_failed_to_start:
      if (why.find("Error: ") == std::string::npos) violated("TaskFailedToStart without an error: " + why);
      break;
    case StopCode::termination_notice:
      if (why != "ECS is performing maintenance on the underlying infrastructure hosting the task." ||
          epochs_[status.host] <= status.host_epoch)
        violated("TerminationNotice without its host's end: " + path);
      break;
    default: violated("a stop code that nothing here causes: " + path);
  }
}

bool Checker::met(const records::TaskObserved& observed, const records::Dependency& dependency) {
  for (const records::ContainerObserved& seen : observed.containers) {
    if (seen.name != dependency.container) continue;
    const bool over = !seen.running && seen.exited_at_ms > 0;
    switch (dependency.condition) {
      case Condition::start: return seen.started_at_ms > 0;
      case Condition::complete: return over;
      case Condition::success: return over && seen.exit_code == 0;
      case Condition::healthy: return seen.running && seen.health == Health::healthy;
    }
  }
  return false;
}

// First starts wait for dependencies; later ones are restarts that the policy allows.
void Checker::check_starts(const std::vector<agent_simulated::Machine::Start>& starts) {
  for (const auto& [path, index, seen] : starts) {
    const auto task = tasks_.find(path);
    const records::TaskDefinition* app = task == tasks_.end() ? nullptr : definition(task->second);
    if (!app) continue;  // power loss has taken its records
    const records::ContainerDefinition& container = app->containers[index];
    const records::ContainerObserved& before = seen.containers[index];
    if (before.running || before.start_failed)
      violated(fmt::format("container {} starts while it runs or cannot start: {}", container.name, path));
    for (const auto& other : app->containers)
      for (const auto& ended : seen.containers)
        if (ended.name == other.name && other.essential && !other.restart_policy && ended.exited_at_ms > 0)
          violated(fmt::format("container {} starts after an essential one has ended: {}", container.name, path));
    if (before.starts == 0) {
      for (const records::Dependency& dependency : container.depends_on)
        if (!met(seen, dependency))
          violated(fmt::format("container {} starts before {}: {}", container.name, dependency.container, path));
      continue;
    }
    if (!container.restart_policy)
      violated(fmt::format("container {} starts again: {}", container.name, path));
    else if (before.exited_at_ms - before.started_at_ms < int64_t{container.restart_policy->attempt_period_s} * 1000)
      violated(fmt::format("container {} restarts although it ran too short: {}", container.name, path));
  }
}

void Checker::check_maximum(const std::string& name) {
  const Service& service = services_[name];
  if (!service.spec) return violated("a task of a service that does not exist: " + name);
  const int limit = service.desired() * service.spec->deployment.maximum_percent / 100;  // rounded down
  const int live = count(name, [](const Task& task) { return task.live(); });
  if (live > limit) violated(fmt::format("{} has {} tasks where maximumPercent allows {}", name, live, limit));
}

// Tasks that keep failing are started ever more seldom.
void Checker::check_held_back(const std::string& name) {
  auto& starts = failing_starts_[name];
  starts.erase(starts.begin(), starts.lower_bound(now_ - 60'000));
  const auto limit = kFailingRoundsAMinuteMax * static_cast<size_t>(std::max(services_[name].desired(), 1));
  if (starts.size() > limit)
    violated(fmt::format("{} started {} tasks in a minute although they keep failing", name, starts.size()));
}

void Checker::check_minimum(const std::string& name) {
  const Service& service = services_[name];
  if (!service.spec || service.spec->deleted_at_ms != 0) return;
  const int percent = service.spec->deployment.minimum_healthy_percent;
  const int limit = (service.desired() * percent + 99) / 100;  // rounded up
  const int left = count(name, [&](const Task& task) { return task.status && healthy(task, *task.status); });
  if (left < limit)
    violated(fmt::format("{} stopped healthy tasks: {} are left where minimumHealthyPercent asks for {}", name, left,
                         limit));
}

// Each start and stop is told once, with the truth, in the transaction that decides it; and steady is what is steady.
void Checker::event_changed(const std::string& key, const state::ValuePtr& after) {
  Service& service = services_[keys::service_path(key.substr(0, key.rfind('/'))).name];  // without its number
  if (after) {
    service.events[key] = records::decoded<records::ServiceEvent>(after);
    service.fresh.insert(key);
  } else {
    service.events.erase(key);
    service.fresh.erase(key);
  }
}

void Checker::check_told(const std::string& name, const Service& service, const std::set<std::string>& fresh) {
  std::set<std::string> started, stopped;
  bool steady = false;
  for (const std::string& key : fresh) {
    const records::ServiceEvent& event = *service.events.at(key);
    if (const auto ids = tasks_told(event.message, "has started ")) started.insert(ids->begin(), ids->end());
    if (const auto ids = tasks_told(event.message, "has stopped ")) stopped.insert(ids->begin(), ids->end());
    steady |= event.message.ends_with("has reached a steady state.");
  }
  if (started != std::exchange(to_be_told_started_[name], {})) violated(name + ": an event tells of other starts");
  if (stopped != std::exchange(to_be_told_stopped_[name], {})) violated(name + ": an event tells of other stops");
  if (!steady) return;
  const int live = count(name, [](const Task& task) { return task.live(); });
  const int well = count(name, [&](const Task& task) { return task.status && healthy(task, *task.status); });
  if (live != service.desired() || well != live)
    violated(
        fmt::format("{} says that it is steady: wanted {}, live {}, healthy {}", name, service.desired(), live, well));
}

// Where a circuit breaker watches, tasks that cannot stay up complete nothing.
void Checker::check_completed(const std::string& name, const Service& service, const records::ServiceStatus* before) {
  const auto& deployments = service.status->deployments;
  if (deployments.empty() || deployments.front().rollout != Rollout::completed || !before) return;
  const bool just_now = before->deployments.empty() || before->deployments.front().id != deployments.front().id ||
                        before->deployments.front().rollout != Rollout::completed;
  if (just_now && service.spec->deployment.circuit_breaker && service.desired() > 0 &&
      never_runs(deployments.front().revision.revision))
    violated(name + ": a deployment is complete although its tasks cannot stay up");
}

void Checker::check_service(const std::string& name, const Service& service, bool finished) {
  if (!service.status || !service.spec) return;
  const records::ServiceStatus& status = *service.status;
  if (service.events.size() > 100) violated(name + " has more than 100 events");
  TimeMs latest = 0;
  for (const auto& [key, event] : service.events) {
    if (event->created_at_ms < latest) violated(name + ": events out of order");
    latest = event->created_at_ms;
  }
  for (size_t i = 0; i < status.deployments.size(); ++i)
    if (status.deployments[i].primary != (i == 0))
      violated(name + " has not exactly one PRIMARY deployment, the first");
  if (status.deployments.empty()) return;
  const records::Deployment& primary = status.deployments.front();
  const int failed = static_cast<int>(failures_[primary.id].size());
  if (primary.failed_tasks > failed)
    violated(fmt::format("{} counts {} failed tasks of {} that failed", name, primary.failed_tasks, failed));
  const int threshold = std::min(std::max((service.desired() + 1) / 2, 3), 200);
  const bool rolling_back = primary.generation != status.generation;
  if (finished && service.spec->deployment.circuit_breaker && service.spec->generation == status.generation &&
      service.spec->deleted_at_ms == 0 && primary.rollout == Rollout::in_progress && !rolling_back &&
      primary.failed_tasks >= threshold)
    violated(fmt::format("{}: {} failures and the circuit breaker has not tripped", name, primary.failed_tasks));
}

}  // namespace berth::sim
