// What the tasks of a service tell: health, failures in a row, back-off, and the circuit breaker.
#include <fmt/format.h>

#include <algorithm>

#include "control/deployment/reconcile.h"
#include "control/health/health.h"

namespace berth::control::deployment {

using records::Deployment;
using records::DesiredStatus;
using records::Health;
using records::Rollout;
using records::StopCode;
using records::TaskState;
using records::TaskSummary;

namespace {
constexpr int kFailuresToTell = 3;  // in a row, before the service says that it cannot start tasks
}

// While a circuit breaker watches a deployment, a task without a check is healthy when it has outlived a short run: a
// program that crashes at once would otherwise complete the deployment in the moment that it ran, end the old tasks,
// and be what the next roll-back returns to.
bool Reconcile::is_healthy(const ServiceTask& of, bool current) {
  const TaskSummary& task = *of.summary;
  if (task.state != TaskState::running) return false;
  if (of.has_health_check) return task.health == Health::healthy;
  const bool watched = current && service_.spec.deployment.circuit_breaker &&
                       primary().rollout == Rollout::in_progress &&
                       settings_.bug != PlantedBug::completes_with_what_crashes;
  const TimeMs from =
      task.started_at_ms + std::max(settings_.healthy_after_running_ms, watched ? settings_.short_run_ms : int64_t{0});
  if (now_ >= from) return true;
  wake_at(from);
  return false;
}

// Also before it runs: a container that waits for one to be HEALTHY would wait for ever for one that is not.
bool Reconcile::is_unhealthy(const ServiceTask& of) {
  const TaskSummary& task = *of.summary;
  if (task.state > TaskState::running || task.health != Health::unhealthy) return false;
  const TimeMs started_at = task.started_at_ms != 0 ? task.started_at_ms : task.created_at_ms;
  const TimeMs from = started_at + int64_t{service_.spec.health_check_grace_period_s} * 1000;
  if (now_ >= from) return true;
  note("unhealthy within its grace period");
  wake_at(from);
  return false;
}

// Healthy by a check, or up for long enough; and started since the last failures: only such a task ends a row
// of them.
bool Reconcile::has_proved_itself(const Task& task) {
  if (!task.current || !task.healthy || task.summary->created_at_ms < status_.next_start_at_ms) return false;
  if (task.has_health_check) return true;
  const TimeMs from = task.summary->started_at_ms + settings_.short_run_ms;
  if (now_ >= from) return true;
  wake_at(from);
  return false;
}

void Reconcile::look_at_tasks() {
  for (const ServiceTask& of : service_.tasks) {
    const TaskSummary* summary = of.summary;
    if (summary->state == TaskState::stopped) continue;
    ++not_stopped_;
    if (summary->desired == DesiredStatus::stopped) continue;
    Task task{summary, of.has_health_check};
    task.current = summary->started_by == primary().id;
    task.healthy = is_healthy(of, task.current);
    task.unhealthy = is_unhealthy(of);
    tasks_.push_back(task);
  }
}

// Failures of tasks that ended by themselves. Those whose health check failed are counted when they are
// stopped.
void Reconcile::count_failures() {
  for (const ServiceTask& of : service_.tasks) {
    const TaskSummary* task = of.summary;
    if (task->desired != DesiredStatus::stopped || task->failure_counted) continue;
    if (task->stop_code != StopCode::task_failed_to_start && task->stop_code != StopCode::essential_container_exited)
      continue;
    // The transaction marks each task it counts: what it cannot hold waits for the next.
    if (static_cast<int>(plan_.counted.size()) >= settings_.writes_max) {
      plan_.again = true;
      return;
    }
    if (settings_.bug != PlantedBug::count_failures_twice) plan_.counted.push_back(task->path);
    status_.steady_announced = false;
    if (task->started_by != primary().id) continue;
    const bool never_ran = task->started_at_ms == 0;
    const bool short_run = !never_ran && task->stopping_at_ms - task->started_at_ms < settings_.short_run_ms;
    if (!never_ran && !short_run) continue;
    if (short_run) note("task ended soon after it ran");
    failed(primary(), never_ran || primary().rollout == Rollout::in_progress);
    back_off();
  }
}

void Reconcile::failed(Deployment& deployment, bool counts_for_breaker) {
  if (!counts_for_breaker) return;
  ++deployment.failed_tasks;
  deployment.updated_at_ms = now_;
}

// Tasks that were started together fail together: while starts are already held back, another failure of the
// same round does not lengthen the wait.
void Reconcile::back_off() {
  if (settings_.bug == PlantedBug::no_start_back_off) return;
  if (now_ < status_.next_start_at_ms) return note("failures of one round");
  ++status_.start_failures;
  status_.next_start_at_ms = now_ + back_off_ms(status_.start_failures, settings_);
  if (status_.start_failures >= kFailuresToTell)
    events_.tell_once(
        "is unable to consistently start tasks successfully. For more information, see the Troubleshooting "
        "section of "
        "the Amazon ECS Developer Guide.",
        settings_.event_repeat_ms);
}

void Reconcile::forget_failures() {
  if (status_.start_failures == 0 && primary().failed_tasks == 0) return;
  // A failure counted just now is younger than any task that has proved itself.
  if (!plan_.counted.empty()) return;
  const bool proved =
      std::any_of(tasks_.begin(), tasks_.end(), [&](const Task& task) { return has_proved_itself(task); });
  if (!proved) return;
  note("a healthy task ended a row of failures");
  status_.start_failures = 0;
  status_.next_start_at_ms = 0;
  primary().failed_tasks = 0;
}

void Reconcile::break_circuit() {
  const auto& configuration = service_.spec.deployment;
  Deployment& current = primary();
  if (!configuration.circuit_breaker || current.rollout != Rollout::in_progress) return;
  if (current.failed_tasks < breaker_threshold(desired_) || settings_.bug == PlantedBug::breaker_never_trips) return;
  // A roll-back is the last resort: it goes on trying, with back-off.
  if (is_roll_back(current)) return note("circuit breaker leaves a roll-back alone");
  current.rollout = Rollout::failed;
  current.rollout_reason = "ECS deployment circuit breaker: tasks failed to start.";
  current.updated_at_ms = now_;
  events_.tell(fmt::format("(deployment {}) deployment failed: tasks failed to start.", current.id));
  if (configuration.rollback && !status_.last_completed.empty()) {
    roll_back();
  } else {
    note("circuit breaker without a way back");
    if (configuration.rollback)
      events_.tell(fmt::format(
          "(deployment {}) is not rolled back: no deployment of the service has completed, so there is none to return to.",
          current.id));
  }
  plan_.again = true;  // what has been decided before in this plan was for a deployment in progress
}

// Back to the deployment that was complete, with the tasks that it still has; a new one of its revision where
// it is gone.
void Reconcile::roll_back() {
  auto& deployments = status_.deployments;
  deployments.front().primary = false;
  const auto complete = std::find_if(deployments.begin() + 1, deployments.end(),
                                     [](const Deployment& d) { return d.rollout == Rollout::completed; });
  Deployment next;
  if (complete != deployments.end()) {
    note("roll-back to a deployment that still has tasks");
    next = *complete;
    deployments.erase(complete);
  } else {
    note("roll-back to a revision without tasks");
    next.id = "ecs-svc/" + new_decimal_id(random_, 19);
    next.revision = status_.last_completed.front();
    next.created_at_ms = now_;
  }
  next.primary = true;
  next.generation = 0;  // of no spec: so a roll-back is told from what the user asked
  next.failed_tasks = 0;
  next.rollout = Rollout::in_progress;
  next.rollout_reason = fmt::format("ECS deployment circuit breaker: rolling back to deploymentId {}.", next.id);
  next.updated_at_ms = now_;
  events_.tell(fmt::format("rolling back to deployment {}.", next.id));
  deployments.insert(deployments.begin(), std::move(next));
  status_.start_failures = 0;
  status_.next_start_at_ms = 0;
  // What runs of the deployment that failed need not prove itself any more: it goes when something stands in for it.
  for (Task& task : tasks_) {
    task.current = task.summary->started_by == primary().id;
    task.healthy = is_healthy({task.summary, task.has_health_check}, task.current);
  }
  rolled_back_ = true;
}

}  // namespace berth::control::deployment
