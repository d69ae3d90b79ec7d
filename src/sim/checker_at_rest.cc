// What must be true when nothing goes wrong any more.
#include <fmt/format.h>

#include <algorithm>

#include "records/names.h"
#include "sim/checker.h"
#include "sim/workload.h"

namespace berth::sim {

using records::DesiredStatus;
using records::Rollout;
using records::TaskState;

bool Checker::is_bad(const Task& task) const {
  if (!task.spec || task.spec->service.empty()) return false;
  const auto service = services_.find(task.spec->service);
  if (service == services_.end() || !service->second.status || service->second.status->deployments.empty())
    return false;
  return !is_good(service->second.status->deployments.front().revision.revision);
}

// Its service would replace it, were it not that its deployment has failed or its check is not to count yet.
bool Checker::is_left_ill(const Task& task) const {
  if (!task.live() || task.status->state != TaskState::running || task.status->health != records::Health::unhealthy)
    return false;
  const auto found = services_.find(task.spec->service);
  if (found == services_.end() || !found->second.status || found->second.status->deployments.empty()) return false;
  return is_good(task.spec->revision) && found->second.status->deployments.front().rollout != Rollout::failed;
}

bool Checker::told(const Service& service, const std::string& text) const {
  return std::any_of(service.events.begin(), service.events.end(),
                     [&](const auto& event) { return event.second->message.find(text) != std::string::npos; });
}

int64_t Checker::reserved_mib() const {
  int64_t sum = 0;
  for (const auto& [path, task] : tasks_)
    if (task.spec && !(task.status && task.status->state == TaskState::stopped) &&
        !(task.observed && task.observed->stopped))
      sum += task.spec->memory_mib;
  return sum;
}

// Of a bad revision: without a circuit breaker, and after a roll-back, it goes on trying; with one it has failed.
bool Checker::check_given_up(const std::string& name, const Service& service) {
  const records::Deployment& primary = service.status->deployments.front();
  if (is_good(primary.revision.revision)) return false;
  const bool watched = service.spec->deployment.circuit_breaker && primary.generation == service.status->generation;
  const bool starts = primary.revision.launch_type != "EC2" && !told(service, "was unable to");
  if (watched && starts && primary.rollout == Rollout::in_progress && never_runs(primary.revision.revision))
    violated(name + " is neither complete nor failed");
  return true;
}

// What was asked is there, or the service says why not.
void Checker::check_satisfied(const std::string& name, const Service& service, int64_t memory_mib) {
  if (!service.status || service.status->incarnation != service.spec->incarnation)
    return violated(name + " was never decided");
  const records::ServiceStatus& status = *service.status;
  const int live = count(name, [](const Task& task) { return task.live(); });
  if (service.spec->deleted_at_ms != 0) {
    if (status.status != "INACTIVE" || live > 0) violated(name + " was deleted and is not INACTIVE");
    return;
  }
  if (status.generation != service.spec->generation || status.deployments.empty())
    return violated(name + " has not taken over what was asked");
  const records::Deployment& primary = status.deployments.front();
  const int desired = service.desired();
  if (primary.rollout == Rollout::failed) {
    if (!told(service, "deployment failed: tasks failed to start.")) violated(name + " failed and does not say so");
    if (live > desired) violated(fmt::format("{} has {} tasks of {} wanted", name, live, desired));
    return;
  }
  const int healthy_current = count(name, [&](const Task& task) {
    return task.spec->started_by == primary.id && task.status && healthy(task, *task.status);
  });
  const bool satisfied = status.deployments.size() == 1 && live == desired && healthy_current == desired &&
                         primary.rollout == Rollout::completed && status.steady_announced;
  if (satisfied) return;
  if (desired > 0 && check_given_up(name, service)) return;
  const auto& bounds = service.spec->deployment;
  const int lower = (desired * bounds.minimum_healthy_percent + 99) / 100;
  const int upper = desired * bounds.maximum_percent / 100;
  if (desired > 0 && primary.revision.launch_type == "EC2") {
    if (!told(service, "No Container Instances were found in your cluster."))
      violated(name + " does not say why it runs nothing");
    return;
  }
  if (desired > 0 && upper <= lower && live >= upper && status.deployments.size() > 1) {
    if (!told(service, "was unable to stop or start tasks during a deployment"))
      violated(name + " does not say that its bounds leave no step");
    return;
  }
  if (desired > 0 && memory_mib - reserved_mib() < kTaskMemoryMib) {
    if (!told(service, "RESOURCE:MEMORY")) violated(name + " does not say that memory is short");
    return;
  }
  violated(
      fmt::format("{} is not at rest: wanted {}, live {}, healthy of the PRIMARY {}, {} deployments, rollout {}, {}",
                  name, desired, live, healthy_current, status.deployments.size(), records::name_of(primary.rollout),
                  status.steady_announced ? "steady" : "not steady"));
}

void Checker::check_processes(const Machines& machines) {
  for (const auto& machine : machines)
    for (const auto& [process, times] : machine->processes())
      if (times > 1) violated(fmt::format("{} ran {} times", process, times));
}

void Checker::at_rest(const Machines& machines, TimeMs now_ms, int64_t memory_mib) {
  now_ = now_ms;
  check_processes(machines);
  check_interfaces();
  for (const auto& [name, service] : services_)
    if (service.spec) check_satisfied(name, service, memory_mib);
  for (const auto& [path, task] : tasks_) {
    if (!task.spec) violated("keys of a task without its spec: " + path);
    if (!task.status) {
      violated("a task was never decided: " + path);
      continue;
    }
    const bool bad_app = task.spec && !is_good(task.spec->revision);
    if (is_left_ill(task)) violated("unhealthy at rest: " + path);
    if (is_bad(task)) continue;  // on its way up or down, for ever
    int processes = 0;
    for (const auto& machine : machines) processes += machine->running(path);
    const bool running = task.status->state == TaskState::running && task.status->desired == DesiredStatus::running;
    const bool stopped = task.status->state == TaskState::stopped;
    if (!running && !stopped && !bad_app)
      violated(fmt::format("a task is {} at rest: {}", records::name_of(task.status->state), path));
    if (running && processes == 0) violated("RUNNING, and nothing of it runs: " + path);
    if (stopped && processes > 0) violated("STOPPED, and it runs: " + path);
    if (task.intent && !stopped) violated("the user stopped a task and it is not STOPPED: " + path);
  }
  for (const auto& machine : machines)
    for (const std::string& path : machine->tasks())
      if (machine->running(path) > 0 && !tasks_.contains(path)) violated("it runs and nobody knows of it: " + path);
}

void Checker::check_interfaces() {
  size_t placed = 0;
  for (const auto& [path, task] : tasks_) {
    if (!task.spec || task.spec->eni_id.empty() || !task.status || task.status->subnet_id.empty()) continue;
    if (task.status->state == TaskState::stopped) continue;
    ++placed;
    const auto has = [&](const auto& one) { return one.second == "task:" + path; };
    if (std::none_of(interfaces_.begin(), interfaces_.end(), has)) violated(path + " has no network interface");
  }
  if (placed != interfaces_.size())
    violated(fmt::format("{} network interfaces of {} tasks", interfaces_.size(), placed));
}

void Checker::at_the_end(const Machines& machines, TimeMs now_ms) {
  now_ = now_ms;
  check_processes(machines);
  check_interfaces();
  for (const auto& [path, task] : tasks_)
    if (task.status && task.status->state == TaskState::stopped && now_ms - task.status->stopped_at_ms > 3'600'000)
      violated("STOPPED for more than an hour and still there: " + path);
  for (const auto& [name, service] : services_) {
    if (!service.spec || service.spec->deleted_at_ms == 0) continue;
    if (!service.status || service.status->status != "INACTIVE") violated(name + " was deleted and is not INACTIVE");
    if (service.status && now_ms - service.status->inactive_at_ms > 3'600'000)
      violated(name + " is INACTIVE for more than an hour and still there");
  }
}

}  // namespace berth::sim
