#include "agent_simulated/machine.h"

#include <fmt/format.h>

#include <algorithm>

#include "containers/containers.h"

namespace berth::agent_simulated {

using records::ContainerObserved;
using records::Health;

namespace {

void earliest(TimeMs& at, TimeMs candidate) {
  if (candidate != 0 && (at == 0 || candidate < at)) at = candidate;
}
bool is_due(TimeMs at, TimeMs now) { return at != 0 && at <= now; }

}  // namespace

int64_t Machine::pick(Conduct::Range range) {
  if (range.max_ms <= range.min_ms) return range.min_ms;
  return range.min_ms + static_cast<int64_t>(random_.below(static_cast<uint64_t>(range.max_ms - range.min_ms + 1)));
}

void Machine::create(const std::string& path, Task& task, TimeMs now_ms) {
  int64_t slowest_pull = 0;
  for (const records::ContainerDefinition& definition : task.order->containers) {
    Container container{&definition, script_of(definition)};
    slowest_pull = std::max(slowest_pull, container.script.pull_ms);
    task.pull_fails |= container.script.pull_fails;
    task.containers.push_back(container);
    ContainerObserved seen;
    seen.name = definition.name;
    seen.runtime_id =
        fmt::format("{}-{:010}", path.substr(path.rfind('/') + 1), random_.below(uint64_t{10'000'000'000}));
    task.observed.containers.push_back(std::move(seen));
  }
  task.ordered.assign(task.containers.size(), 0);
  task.pull_fails |= happens(conduct_.pull_fails);
  ++addresses_;
  task.observed.address = task.order->interface.address;
  if (task.observed.address.empty())
    task.observed.address = fmt::format("172.31.{}.{}", addresses_ / 250 % 256, addresses_ % 250 + 4);
  task.observed.mac = task.order->interface.mac;
  if (task.observed.mac.empty()) task.observed.mac = fmt::format("02:00:ac:1f:{:02x}:{:02x}", addresses_ / 250 % 256, addresses_ % 250 + 4);
  task.observed.connectivity_at_ms = task.observed.pull_started_at_ms = now_ms;
  task.provisioned_at_ms = now_ms + pick(conduct_.pull) + slowest_pull;
  if (happens(conduct_.supervisor_lost)) task.lost_at_ms = task.provisioned_at_ms + pick(conduct_.crash_within);
  changed_.insert(path);
}

void Machine::order_run(const std::string& path, std::shared_ptr<const records::TaskOrder> order, TimeMs now_ms) {
  const auto [found, is_new] = tasks_.try_emplace(path);
  Task& task = found->second;
  if (is_new) {
    task.order = std::move(order);
    create(path, task, now_ms);
  }
  schedule(path, task);
}

void Machine::order_stop(const std::string& path, TimeMs now_ms) {
  const auto found = tasks_.find(path);
  if (found == tasks_.end()) return;
  stop_all(found->second, now_ms);
  schedule(path, found->second);
}

void Machine::forget(const std::string& path) {
  tasks_.erase(path);
  if (const auto at = due_of_.find(path); at != due_of_.end()) {
    due_.erase({at->second, path});
    due_of_.erase(at);
  }
}

void Machine::reboot(TimeMs now_ms) {
  for (auto& [path, task] : tasks_) {
    if (!task.observed.stopped) fail(task, "TaskVanishedError: the machine restarted while the task ran", now_ms);
    schedule(path, task);
    changed_.insert(path);
  }
}

bool Machine::turn_unhealthy(TimeMs now_ms) {
  bool any = false;
  for (auto& [path, task] : tasks_) {
    for (size_t i = 0; i < task.containers.size(); ++i) {
      Container& container = task.containers[i];
      if (!task.observed.containers[i].running || task.stop || !container.definition->health_check) continue;
      container.healthy_at_ms = 0;
      container.unhealthy_at_ms = now_ms;
      any = true;
    }
    schedule(path, task);
  }
  return any;
}

const records::TaskObserved* Machine::observed(const std::string& path) const {
  const auto found = tasks_.find(path);
  return found == tasks_.end() ? nullptr : &found->second.observed;
}

std::vector<std::string> Machine::tasks() const {
  std::vector<std::string> paths;
  for (const auto& [path, task] : tasks_) paths.push_back(path);
  return paths;
}

int Machine::running(const std::string& path) const {
  const auto found = tasks_.find(path);
  if (found == tasks_.end()) return 0;
  const auto& containers = found->second.observed.containers;
  return static_cast<int>(std::count_if(containers.begin(), containers.end(), [](const auto& c) { return c.running; }));
}

void Machine::advance(TimeMs now_ms) {
  while (!due_.empty() && due_.begin()->first <= now_ms) {
    const std::string path = due_.begin()->second;
    Task& task = tasks_.at(path);
    while (step(path, task, now_ms)) changed_.insert(path);
    schedule(path, task);
  }
}

std::optional<TimeMs> Machine::next() const {
  if (due_.empty()) return std::nullopt;
  return due_.begin()->first;
}

// When something next happens to the task; 0: only when it is ordered to.
TimeMs Machine::due(const Task& task) const {
  TimeMs at = 0;
  if (task.observed.stopped) return task.observed.released ? 0 : task.release_at_ms;
  earliest(at, task.lost_at_ms);
  if (!task.observed.provisioned) {
    earliest(at, task.provisioned_at_ms);
    return at;
  }
  if (!task.stop) earliest(at, task.decide_at_ms);
  for (size_t i = 0; i < task.containers.size(); ++i) {
    const Container& container = task.containers[i];
    const ContainerObserved& seen = task.observed.containers[i];
    if (!seen.running) {
      if (!task.stop) earliest(at, container.start_at_ms);
      continue;
    }
    earliest(at, container.exit_at_ms);
    earliest(at, container.healthy_at_ms);
    earliest(at, container.unhealthy_at_ms);
  }
  return at;
}

void Machine::schedule(const std::string& path, const Task& task) {
  const TimeMs at = due(task);
  TimeMs& known = due_of_[path];
  if (known == at && at != 0) return;
  if (known != 0) due_.erase({known, path});
  known = at;
  if (at != 0) due_.insert({at, path});
  if (at == 0) due_of_.erase(path);
}

bool Machine::step(const std::string& path, Task& task, TimeMs now_ms) {
  records::TaskObserved& observed = task.observed;
  if (observed.stopped) {
    if (observed.released || !is_due(task.release_at_ms, now_ms)) return false;
    return observed.released = true;
  }
  if (is_due(task.lost_at_ms, now_ms)) {
    task.lost_at_ms = 0;
    fail(task, "TaskVanishedError: the task's supervisor ended unexpectedly", now_ms);
    return true;
  }
  if (!observed.provisioned) {
    if (!is_due(task.provisioned_at_ms, now_ms)) return false;
    observed.pull_stopped_at_ms = now_ms;
    if (task.pull_fails)
      fail(task, "CannotPullContainerError: the image was not found (simulated)", now_ms);
    else
      observed.provisioned = true;
    return true;
  }
  if (!task.stop && decide(path, task, now_ms)) return true;
  for (size_t i = 0; i < task.containers.size(); ++i)
    if (step_container(path, task, i, now_ms)) return true;
  return false;
}

// True: something is to be told.
bool Machine::decide(const std::string& path, Task& task, TimeMs now_ms) {
  const auto next = containers::next(task.order->containers, task.observed, task.ordered, now_ms);
  task.decide_at_ms = next.wake_at_ms;
  for (const auto& failure : next.failures) {
    rare(rare_, failure.timed_out ? "dependency missed its startTimeout" : "dependency can never be met");
    containers::give_up(task.observed.containers[failure.container], failure.reason, now_ms);
  }
  if (next.ended_by) {
    stop_all(task, now_ms);
    return true;
  }
  for (const size_t i : next.start) {
    if (task.observed.containers[i].starts > 0) rare(rare_, "container restarted by its policy");
    order_start(path, task, i, now_ms);
  }
  for (size_t i = 0; i < task.containers.size() && bug_ != PlantedBug::none; ++i) {
    const ContainerObserved& seen = task.observed.containers[i];
    if (seen.running || seen.start_failed || task.ordered[i] > seen.starts) continue;
    const bool again = bug_ == PlantedBug::restart_without_end && task.containers[i].definition->restart_policy;
    if (seen.starts == 0 ? bug_ == PlantedBug::ignore_dependencies : again) order_start(path, task, i, now_ms);
  }
  return !next.failures.empty();
}

void Machine::order_start(const std::string& path, Task& task, size_t i, TimeMs now_ms) {
  if (counts_) starts_.push_back({path, i, task.observed});
  task.ordered[i] = task.observed.containers[i].starts + 1;
  task.containers[i].start_at_ms = now_ms + pick(conduct_.start);
}

bool Machine::step_container(const std::string& path, Task& task, size_t i, TimeMs now_ms) {
  Container& container = task.containers[i];
  ContainerObserved& seen = task.observed.containers[i];
  if (!seen.running) {
    if (task.stop || !is_due(container.start_at_ms, now_ms)) return false;
    container.start_at_ms = 0;
    start(path, task, i, now_ms);
    return true;
  }
  if (is_due(container.exit_at_ms, now_ms)) {
    exit(task, i, now_ms);
    return true;
  }
  for (auto [at, verdict] : {std::pair(&container.healthy_at_ms, Health::healthy),
                             std::pair(&container.unhealthy_at_ms, Health::unhealthy)}) {
    if (!is_due(*at, now_ms)) continue;
    *at = 0;
    seen.health = verdict;
    seen.health_since_ms = now_ms;
    return true;
  }
  return false;
}

void Machine::start(const std::string& path, Task& task, size_t i, TimeMs now_ms) {
  Container& container = task.containers[i];
  ContainerObserved& seen = task.observed.containers[i];
  const Script& script = container.script;
  if (script.start_fails || happens(conduct_.start_fails)) {
    seen.start_failed = true;
    seen.reason = "CannotStartContainerError: no such file or directory (simulated)";
    seen.exited_at_ms = now_ms;
    return;
  }
  ++seen.starts;
  if (counts_) ++processes_[fmt::format("{}/{}#{}", path, seen.name, seen.starts)];
  seen.running = true;
  seen.started_at_ms = now_ms;
  seen.exited_at_ms = 0;
  seen.exit_code.reset();
  seen.reason.clear();
  seen.health = Health::unknown;
  container.exit_at_ms = container.healthy_at_ms = container.unhealthy_at_ms = 0;
  container.out_of_memory = false;
  if (script.exit_code) {
    container.exit_at_ms = now_ms + script.after_ms;
    container.exit_code = *script.exit_code;
    container.out_of_memory = script.out_of_memory;
  } else if (happens(conduct_.out_of_memory)) {
    container.exit_at_ms = now_ms + pick(conduct_.crash_within);
    container.exit_code = 137;
    container.out_of_memory = true;
  } else if (happens(conduct_.crashes)) {
    container.exit_at_ms = now_ms + pick(conduct_.crash_within);
    container.exit_code = static_cast<int>(random_.below(3));
  }
  if (!container.definition->health_check) return;
  container.healthy_at_ms = now_ms + script.healthy_ms;
  if (script.unhealthy_ms) container.unhealthy_at_ms = now_ms + *script.unhealthy_ms;
  if (happens(conduct_.turns_unhealthy)) container.unhealthy_at_ms = now_ms + pick(conduct_.crash_within);
}

void Machine::exit(Task& task, size_t i, TimeMs now_ms) {
  Container& container = task.containers[i];
  ContainerObserved& seen = task.observed.containers[i];
  seen.running = false;
  seen.exited_at_ms = now_ms;
  seen.exit_code = container.exit_code;
  if (container.out_of_memory) seen.reason = "OutOfMemoryError: Container killed due to memory usage";
  container.exit_at_ms = container.healthy_at_ms = container.unhealthy_at_ms = 0;
  // The supervisor ends the rest by itself.
  if (task.stop || containers::always_ends_task(*container.definition)) stop_all(task, now_ms);
}

void Machine::stop_all(Task& task, TimeMs now_ms) {
  const bool first = !task.stop;
  task.stop = true;
  bool running = false;
  for (size_t i = 0; i < task.containers.size(); ++i) {
    Container& container = task.containers[i];
    if (!task.observed.containers[i].running) continue;
    running = true;
    if (!first) continue;
    const bool ignores = container.script.ignores_term;
    const TimeMs at = now_ms + (ignores ? int64_t{container.definition->stop_timeout_s} * 1000 : pick(conduct_.end));
    if (container.exit_at_ms != 0 && container.exit_at_ms <= at) continue;
    container.exit_at_ms = at;
    container.exit_code = ignores ? 137 : 143;
    container.out_of_memory = false;
  }
  if (running || task.observed.stopped) return;
  task.observed.stopped = true;
  task.observed.stopped_at_ms = now_ms;
  task.release_at_ms = now_ms + pick(conduct_.release);
}

void Machine::fail(Task& task, std::string failure, TimeMs now_ms) {
  task.observed.failure = std::move(failure);
  for (size_t i = 0; i < task.containers.size(); ++i) {
    ContainerObserved& seen = task.observed.containers[i];
    if (!seen.running) continue;
    seen.running = false;
    seen.exited_at_ms = now_ms;  // and no exit code: nobody has seen it
  }
  stop_all(task, now_ms);
}

}  // namespace berth::agent_simulated
