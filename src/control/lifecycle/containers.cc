#include "control/lifecycle/containers.h"

#include <fmt/format.h>

#include <algorithm>

#include "records/names.h"

namespace berth::control::lifecycle {

using records::Condition;
using records::ContainerDefinition;
using records::ContainerObserved;

const ContainerObserved& Containers::seen(const std::string& name) const {
  static const ContainerObserved nothing;
  for (const ContainerObserved& container : observed_.containers)
    if (container.name == name) return container;
  return nothing;
}

const ContainerDefinition* Containers::definition(const std::string& name) const {
  for (const ContainerDefinition& container : definition_.containers)
    if (container.name == name) return &container;
  return nullptr;
}

bool Containers::started(const std::string& name) const { return seen(name).started_at_ms > 0; }

bool Containers::failed_to_start(const std::string& name) const {
  const ContainerObserved& container = seen(name);
  return !container.running && container.started_at_ms == 0 && !container.reason.empty();
}

bool Containers::exited(const std::string& name) const {
  if (failed_to_start(name)) return true;
  const ContainerObserved& container = seen(name);
  const auto ordered = status_.starts.find(name);
  if (ordered == status_.starts.end() || container.running || container.starts < ordered->second) return false;
  return container.exited_at_ms > 0 || container.exit_code.has_value() || !container.reason.empty();
}

bool Containers::may_restart(const ContainerDefinition& container) const {
  if (!container.restart_policy || !exited(container.name) || failed_to_start(container.name)) return false;
  const ContainerObserved& last = seen(container.name);
  const records::RestartPolicy& policy = *container.restart_policy;
  const auto& ignored = policy.ignored_exit_codes;
  if (last.exit_code && std::find(ignored.begin(), ignored.end(), *last.exit_code) != ignored.end()) return false;
  return last.exited_at_ms - last.started_at_ms >= int64_t{policy.attempt_period_s} * 1000;
}

Containers::Dependence Containers::one(const std::string& dependant, const records::Dependency& dependency) const {
  const ContainerDefinition* target = definition(dependency.container);
  const auto never = [&](std::string_view what) {
    return Dependence{Readiness::never,
                      fmt::format("TaskDependencyError: container {} cannot start: its dependency {} {}", dependant,
                                  dependency.container, what)};
  };
  if (!target) return never("is not in the task definition");
  if (failed_to_start(target->name)) return never("could not be started");
  const ContainerObserved& state = seen(target->name);
  const bool is_over = over(*target);
  switch (dependency.condition) {
    case Condition::start: return {started(target->name) ? Readiness::ready : Readiness::waiting};
    case Condition::complete:
      if (is_over) return {};
      break;
    case Condition::success:
      if (is_over && state.exit_code == 0) return {};
      if (is_over)
        return never(state.exit_code ? fmt::format("exited with code {}", *state.exit_code)
                                     : std::string("ended without an exit code"));
      break;
    case Condition::healthy:
      if (state.running && state.health == records::Health::healthy) return {};
      if (is_over) return never("exited before it was healthy");
      break;
  }
  Dependence waiting{Readiness::waiting};
  if (target->start_timeout_s && started(target->name)) {
    waiting.deadline_ms = state.started_at_ms + int64_t{*target->start_timeout_s} * 1000;
    waiting.deadline_why = fmt::format(
        "TaskDependencyError: container {} cannot start: its dependency {} did not reach {} within its "
        "startTimeout of "
        "{} seconds",
        dependant, dependency.container, records::name_of(dependency.condition), *target->start_timeout_s);
  }
  return waiting;
}

Containers::Dependence Containers::dependence(const ContainerDefinition& container) const {
  std::vector<records::Dependency> all = container.depends_on;
  for (const records::VolumeFrom& from : container.volumes_from) all.push_back({from.container, Condition::start});
  Dependence result;
  for (const records::Dependency& dependency : all) {
    Dependence next = one(container.name, dependency);
    if (next.readiness == Readiness::never) return next;
    if (next.readiness == Readiness::ready) continue;
    result.readiness = Readiness::waiting;
    if (next.deadline_ms != 0 && (result.deadline_ms == 0 || next.deadline_ms < result.deadline_ms)) {
      result.deadline_ms = next.deadline_ms;
      result.deadline_why = std::move(next.deadline_why);
    }
  }
  return result;
}

}  // namespace berth::control::lifecycle
