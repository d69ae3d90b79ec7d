#include "containers/containers.h"

#include <gtest/gtest.h>

#include <functional>

namespace berth::containers {
namespace {

using records::Condition;
using records::Health;

constexpr TimeMs kNow = 1'700'000'000'000;

// Containers taken through their lives by hand: change what is seen, ask, look.
class ContainersTest : public ::testing::Test {
 protected:
  ContainersTest() { add("app"); }
  records::ContainerDefinition& add(const std::string& name, bool essential = true) {
    definitions.emplace_back();
    definitions.back().name = name;
    definitions.back().essential = essential;
    observed.containers.emplace_back();
    observed.containers.back().name = name;
    ordered.push_back(0);
    return definitions.back();
  }
  size_t index(const std::string& name) const {
    for (size_t i = 0; i < definitions.size(); ++i)
      if (definitions[i].name == name) return i;
    return SIZE_MAX;
  }
  records::ContainerDefinition& definition(const std::string& name) { return definitions[index(name)]; }
  records::ContainerObserved& seen(const std::string& name) { return observed.containers[index(name)]; }
  void starts(const std::string& name) {
    auto& one = seen(name);
    ordered[index(name)] = ++one.starts;
    one.running = true;
    one.started_at_ms = now;
    one.exited_at_ms = 0;
    one.exit_code.reset();
  }
  void exits(const std::string& name, int code) {
    auto& one = seen(name);
    one.running = false;
    one.exited_at_ms = now;
    one.exit_code = code;
  }
  void cannot_start(const std::string& name) {
    ordered[index(name)] = seen(name).starts + 1;
    seen(name).start_failed = true;
    seen(name).reason = "CannotStartContainerError: no such file";
  }
  void fresh() {
    for (auto& one : observed.containers) {
      const std::string name = one.name;
      one = {};
      one.name = name;
    }
    ordered.assign(ordered.size(), 0);
    now = kNow;
  }
  Next ask() { return next(definitions, observed, ordered, now); }
  std::vector<std::string> may_start() {
    std::vector<std::string> out;
    for (const size_t i : ask().start) out.push_back(definitions[i].name);
    return out;
  }

  TimeMs now = kNow;
  Definitions definitions;
  records::TaskObserved observed;
  std::vector<int> ordered;
};

using Names = std::vector<std::string>;

TEST_F(ContainersTest, AStartIsOrderedOnce) {
  add("side", false);
  EXPECT_EQ(may_start(), (Names{"app", "side"}));
  ordered = {1, 0};
  EXPECT_EQ(may_start(), Names{"side"}) << "the other is on its way";
  starts("app"), starts("side");
  EXPECT_EQ(may_start(), Names{});
  exits("side", 0);
  EXPECT_EQ(may_start(), Names{});
  EXPECT_FALSE(ask().ended_by);
}

TEST_F(ContainersTest, Dependencies) {
  struct Case {
    Condition condition;
    std::function<void()> then;
    bool starts;
    std::string never;
  };
  const Case cases[] = {
      {Condition::start, [&] {}, false, ""},
      {Condition::start, [&] { starts("init"); }, true, ""},
      {Condition::start, [&] { starts("init"), exits("init", 3); }, true, ""},
      {Condition::complete, [&] { starts("init"); }, false, ""},
      {Condition::complete, [&] { starts("init"), exits("init", 3); }, true, ""},
      {Condition::success, [&] { starts("init"), exits("init", 0); }, true, ""},
      {Condition::success, [&] { starts("init"), exits("init", 3); }, false, "init exited with code 3"},
      {Condition::success, [&] { starts("init"), exits("init", 3), seen("init").exit_code.reset(); }, false,
       "init ended without an exit code"},
      {Condition::healthy, [&] { starts("init"); }, false, ""},
      {Condition::healthy, [&] { starts("init"), seen("init").health = Health::unhealthy; }, false, ""},
      {Condition::healthy, [&] { starts("init"), seen("init").health = Health::healthy; }, true, ""},
      {Condition::healthy, [&] { starts("init"), exits("init", 0); }, false, "init exited before it was healthy"},
      {Condition::start, [&] { cannot_start("init"); }, false, "init could not be started"},
      {Condition::complete, [&] { cannot_start("init"); }, false, "init could not be started"},
  };
  add("init", false);
  for (const Case& c : cases) {
    definition("app").depends_on = {{"init", c.condition}};
    fresh();
    EXPECT_EQ(may_start(), Names{"init"});
    c.then();
    const Next next = ask();
    EXPECT_EQ(next.start.size(), c.starts ? 1u : seen("init").starts == 0 && c.never.empty() ? 1u : 0u);
    EXPECT_EQ(next.failures.size(), c.never.empty() ? 0u : 1u) << c.never;
    if (next.failures.empty()) continue;
    EXPECT_EQ(next.failures[0].container, index("app"));
    EXPECT_FALSE(next.failures[0].timed_out);
    EXPECT_EQ(next.failures[0].reason,
              "CannotStartContainerError: dependency graph: failed to resolve container ordering dependency [init] for "
              "target [app]: " +
                  c.never);
  }
}

TEST_F(ContainersTest, WhatIsGivenUpTakesItsDependantsAndAnEssentialOneTheTask) {
  add("init", false);
  add("last", false).depends_on = {{"side", Condition::start}};
  add("side", false).depends_on = {{"init", Condition::success}};
  starts("app"), starts("init"), exits("init", 1);
  for (const char* name : {"side", "last"}) {
    const Next next = ask();
    ASSERT_EQ(next.failures.size(), 1u);
    EXPECT_EQ(next.failures[0].container, index(name));
    give_up(seen(name), next.failures[0].reason, now);
    EXPECT_EQ(seen(name).exit_code, 143);
    EXPECT_EQ(seen(name).exited_at_ms, now);
  }
  EXPECT_TRUE(ask().failures.empty());
  EXPECT_FALSE(ask().ended_by) << "neither is essential";
  definition("side").essential = true;
  EXPECT_EQ(ask().ended_by, index("side"));
}

TEST_F(ContainersTest, OneThatCannotStartEndsTheTaskIfItIsEssential) {
  add("side", false);
  for (const bool has_policy : {false, true}) {
    fresh();
    if (has_policy) definition("side").restart_policy = definition("app").restart_policy = {{}, 60};
    starts("app");
    cannot_start("side");
    EXPECT_FALSE(ask().ended_by);
    EXPECT_EQ(may_start(), Names{}) << "it is not tried again";
    fresh();
    starts("side");
    cannot_start("app");
    EXPECT_EQ(ask().ended_by, index("app"));
  }
}

TEST_F(ContainersTest, VolumesFromImplyAStart) {
  add("data", false);
  definition("app").volumes_from = {{"data", false}};
  EXPECT_EQ(may_start(), Names{"data"});
  starts("data");
  EXPECT_EQ(may_start(), Names{"app"});
}

TEST_F(ContainersTest, StartTimeoutEndsTheWaiting) {
  add("base").start_timeout_s = 5;
  definition("app").depends_on = {{"base", Condition::healthy}};
  starts("base");
  EXPECT_EQ(ask().wake_at_ms, now + 5000);
  now += 4999;
  EXPECT_TRUE(ask().failures.empty());
  now += 1;
  ASSERT_EQ(ask().failures.size(), 1u);
  EXPECT_TRUE(ask().failures[0].timed_out);
  EXPECT_EQ(ask().failures[0].reason,
            "CannotStartContainerError: dependency graph: container ordering dependency [base] for target [app] has "
            "timed out: base did not reach HEALTHY within its startTimeout of 5 seconds");
}

TEST_F(ContainersTest, RestartPolicy) {
  struct Case {
    int64_t ran_ms;
    int code;
    bool restarts;
  };
  definition("app").restart_policy = {{42}, 60};
  for (const Case& c :
       {Case{60'000, 1, true}, Case{59'999, 1, false}, Case{60'000, 42, false}, Case{90'000, 0, true}}) {
    fresh();
    starts("app");
    now += c.ran_ms;
    exits("app", c.code);
    EXPECT_EQ(may_start(), c.restarts ? Names{"app"} : Names{});
    EXPECT_EQ(ask().ended_by.has_value(), !c.restarts);
    if (!c.restarts) continue;
    ordered[0] = 2;
    EXPECT_EQ(may_start(), Names{}) << "an ordered restart is ordered once";
    cannot_start("app");
    EXPECT_EQ(ask().ended_by, 0u);
  }
}

TEST_F(ContainersTest, DependantsStopFirst) {
  add("base");
  add("other");
  definition("app").depends_on = {{"base", Condition::start}};
  definition("other").volumes_from = {{"base", true}};
  EXPECT_EQ(dependants_of(definition("base"), definitions), (std::vector<uint32_t>{0, 2}));
  EXPECT_EQ(dependants_of(definition("app"), definitions), std::vector<uint32_t>{});
}

}  // namespace
}  // namespace berth::containers
