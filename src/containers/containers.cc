#include "containers/containers.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"
#include "records/names.h"

namespace berth::containers {

using records::Condition;
using records::ContainerDefinition;
using records::ContainerObserved;

namespace {

// What ECS's agent reports of a start that came to nothing as docker would tell it of a process that got SIGTERM.
constexpr int kNeverStartedExitCode = 143;

}  // namespace

const ContainerObserved& Containers::seen(const std::string& name) const {
  static const ContainerObserved nothing;
  for (const ContainerObserved& container : observed_.containers)
    if (container.name == name) return container;
  return nothing;
}

const ContainerDefinition* Containers::definition(const std::string& name) const {
  for (const ContainerDefinition& container : definitions_)
    if (container.name == name) return &container;
  return nullptr;
}

bool Containers::failed_to_start(const std::string& name) const {
  const ContainerObserved& container = seen(name);
  if (container.running) return false;
  return container.start_failed || (container.started_at_ms == 0 && !container.reason.empty());
}

bool Containers::exited(const std::string& name) const {
  if (failed_to_start(name)) return true;
  const ContainerObserved& container = seen(name);
  return container.started_at_ms > 0 && !container.running;
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
                      fmt::format("CannotStartContainerError: dependency graph: failed to resolve container ordering "
                                  "dependency [{0}] for target [{1}]: {0} {2}",
                                  dependency.container, dependant, what)};
  };
  if (!target) return never("is not in the task definition");
  if (failed_to_start(target->name) && !started(target->name)) return never("could not be started");
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
        "CannotStartContainerError: dependency graph: container ordering dependency [{0}] for target [{1}] has timed "
        "out: {0} did not reach {2} within its startTimeout of {3} seconds",
        dependency.container, dependant, records::name_of(dependency.condition), *target->start_timeout_s);
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

Next next(const Definitions& definitions, const records::TaskObserved& observed, const std::vector<int>& ordered,
          TimeMs now_ms) {
  BERTH_ASSERT(ordered.size() == definitions.size() && observed.containers.size() == definitions.size());
  const Containers containers(definitions, observed);
  Next out;
  for (size_t i = 0; i < definitions.size(); ++i) {
    const ContainerDefinition& container = definitions[i];
    const ContainerObserved& seen = observed.containers[i];
    const bool failed = containers.failed_to_start(container.name);
    if (seen.running || (ordered[i] > seen.starts && !failed)) continue;
    if (containers.ends_task(container)) {
      out = {};
      out.ended_by = i;
      return out;
    }
    if (failed) continue;
    if (containers.started(container.name)) {
      if (containers.may_restart(container)) out.start.push_back(i);
      continue;
    }
    auto dependence = containers.dependence(container);
    if (dependence.readiness == Containers::Readiness::ready) {
      out.start.push_back(i);
    } else if (dependence.readiness == Containers::Readiness::never) {
      out.failures.push_back({i, std::move(dependence.why), false});
    } else if (dependence.deadline_ms != 0 && dependence.deadline_ms <= now_ms) {
      out.failures.push_back({i, std::move(dependence.deadline_why), true});
    } else if (dependence.deadline_ms != 0 && (out.wake_at_ms == 0 || dependence.deadline_ms < out.wake_at_ms)) {
      out.wake_at_ms = dependence.deadline_ms;
    }
  }
  return out;
}

void give_up(ContainerObserved& container, std::string reason, TimeMs now_ms) {
  container.start_failed = true;
  container.exit_code = kNeverStartedExitCode;
  container.exited_at_ms = now_ms;
  container.reason = std::move(reason);
}

std::vector<uint32_t> dependants_of(const ContainerDefinition& target, const Definitions& all) {
  std::vector<uint32_t> out;
  for (uint32_t i = 0; i < all.size(); ++i) {
    const bool depends = std::any_of(all[i].depends_on.begin(), all[i].depends_on.end(),
                                     [&](const records::Dependency& d) { return d.container == target.name; }) ||
                         std::any_of(all[i].volumes_from.begin(), all[i].volumes_from.end(),
                                     [&](const records::VolumeFrom& v) { return v.container == target.name; });
    if (depends) out.push_back(i);
  }
  return out;
}

}  // namespace berth::containers
