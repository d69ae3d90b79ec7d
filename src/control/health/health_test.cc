#include "control/health/health.h"

#include <gtest/gtest.h>

namespace berth::control::health {
namespace {

using records::Health;

struct One {
  bool essential, checked;
  Health verdict;
};

TEST(Health, CountsEssentialContainersWithACheckOnly) {
  constexpr Health kUnknown = Health::unknown, kHealthy = Health::healthy, kUnhealthy = Health::unhealthy;
  struct Case {
    std::vector<One> containers;
    bool has_check;
    Health health;
  };
  const Case cases[] = {
      {{{true, false, kUnknown}}, false, kUnknown},
      {{{true, true, kHealthy}}, true, kHealthy},
      {{{true, true, kUnknown}, {true, true, kHealthy}}, true, kUnknown},
      {{{true, true, kUnhealthy}, {true, true, kUnknown}}, true, kUnhealthy},
      {{{true, true, kHealthy}, {true, false, kUnknown}}, true, kHealthy},
      {{{true, true, kHealthy}, {false, true, kUnhealthy}}, true, kHealthy},
      {{{true, false, kUnknown}, {false, true, kUnhealthy}}, false, kUnknown},
  };
  for (const Case& c : cases) {
    records::TaskDefinition definition;
    records::TaskObserved observed;
    for (const One& one : c.containers) {
      records::ContainerDefinition container;
      container.name = std::to_string(definition.containers.size());
      container.essential = one.essential;
      if (one.checked) container.health_check.emplace();
      records::ContainerObserved seen;
      seen.name = container.name;
      seen.health = one.verdict;
      definition.containers.push_back(container);
      observed.containers.push_back(seen);
    }
    EXPECT_EQ(has_check(definition), c.has_check);
    EXPECT_EQ(of_task(definition, observed), c.health);
  }
}

TEST(Health, IsUnknownBeforeAnythingIsSeen) {
  records::TaskDefinition definition;
  definition.containers.resize(1);
  definition.containers[0].health_check.emplace();
  EXPECT_EQ(of_task(definition, {}), Health::unknown);
}

}  // namespace
}  // namespace berth::control::health
