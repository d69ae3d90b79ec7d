#include "control/deployment/reconcile.h"

#include <fmt/format.h>

#include <algorithm>

namespace berth::control::deployment {

using records::Deployment;
using records::Rollout;

namespace {
// A service made anew under an old name begins with nothing of its predecessor's.
records::ServiceStatus status_of_this_incarnation(const ServiceSnapshot& service) {
  if (!service.status || service.status->incarnation != service.spec.incarnation) return {};
  return *service.status;
}
}  // namespace

Reconcile::Reconcile(const ServiceSnapshot& service, TimeMs now_ms, Random& random, const Settings& settings)
    : service_(service),
      now_(now_ms),
      random_(random),
      settings_(settings),
      plan_{status_of_this_incarnation(service), service.events},
      status_(plan_.status),
      events_(plan_.events, service.path.name, now_ms, random) {
  status_.incarnation = service.spec.incarnation;
  desired_ = service.spec.scheduling_strategy == "DAEMON" ? 1 : service.spec.desired_count;
}

ServicePlan Reconcile::run() {
  if (status_.status == "INACTIVE") return std::move(plan_);
  take_over_spec();
  look_at_tasks();
  if (drain()) {
    tell_starts_and_stops();
    return std::move(plan_);
  }
  tell_what_does_nothing();
  count_failures();
  forget_failures();
  scale_in();
  replace_unhealthy();
  break_circuit();
  retire_old();
  start();
  tell_stuck();
  tell_starts_and_stops();
  settle_deployments();
  return std::move(plan_);
}

void Reconcile::wake_at(TimeMs at) {
  if (at != 0 && (plan_.wake_at_ms == 0 || at < plan_.wake_at_ms)) plan_.wake_at_ms = at;
}

// A percentage may say less than one task; rounding is AWS's: the lower bound up, the upper bound down.
int Reconcile::lower() const {
  const int64_t percent = service_.spec.deployment.minimum_healthy_percent;
  return static_cast<int>(std::min<int64_t>(desired_, (int64_t{desired_} * percent + 99) / 100));
}
int Reconcile::upper() const {
  // Both are whatever their users say; together they go beyond an int.
  const int64_t tasks = int64_t{desired_} * service_.spec.deployment.maximum_percent / 100;
  return static_cast<int>(std::min<int64_t>(tasks, INT32_MAX));
}

std::string Reconcile::scaling_reason() const {
  return fmt::format("Scaling activity initiated by (deployment {})", primary().id);
}

void Reconcile::take_over_spec() {
  const records::ServiceSpec& spec = service_.spec;
  if (!status_.deployments.empty() && status_.generation == spec.generation) return;
  for (Deployment& older : status_.deployments) older.primary = false;
  Deployment next;
  next.id = spec.deployment_id;
  next.generation = spec.generation;
  next.revision = spec.target;
  next.rollout_reason = fmt::format("ECS deployment {} in progress.", next.id);
  next.created_at_ms = next.updated_at_ms = spec.deployment_created_at_ms;
  status_.deployments.insert(status_.deployments.begin(), std::move(next));
  forget_kept_members();
  status_.generation = spec.generation;
  status_.start_failures = 0;
  status_.next_start_at_ms = 0;
  status_.steady_announced = false;
}

// Who updates a service again and again while tasks of every update are left has as many deployments, and a status
// has a bound: of the older ones only the one that a roll-back would return to keeps the members that nothing acts
// on.
void Reconcile::forget_kept_members() {
  constexpr size_t kWhole = 4;
  bool way_back = true;
  for (size_t i = 0; i < status_.deployments.size(); ++i) {
    Deployment& deployment = status_.deployments[i];
    const bool needed = way_back && deployment.rollout == Rollout::completed;
    if (needed) way_back = false;
    if (i >= kWhole && !needed) deployment.revision.kept.clear();
  }
}

// Settings that are kept and change nothing at run time: said once for each deployment that asks for them.
void Reconcile::tell_what_does_nothing() {
  const bool fresh = primary().generation == service_.spec.generation && primary().rollout == Rollout::in_progress;
  if (!fresh) return;
  if (primary().revision.kept.find("serviceConnectConfiguration") != std::string::npos)
    events_.tell_once("serviceConnectConfiguration is kept, and does nothing yet: its tasks are not proxied.",
                      settings_.event_repeat_ms);
  if (service_.spec.enable_execute_command)
    events_.tell_once("enableExecuteCommand is kept, and does nothing yet: ExecuteCommand is not served.",
                      settings_.event_repeat_ms);
}

// DeleteService: stop everything, then INACTIVE. True when the service is on its way out.
bool Reconcile::drain() {
  if (service_.spec.deleted_at_ms == 0 || settings_.bug == PlantedBug::never_drain_deleted) return false;
  status_.status = "DRAINING";
  for (Task& task : tasks_) {
    if (!stop(task, scaling_reason())) return true;
  }
  if (not_stopped_ > 0) return true;
  status_.status = "INACTIVE";
  status_.inactive_at_ms = now_;
  status_.deployments.clear();
  return true;
}

void Reconcile::tell_starts_and_stops() {
  std::vector<std::string> started;
  for (const TaskStart& start : plan_.starts) started.push_back(start.id);
  if (settings_.bug == PlantedBug::tells_what_it_did_not && !started.empty()) started.back() = new_hex_id(random_);
  if (!started.empty()) events_.tell(fmt::format("has started {} tasks: {}.", started.size(), Events::tasks(started)));
  if (!stopped_ids_.empty())
    events_.tell(fmt::format("has stopped {} running tasks: {}.", stopped_ids_.size(), Events::tasks(stopped_ids_)));
  if (!started.empty() || !stopped_ids_.empty()) status_.steady_announced = false;
}

// Which deployments there still are, whether the PRIMARY is complete, and whether the service is steady.
void Reconcile::settle_deployments() {
  auto& deployments = status_.deployments;
  const auto live_of = [&](const Deployment& deployment) {
    return count([&](const Task& task) { return task.summary->started_by == deployment.id; });
  };
  for (Deployment& deployment : deployments) {
    const int wanted = deployment.primary ? desired_ : live_of(deployment);
    if (deployment.desired_count != wanted) deployment.desired_count = wanted, deployment.updated_at_ms = now_;
  }
  const bool rolling_back = is_roll_back(primary()) && primary().rollout == Rollout::in_progress;
  std::erase_if(deployments, [&](const Deployment& deployment) {
    const bool shown = rolling_back && deployment.rollout == Rollout::failed;
    return !deployment.primary && live_of(deployment) == 0 && !shown;
  });

  const int short_by = settings_.bug == PlantedBug::one_task_short && desired_ > 1 ? 1 : 0;
  const int healthy = count([](const Task& task) { return task.current && task.healthy; });
  const bool all_there = plan_.starts.empty() && !plan_.again && healthy == desired_ - short_by && live() == healthy;
  if (!all_there) {
    status_.steady_announced = false;
    return;
  }
  Deployment& now_primary = primary();
  if (rolling_back && deployments.size() > 1) {
    // All that it returns to may still run: whoever polls for the end of the deployment is to see that it failed.
    const TimeMs shown_until = deployments[1].updated_at_ms + settings_.failed_shown_ms;
    if (now_ < shown_until) return wake_at(shown_until);
    deployments.resize(1);
  }
  if (now_primary.rollout == Rollout::in_progress) {
    now_primary.rollout = Rollout::completed;
    now_primary.rollout_reason = fmt::format("ECS deployment {} completed.", now_primary.id);
    now_primary.updated_at_ms = now_;
    status_.last_completed = {now_primary.revision};
    events_.tell(fmt::format("(deployment {}) deployment completed.", now_primary.id));
  }
  if (now_primary.rollout == Rollout::completed && !status_.steady_announced) {
    status_.steady_announced = true;
    events_.tell("has reached a steady state.");
  }
}

}  // namespace berth::control::deployment
