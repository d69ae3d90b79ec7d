#include "control/lifecycle/lifecycle.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/limits.h"
#include "containers/containers.h"
#include "control/health/health.h"

namespace berth::control::lifecycle {
namespace {

using containers::Containers;
using records::ContainerDefinition;
using records::DesiredStatus;
using records::Order;
using records::StopCode;
using records::TaskObserved;
using records::TaskState;
using records::TaskStatus;

constexpr const char* kEssentialExited = "Essential container in task exited";
constexpr const char* kHostLost =
    "ECS is performing maintenance on the underlying infrastructure hosting the task.";
constexpr const char* kNoCapacity =
    "Capacity is unavailable at this time. Please try again later or in a different availability zone";

void earliest(TimeMs& at, TimeMs candidate) {
  if (candidate != 0 && (at == 0 || candidate < at)) at = candidate;
}

// A failure may quote what a registry or a runtime has said. Cut between two characters of UTF-8.
std::string within_bound(std::string reason) {
  size_t end = limits::kStoppedReasonBytesMax;
  if (reason.size() <= end) return reason;
  while (end > 0 && (static_cast<unsigned char>(reason[end]) & 0xC0) == 0x80) --end;
  reason.resize(end);
  return reason;
}

std::string no_network(const std::string& why) {
  return "ResourceInitializationError: unable to create the task's network: " + why;
}

// One decision, step by step; `status_` is what the plan will say if it differs from what was.
class Decision {
 public:
  Decision(const TaskSnapshot& task, TimeMs now, Random& random, const Settings& settings)
      : task_(task), now_(now), random_(random), settings_(settings) {
    static const TaskObserved nothing;
    observed_ = task.observed ? task.observed : &nothing;
    if (task.status) status_ = *task.status;
    // Of an agent that did not know yet that its host had been given up.
    if (observed_->epoch != 0 && observed_->epoch < status_.host_epoch) observed_ = &nothing;
  }

  TaskPlan run() {
    if (task_.status && status_.state == TaskState::stopped) return stopped();
    if (status_.order != Order::none && task_.host_epoch > status_.host_epoch) return host_lost();
    if (!task_.status) place();
    if (status_.desired == DesiredStatus::running) asked_to_stop();
    if (status_.desired == DesiredStatus::running) advance();
    if (status_.desired == DesiredStatus::stopped) wind_down();
    return finish();
  }

 private:
  void note(std::string_view name) const { rare(settings_.rare, name); }

  void stop(StopCode code, std::string reason) { status_ = stopping(status_, code, std::move(reason), now_); }

  TaskPlan stopped() {
    TaskPlan plan;
    const TimeMs until = status_.stopped_at_ms + settings_.stopped_kept_ms;
    plan.erase = now_ >= until && settings_.bug != PlantedBug::never_erase;
    if (now_ < until) plan.wake_at_ms = until;
    return plan;
  }

  // Nobody will ever say what became of it, so nobody is waited for. What its host still runs of it ends when the host comes
  // back and finds no order for it.
  TaskPlan host_lost() {
    note("host was given up");
    stop(StopCode::termination_notice, kHostLost);
    status_.order = Order::stop;
    forward(TaskState::stopped);
    status_.stopped_at_ms = now_;
    if (status_.execution_stopped_at_ms == 0) status_.execution_stopped_at_ms = now_;
    return finish();
  }

  // The first status: where it runs, and the order to run it.
  void place() {
    status_.version = 0;
    if (!task_.definition)
      return stop(StopCode::task_failed_to_start, "ResourceInitializationError: its task definition is gone");
    if (!task_.definition->not_served.empty())
      return stop(StopCode::task_failed_to_start, "ResourceInitializationError: " + task_.definition->not_served);
    if (task_.intent) return;  // asked to stop before it was placed
    if (!task_.public_address_free)
      return stop(StopCode::task_failed_to_start, no_network("no public address is free"));
    if (!task_.cannot_run.empty()) return stop(StopCode::task_failed_to_start, task_.cannot_run);
    const placement::HostRoom* host = placement::choose_host(task_.hosts, random_);
    if (!host) return stop(StopCode::task_failed_to_start, kNoCapacity);
    status_.host = host->id;
    status_.host_epoch = host->epoch;
    if (const placement::SubnetUse* subnet = placement::choose_subnet(task_.subnets, random_)) {
      status_.subnet_id = subnet->id;
      status_.availability_zone = subnet->availability_zone;
    } else if (!task_.full_subnet.empty()) {
      return stop(StopCode::task_failed_to_start,
                  no_network(fmt::format("subnet {} has no free address", task_.full_subnet)));
    } else if (task_.definition->network_mode == "awsvpc") {
      return stop(StopCode::task_failed_to_start, "ResourceInitializationError: none of its subnets exists any more");
    }
    status_.order = Order::run;
  }

  void asked_to_stop() {
    if (!task_.intent) return;
    if (status_.order == Order::none) note("stopped before it was placed");
    stop(StopCode::user_initiated, task_.intent->reason);
  }

  // From order=run to RUNNING, and as long as it runs.
  void advance() {
    if (!task_.definition)  // it is kept for as long as a task names it, so only a store that lost it gets here
      return stop(StopCode::task_failed_to_start, "ResourceInitializationError: its task definition is gone");
    if (!observed_->failure.empty()) return stop_for_failure(observed_->failure);
    const Containers containers(task_.definition->containers, *observed_);
    reach_running(containers);
    for (const ContainerDefinition& container : task_.definition->containers)
      if (containers.ends_task(container)) return stop_for_exit(containers, container);
    if (observed_->stopped) return stop_for_failure("TaskVanishedError: the agent found nothing of the task running");
    status_.health = health::of_task(*task_.definition, *observed_);
  }

  void stop_for_failure(const std::string& failure) {
    note(status_.started_at_ms == 0 ? "failed before it ran" : "failed while it ran");
    stop(status_.started_at_ms == 0 ? StopCode::task_failed_to_start : StopCode::essential_container_exited, failure);
  }

  void stop_for_exit(const Containers& containers, const ContainerDefinition& container) {
    if (status_.started_at_ms == 0 && containers.failed_to_start(container.name)) {
      note("essential container could not be started");
      return stop(StopCode::task_failed_to_start, containers.seen(container.name).reason);
    }
    stop(StopCode::essential_container_exited, kEssentialExited);
  }

  void forward(TaskState state) { status_.state = std::max(status_.state, state); }

  void reach_running(const Containers& containers) {
    if (!observed_->address.empty() || observed_->pull_started_at_ms != 0 || observed_->provisioned)
      forward(TaskState::pending);
    bool any = false, all = true;
    TimeMs last_start = 0;
    for (const ContainerDefinition& container : task_.definition->containers) {
      const bool started = containers.started(container.name);
      any |= started;
      // One that is not essential and cannot be started does not keep the others from running.
      all &= started || (!container.essential && containers.failed_to_start(container.name));
      last_start = std::max(last_start, containers.seen(container.name).started_at_ms);
    }
    if (settings_.bug == PlantedBug::running_before_all_started && observed_->provisioned) any = all = true;
    if (any) forward(TaskState::activating);
    if (!all || !any || status_.state >= TaskState::running) return;
    forward(TaskState::running);
    status_.started_at_ms = last_start > 0 ? std::min(last_start, now_) : now_;
  }

  void wind_down() {
    if (status_.order == Order::none) {  // no agent has heard of it
      status_.state = TaskState::stopped;
      status_.stopped_at_ms = now_;
      return;
    }
    note_execution_stopped();
    if (observed_->stopped) {
      forward(TaskState::deprovisioning);
      if (status_.execution_stopped_at_ms == 0)
        status_.execution_stopped_at_ms = observed_->stopped_at_ms ? observed_->stopped_at_ms : now_;
    }
    if (observed_->stopped && observed_->released) {
      forward(TaskState::stopped);
      status_.stopped_at_ms = now_;
    }
  }

  // executionStoppedAt is when the first essential container ended.
  void note_execution_stopped() {
    if (status_.execution_stopped_at_ms != 0 || !task_.definition) return;
    const Containers containers(task_.definition->containers, *observed_);
    for (const ContainerDefinition& container : task_.definition->containers)
      if (container.essential && containers.exited(container.name))
        earliest(status_.execution_stopped_at_ms, containers.seen(container.name).exited_at_ms);
  }

  TaskPlan finish() {
    if (settings_.bug == PlantedBug::stop_without_a_reason && status_.desired == DesiredStatus::stopped) {
      status_.stop_code = StopCode::none;
      status_.stopped_reason.clear();
    }
    if (settings_.bug == PlantedBug::forget_to_stop && status_.order == Order::stop) status_.order = Order::run;
    TaskPlan plan;
    if (status_.state == TaskState::stopped) plan.wake_at_ms = status_.stopped_at_ms + settings_.stopped_kept_ms;
    const bool first = !task_.status;
    if (!first && status_ == *task_.status) return plan;
    if (first || settings_.bug != PlantedBug::version_stands_still) ++status_.version;
    plan.status = std::move(status_);
    return plan;
  }

  const TaskSnapshot& task_;
  const TimeMs now_;
  Random& random_;
  const Settings& settings_;
  const TaskObserved* observed_;
  TaskStatus status_;
};

}  // namespace

TaskStatus stopping(const TaskStatus& status, StopCode code, std::string reason, TimeMs now_ms) {
  TaskStatus next = status;
  if (next.desired == DesiredStatus::stopped) return next;
  next.desired = DesiredStatus::stopped;
  next.stop_code = code;
  next.stopped_reason = within_bound(std::move(reason));
  next.stopping_at_ms = now_ms;
  if (next.order == Order::run) {
    next.order = Order::stop;
    next.state = std::max(next.state, TaskState::stopping);
  }
  return next;
}

TaskPlan decide(const TaskSnapshot& task, TimeMs now_ms, Random& random, const Settings& settings) {
  return Decision(task, now_ms, random, settings).run();
}

}  // namespace berth::control::lifecycle
