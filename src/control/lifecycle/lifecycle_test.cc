#include "control/lifecycle/lifecycle.h"

#include <gtest/gtest.h>

#include "containers/containers.h"

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
    snapshot.hosts = hosts;
    snapshot.cannot_run = cannot_run;
    snapshot.host_epoch = host_epoch;
    TaskPlan plan = lifecycle::decide(snapshot, now, random, {});
    if (plan.status) status = plan.status;
    return plan;
  }
  void run() {
    decide();
    seen("app");
    observed->provisioned = true;
    observed->address = "172.31.0.4";
    for (const auto& one : definition.containers) starts(one.name);
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
  std::vector<placement::HostRoom> hosts = {{"host-1", 3, {1000, 0}}};
  std::string cannot_run;
  int64_t host_epoch = 3;
  Prng random{1};
};

TEST_F(LifecycleTest, GoesThroughItsStates) {
  container("side").depends_on = {{"app", Condition::start}};
  decide();
  EXPECT_EQ(status->state, TaskState::provisioning);
  EXPECT_EQ(status->version, 1);
  EXPECT_EQ(status->order, Order::run);
  observed.emplace().address = "172.31.0.4";
  decide();
  EXPECT_EQ(status->state, TaskState::pending);
  observed->provisioned = true;
  starts("app");
  decide();
  EXPECT_EQ(status->state, TaskState::activating);
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
      {[&] { cannot_run = "ResourceInitializationError: no such log group"; }, StopCode::task_failed_to_start,
       "ResourceInitializationError: no such log group"},
      {[&] { cannot_run.clear(), hosts.clear(); }, StopCode::task_failed_to_start,
       "Capacity is unavailable at this time. Please try again later or in a different availability zone"},
      {[&] { hosts = {{"host-1", 3, {1000, 0}}}, subnets.clear(); }, StopCode::task_failed_to_start,
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

TEST_F(LifecycleTest, AContainerThatWaitedInVain) {
  struct Case {
    bool essential;
    TaskState state;
    StopCode code;
  };
  for (const Case& c : {Case{false, TaskState::running, StopCode::none},
                        Case{true, TaskState::stopping, StopCode::task_failed_to_start}}) {
    status.reset(), observed.reset();
    container("side").essential = c.essential;
    decide();
    starts("app");
    containers::give_up(seen("side"), "CannotStartContainerError: it waited", now);
    decide();
    EXPECT_EQ(status->state, c.state);
    EXPECT_EQ(status->stop_code, c.code);
    EXPECT_EQ(status->stopped_reason, c.essential ? "CannotStartContainerError: it waited" : "");
  }
}

TEST_F(LifecycleTest, AHostThatIsGivenUpTakesItsTasksWithIt) {
  run();
  EXPECT_EQ(status->host, "host-1");
  EXPECT_EQ(status->host_epoch, 3);
  host_epoch = 4;
  decide();
  EXPECT_EQ(status->state, TaskState::stopped);
  EXPECT_EQ(status->stop_code, StopCode::termination_notice);
  EXPECT_EQ(status->stopped_at_ms, now);
}

TEST_F(LifecycleTest, WhatAnOlderEpochSawIsPassedOver) {
  decide();
  starts("app");
  observed->epoch = 2;
  observed->address = "172.31.0.4";
  EXPECT_FALSE(decide().status);
  observed->epoch = 3;
  decide();
  EXPECT_EQ(status->state, TaskState::running);
}

TEST_F(LifecycleTest, ARestartIsTheAgents) {
  container("app").restart_policy = {{42}, 60};
  for (const bool long_enough : {true, false}) {
    status.reset(), observed.reset();
    run();
    now += long_enough ? 60'000 : 59'999;
    exits("app", 1);
    EXPECT_EQ(decide().status.has_value(), !long_enough) << "it is about to be restarted";
    EXPECT_EQ(status->desired, long_enough ? DesiredStatus::running : DesiredStatus::stopped);
  }
  status.reset(), observed.reset();
  run();
  now += 60'000;
  exits("app", 1);
  seen("app").start_failed = true;
  decide();
  EXPECT_EQ(status->stopped_reason, "Essential container in task exited") << "and could not be started again";
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
