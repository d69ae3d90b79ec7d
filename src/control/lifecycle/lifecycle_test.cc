#include "control/lifecycle/lifecycle.h"

#include <gtest/gtest.h>

namespace berth::control::lifecycle {
namespace {

using records::Condition;
using records::DesiredStatus;
using records::Health;
using records::Order;
using records::StopCode;
using records::TaskState;

constexpr TimeMs kNow = 1'700'000'000'000;

// A task taken through its life by hand: change what is seen, decide, look.
class LifecycleTest : public ::testing::Test {
 protected:
  LifecycleTest() {
    definition.network_mode = "awsvpc";
    add("app");
    subnets = {{"subnet-1", "zone-a", 0}};
  }
  records::ContainerDefinition& add(const std::string& name, bool essential = true) {
    definition.containers.emplace_back();
    definition.containers.back().name = name;
    definition.containers.back().essential = essential;
    return definition.containers.back();
  }
  records::ContainerDefinition& container(const std::string& name) {
    for (auto& one : definition.containers)
      if (one.name == name) return one;
    return add(name);
  }
  records::ContainerObserved& seen(const std::string& name) {
    if (!observed) observed.emplace();
    for (auto& one : observed->containers)
      if (one.name == name) return one;
    observed->containers.emplace_back();
    observed->containers.back().name = name;
    return observed->containers.back();
  }
  void starts(const std::string& name) {
    auto& one = seen(name);
    ++one.starts;
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
  TaskPlan decide() {
    TaskSnapshot snapshot{path,
                          spec,
                          intent ? &*intent : nullptr,
                          status ? &*status : nullptr,
                          observed ? &*observed : nullptr,
                          has_definition ? &definition : nullptr,
                          subnets};
    TaskPlan plan = lifecycle::decide(snapshot, now, random, {});
    if (plan.status) status = plan.status;
    return plan;
  }
  void run() {
    decide();
    seen("app");
    observed->provisioned = true;
    observed->address = "172.31.0.4";
    for (const auto& one : definition.containers)
      if (status->starts.contains(one.name)) starts(one.name);
    decide();
  }

  TimeMs now = kNow;
  records::keys::TaskPath path{{"123456789012", "eu-central-1"}, "default", "id"};
  records::TaskSpec spec;
  records::TaskDefinition definition;
  bool has_definition = true;
  std::optional<records::TaskIntent> intent;
  std::optional<records::TaskStatus> status;
  std::optional<records::TaskObserved> observed;
  std::vector<placement::SubnetUse> subnets;
  Prng random{1};
};

TEST_F(LifecycleTest, GoesThroughItsStates) {
  container("side").depends_on = {{"app", Condition::start}};
  decide();
  EXPECT_EQ(status->state, TaskState::provisioning);
  EXPECT_EQ(status->version, 1);
  EXPECT_EQ(status->order, Order::run);
  EXPECT_EQ(status->starts, (std::map<std::string, int>{{"app", 1}}));
  observed.emplace().address = "172.31.0.4";
  decide();
  EXPECT_EQ(status->state, TaskState::pending);
  observed->provisioned = true;
  starts("app");
  decide();
  EXPECT_EQ(status->state, TaskState::activating);
  EXPECT_EQ(status->starts.at("side"), 1);
  EXPECT_EQ(status->started_at_ms, 0);
  now += 100;
  starts("side");
  decide();
  EXPECT_EQ(status->state, TaskState::running);
  EXPECT_EQ(status->started_at_ms, now);
  EXPECT_FALSE(decide().status);  // nothing new
  exits("app", 0);
  decide();
  EXPECT_EQ(status->state, TaskState::stopping);
  EXPECT_EQ(status->order, Order::stop);
  EXPECT_EQ(status->stop_code, StopCode::essential_container_exited);
  EXPECT_EQ(status->stopped_reason, "Essential container in task exited");
  EXPECT_EQ(status->execution_stopped_at_ms, now);
  now += 100;
  exits("side", 143);
  observed->stopped = true;
  decide();
  EXPECT_EQ(status->state, TaskState::deprovisioning);
  observed->released = true;
  EXPECT_EQ(decide().wake_at_ms, now + 3'600'000);
  EXPECT_EQ(status->state, TaskState::stopped);
  EXPECT_EQ(status->stopped_at_ms, now);
  EXPECT_FALSE(decide().erase);
  now += 3'600'000;
  EXPECT_TRUE(decide().erase);
}

TEST_F(LifecycleTest, WhatCannotBeginIsStoppedAtOnceAndSaysWhy) {
  const auto fresh = [&] { status.reset(), has_definition = true, definition.not_served.clear(), intent.reset(); };
  struct Case {
    std::function<void()> given;
    StopCode code;
    std::string reason;
  };
  const Case cases[] = {
      {[&] { definition.not_served = "secrets are not served yet"; }, StopCode::task_failed_to_start,
       "ResourceInitializationError: secrets are not served yet"},
      {[&] { has_definition = false; }, StopCode::task_failed_to_start,
       "ResourceInitializationError: its task definition is gone"},
      {[&] {
         intent = {now, "no"};
       },
       StopCode::user_initiated, "no"},
      {[&] { subnets.clear(); }, StopCode::task_failed_to_start,
       "ResourceInitializationError: none of its subnets exists any more"},
  };
  for (const Case& c : cases) {
    fresh();
    c.given();
    decide();
    EXPECT_EQ(status->state, TaskState::stopped);
    EXPECT_EQ(status->order, Order::none);
    EXPECT_EQ(status->stop_code, c.code);
    EXPECT_EQ(status->stopped_reason, c.reason);
    EXPECT_EQ(status->stopped_at_ms, now);
  }
}

TEST_F(LifecycleTest, StopTaskTellsTheUsersWordsAndTheFirstReasonStays) {
  run();
  intent = {now, "Task stopped by user"};
  decide();
  EXPECT_EQ(status->stop_code, StopCode::user_initiated);
  EXPECT_EQ(status->stopped_reason, "Task stopped by user");
  exits("app", 143);
  decide();
  EXPECT_EQ(status->stop_code, StopCode::user_initiated);
}

TEST_F(LifecycleTest, AReasonIsCutToItsBound) {
  const std::string kept(1023, 'x');
  EXPECT_EQ(stopping({}, StopCode::user_initiated, kept + "y", now).stopped_reason, kept + "y");
  EXPECT_EQ(stopping({}, StopCode::user_initiated, kept + "yz", now).stopped_reason, kept + "y");
  EXPECT_EQ(stopping({}, StopCode::user_initiated, kept + "\u00e9", now).stopped_reason, kept) << "no half a letter";
}

TEST_F(LifecycleTest, FailuresBeforeAndAfterRunning) {
  decide();
  observed.emplace().failure = "CannotPullContainerError: not found";
  decide();
  EXPECT_EQ(status->stop_code, StopCode::task_failed_to_start);
  EXPECT_EQ(status->stopped_reason, "CannotPullContainerError: not found");
  status.reset(), observed.reset();
  run();
  observed->failure = "the supervisor died";
  decide();
  EXPECT_EQ(status->stop_code, StopCode::essential_container_exited);
  EXPECT_EQ(status->stopped_reason, "the supervisor died");
  status.reset(), observed.reset();
  run();
  observed->stopped = true;
  decide();
  EXPECT_EQ(status->desired, DesiredStatus::stopped);
  EXPECT_FALSE(status->stopped_reason.empty());
}

TEST_F(LifecycleTest, AContainerThatCannotBeStarted) {
  add("side", false);
  decide();
  starts("app");
  seen("side").reason = "CannotStartContainerError: no such file";
  decide();
  EXPECT_EQ(status->state, TaskState::running);  // it is not essential
  status.reset(), observed.reset();
  decide();
  starts("side");
  seen("app").reason = "CannotStartContainerError: no such file";
  decide();
  EXPECT_EQ(status->stop_code, StopCode::task_failed_to_start);
  EXPECT_EQ(status->stopped_reason, "CannotStartContainerError: no such file");
}

TEST_F(LifecycleTest, ATaskThatEndsBeforeAnybodyLooksHasRun) {
  decide();
  starts("app");
  now += 50;
  exits("app", 0);
  decide();
  EXPECT_EQ(status->started_at_ms, now - 50);
  EXPECT_EQ(status->stop_code, StopCode::essential_container_exited);
}

TEST_F(LifecycleTest, OthersThanEssentialOnesMayExit) {
  add("side", false);
  run();
  exits("side", 1);
  decide();
  EXPECT_EQ(status->state, TaskState::running);
}

TEST_F(LifecycleTest, Dependencies) {
  struct Case {
    Condition condition;
    std::function<void()> then;
    bool starts;
    std::string stops_with;
  };
  const Case cases[] = {
      {Condition::start, [&] {}, false, ""},
      {Condition::start, [&] { starts("init"); }, true, ""},
      {Condition::complete, [&] { starts("init"); }, false, ""},
      {Condition::complete, [&] { starts("init"), exits("init", 3); }, true, ""},
      {Condition::success, [&] { starts("init"), exits("init", 0); }, true, ""},
      {Condition::success, [&] { starts("init"), exits("init", 3); }, false,
       "TaskDependencyError: container app cannot start: its dependency init exited with code 3"},
      {Condition::healthy, [&] { starts("init"); }, false, ""},
      {Condition::healthy, [&] { starts("init"), seen("init").health = Health::unhealthy; }, false, ""},
      {Condition::healthy, [&] { starts("init"), seen("init").health = Health::healthy; }, true, ""},
      {Condition::healthy, [&] { starts("init"), exits("init", 0); }, false,
       "TaskDependencyError: container app cannot start: its dependency init exited before it was healthy"},
      {Condition::complete, [&] { seen("init").reason = "CannotStartContainerError: x"; }, false,
       "TaskDependencyError: container app cannot start: its dependency init could not be started"},
  };
  add("init", false);
  for (const Case& c : cases) {
    container("app").depends_on = {{"init", c.condition}};
    status.reset(), observed.reset();
    decide();
    EXPECT_FALSE(status->starts.contains("app"));
    c.then();
    decide();
    EXPECT_EQ(status->starts.contains("app"), c.starts);
    EXPECT_EQ(status->stopped_reason, c.stops_with);
    EXPECT_EQ(status->stop_code, c.stops_with.empty() ? StopCode::none : StopCode::task_failed_to_start);
  }
}

TEST_F(LifecycleTest, VolumesFromImplyAStart) {
  add("data", false);
  container("app").volumes_from = {{"data", false}};
  decide();
  EXPECT_FALSE(status->starts.contains("app"));
  starts("data");
  decide();
  EXPECT_TRUE(status->starts.contains("app"));
}

TEST_F(LifecycleTest, StartTimeoutEndsTheWaiting) {
  add("base").start_timeout_s = 5;
  container("app").depends_on = {{"base", Condition::healthy}};
  decide();
  starts("base");
  EXPECT_EQ(decide().wake_at_ms, now + 5000);
  now += 4999;
  decide();
  EXPECT_EQ(status->desired, DesiredStatus::running);
  now += 1;
  decide();
  EXPECT_EQ(status->stopped_reason,
            "TaskDependencyError: container app cannot start: its dependency base did not reach HEALTHY within its "
            "startTimeout of 5 seconds");
}

TEST_F(LifecycleTest, RestartPolicy) {
  struct Case {
    int64_t ran_ms;
    int code;
    bool restarts;
  };
  for (const Case& c :
       {Case{60'000, 1, true}, Case{59'999, 1, false}, Case{60'000, 42, false}, Case{90'000, 0, true}}) {
    container("app").restart_policy = {{42}, 60};
    status.reset(), observed.reset();
    run();
    now += c.ran_ms;
    exits("app", c.code);
    decide();
    EXPECT_EQ(status->starts.at("app"), c.restarts ? 2 : 1);
    EXPECT_EQ(status->desired, c.restarts ? DesiredStatus::running : DesiredStatus::stopped);
    EXPECT_FALSE(decide().status) << "an ordered restart is ordered once";
  }
}

TEST_F(LifecycleTest, HealthFollowsTheChecks) {
  container("app").health_check.emplace();
  run();
  EXPECT_EQ(status->health, Health::unknown);
  seen("app").health = Health::unhealthy;
  decide();
  EXPECT_EQ(status->health, Health::unhealthy);
  EXPECT_EQ(status->desired, DesiredStatus::running) << "a standalone task is not stopped for its health";
}

TEST_F(LifecycleTest, StoppingKeepsTheFirstReason) {
  run();
  const auto first = stopping(*status, StopCode::service_scheduler_initiated, "one", now);
  EXPECT_EQ(first.order, Order::stop);
  EXPECT_EQ(stopping(first, StopCode::user_initiated, "two", now), first);
}

}  // namespace
}  // namespace berth::control::lifecycle
