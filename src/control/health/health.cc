#include "control/health/health.h"

#include <algorithm>

namespace berth::control::health {
namespace {

bool counts(const records::ContainerDefinition& container) {
  return container.essential && container.health_check.has_value();
}

records::Health of_container(const records::TaskObserved& observed, const std::string& name) {
  for (const records::ContainerObserved& container : observed.containers)
    if (container.name == name) return container.health;
  return records::Health::unknown;
}

}  // namespace

bool has_check(const records::TaskDefinition& definition) {
  return std::any_of(definition.containers.begin(), definition.containers.end(), counts);
}

records::Health of_task(const records::TaskDefinition& definition, const records::TaskObserved& observed) {
  if (!has_check(definition)) return records::Health::unknown;
  records::Health worst = records::Health::healthy;
  for (const records::ContainerDefinition& container : definition.containers) {
    if (!counts(container)) continue;
    const records::Health verdict = of_container(observed, container.name);
    if (verdict == records::Health::unhealthy) return verdict;
    if (verdict == records::Health::unknown) worst = verdict;
  }
  return worst;
}

}  // namespace berth::control::health
