// Back-off, circuit breaker, roll-back: what a service makes of tasks that fail.
#include <fmt/format.h>

#include "control/deployment/deployment_fixture.h"

namespace berth::control::deployment {
namespace {

TEST_F(DeploymentTest, ABreakerWaitsUntilTasksHaveProvedThemselves) {
  checked = false;
  spec.desired_count = 1;
  spec.deployment = {100, 200, true, true};
  status.last_completed = {{"app", 1, "FARGATE"}};
  tasks("h", "h");
  summaries[0].started_at_ms = now - 9'999;
  auto plan = decide();
  EXPECT_EQ(status.deployments[0].rollout, Rollout::in_progress);
  EXPECT_EQ(stops(plan, kOld), 0) << "what has proved itself stays meanwhile";
  EXPECT_EQ(plan.wake_at_ms, now + 1);
  now += 1;
  plan = decide();
  EXPECT_EQ(stops(plan, kOld), 1);
  EXPECT_EQ(status.deployments[0].rollout, Rollout::completed);
  // Complete: what is started from now on counts at once, as without a breaker.
  tasks("h", "");
  summaries[0].started_at_ms = now;
  EXPECT_EQ(decide().wake_at_ms, 0);
}

TEST_F(DeploymentTest, ARollBackKeepsWhatRunsUntilSomethingStandsInForIt) {
  checked = false;
  spec.desired_count = 2;
  spec.deployment = {100, 200, true, true};
  status.last_completed = {{"app", 1, "FARGATE"}};
  status.deployments[0].failed_tasks = 3;
  tasks("hh", "");
  for (auto& task : summaries) task.started_at_ms = now - 1000;
  const auto plan = decide();
  EXPECT_EQ(status.deployments[0].revision.revision, 1);
  EXPECT_TRUE(plan.stops.empty());
}

TEST_F(DeploymentTest, GracePeriodKeepsTheUnhealthy) {
  spec.desired_count = 1;
  spec.health_check_grace_period_s = 100;
  tasks("u", "");
  const auto plan = decide();
  EXPECT_TRUE(plan.starts.empty());
  EXPECT_EQ(plan.wake_at_ms, kNow + 10'000);
  now += 10'000;
  EXPECT_EQ(decide().starts.size(), 1u);
}

TEST_F(DeploymentTest, UnhealthyTasksAreToldAndCounted) {
  spec.desired_count = 1;
  tasks("hu", "");
  const auto plan = decide();
  ASSERT_EQ(plan.stops.size(), 1u);
  EXPECT_EQ(plan.stops[0].reason, "Task failed container health checks");
  EXPECT_EQ(status.deployments[0].failed_tasks, 1);
  bool told = false;
  for (const auto& event : events)
    told |= event.message == "(service web) (task t1) failed container health checks.";
  EXPECT_TRUE(told);
}

TEST_F(DeploymentTest, BackOffDoublesUpToFifteenMinutes) {
  const std::pair<int, int64_t> cases[] = {{0, 0},        {1, 1000},     {2, 2000},      {5, 16'000},
                                           {10, 512'000}, {11, 900'000}, {1000, 900'000}};
  for (const auto& [failures, wait] : cases) EXPECT_EQ(back_off_ms(failures, {}), wait) << failures;
}

TEST_F(DeploymentTest, FailuresHoldStartsBackAndAreCountedOnce) {
  spec.desired_count = 2;
  for (int i = 0; i < 2; ++i) {
    auto& task = add('s', kNew);
    task.stop_code = StopCode::task_failed_to_start;
    task.started_at_ms = 0;
  }
  auto plan = decide();
  EXPECT_EQ(plan.counted.size(), 2u);
  EXPECT_EQ(status.deployments[0].failed_tasks, 2);
  EXPECT_EQ(status.start_failures, 1);  // they were of one round
  EXPECT_TRUE(plan.starts.empty());
  EXPECT_EQ(plan.wake_at_ms, now + 1000);
  for (auto& task : summaries) task.failure_counted = true;
  now += 1000;
  plan = decide();
  EXPECT_TRUE(plan.counted.empty());
  EXPECT_EQ(status.deployments[0].failed_tasks, 2);
  EXPECT_EQ(plan.starts.size(), 2u);
}

TEST_F(DeploymentTest, WhatRanLongDoesNotHoldStartsBack) {
  spec.desired_count = 1;
  for (const auto& [ran_ms, held] : {std::pair(9'999, true), std::pair(10'000, false)}) {
    summaries.clear();
    status.start_failures = 0;
    status.next_start_at_ms = 0;
    auto& task = add('s', kNew);
    task.stop_code = StopCode::essential_container_exited;
    task.stopping_at_ms = task.started_at_ms + ran_ms;
    EXPECT_EQ(decide().starts.empty(), held);
  }
}

TEST_F(DeploymentTest, AHealthyTaskEndsARowOfFailures) {
  spec.desired_count = 1;
  status.start_failures = 4;
  status.next_start_at_ms = now - 1000;
  status.deployments[0].failed_tasks = 4;
  tasks("h", "");
  decide();
  EXPECT_EQ(status.start_failures, 4) << "it was there before the failures";
  summaries[0].created_at_ms = now - 500;
  decide();
  EXPECT_EQ(status.start_failures, 0);
  EXPECT_EQ(status.deployments[0].failed_tasks, 0);
}

TEST_F(DeploymentTest, CannotConsistentlyStart) {
  spec.desired_count = 1;
  status.start_failures = 2;
  auto& task = add('s', kNew);
  task.stop_code = StopCode::task_failed_to_start;
  task.started_at_ms = 0;
  decide();
  EXPECT_EQ(newest(),
            "(service web) is unable to consistently start tasks successfully. For more information, see the "
            "Troubleshooting section of the Amazon ECS Developer Guide.");
}

TEST_F(DeploymentTest, BreakerThreshold) {
  const std::pair<int, int> cases[] = {{0, 3},   {1, 3},     {6, 3},      {7, 4},
                                       {25, 13}, {400, 200}, {1000, 200}, {INT_MAX, 200}};
  for (const auto& [desired, threshold] : cases) EXPECT_EQ(breaker_threshold(desired), threshold) << desired;
}

TEST_F(DeploymentTest, BreakerWithAndWithoutAWayBack) {
  struct Case {
    bool rollback, complete, old_tasks;
    std::string primary;
  };
  for (const Case& c : {Case{false, true, true, kNew}, Case{true, false, false, kNew}, Case{true, true, true, kOld}}) {
    spec.desired_count = 1;
    spec.deployment = {100, 200, true, c.rollback};
    status.deployments.resize(1);
    auto& deployment = status.deployments[0];
    deployment.id = kNew, deployment.generation = 2, deployment.primary = true;
    deployment.rollout = Rollout::in_progress;
    deployment.failed_tasks = 3;
    status.last_completed.clear();
    if (c.complete) status.last_completed.push_back({"app", 1, "FARGATE"});
    tasks("p", c.old_tasks ? "h" : "");
    const auto plan = decide();
    EXPECT_EQ(status.deployments[0].id, c.primary);
    const auto& failed = status.deployments[c.primary == kNew ? 0 : 1];
    EXPECT_EQ(failed.rollout, Rollout::failed);
    EXPECT_EQ(failed.rollout_reason, "ECS deployment circuit breaker: tasks failed to start.");
    if (c.primary == kNew) {
      EXPECT_TRUE(plan.starts.empty());
      EXPECT_EQ(stops(plan, kOld), 0);
      if (c.rollback)
        EXPECT_EQ(newest(), "(service web) (deployment " + kNew +
                                ") is not rolled back: no deployment of the service has completed, so there is none to "
                                "return to.");
    } else {
      EXPECT_EQ(status.deployments[0].rollout_reason,
                "ECS deployment circuit breaker: rolling back to deploymentId " + kOld + ".");
      EXPECT_EQ(stops(plan, kNew), 1);
    }
  }
}

TEST_F(DeploymentTest, TheDeploymentThatFailedIsListedUntilTheRollBackIsOver) {
  spec.desired_count = 1;
  spec.deployment = {100, 200, true, true};
  status.deployments[0].failed_tasks = 3;
  status.last_completed = {{"app", 1, "FARGATE"}};
  tasks("", "h");
  decide();
  auto plan = decide();  // all that it returns to runs already
  ASSERT_EQ(status.deployments.size(), 2u);
  EXPECT_EQ(status.deployments[0].rollout, Rollout::in_progress);
  EXPECT_EQ(status.deployments[1].rollout, Rollout::failed);
  EXPECT_EQ(plan.wake_at_ms, kNow + settings.failed_shown_ms);
  now = plan.wake_at_ms;
  decide();
  ASSERT_EQ(status.deployments.size(), 1u);
  EXPECT_EQ(status.deployments[0].rollout, Rollout::completed);

  // What the user asks next ends the roll-back, and its list.
  status.deployments[0].rollout = Rollout::in_progress;
  status.deployments[0].generation = 0;
  status.deployments.push_back(status.deployments[0]);
  status.deployments[1].id = kNew, status.deployments[1].primary = false;
  status.deployments[1].rollout = Rollout::failed;
  spec.generation = 3;
  spec.deployment_id = "ecs-svc/3333333333333333333";
  decide();
  EXPECT_EQ(status.deployments.size(), 2u) << "the new one, and the one that has the task";
}

TEST_F(DeploymentTest, RollBackToARevisionWithoutTasksIsANewDeployment) {
  spec.desired_count = 1;
  spec.deployment = {0, 100, true, true};
  status.deployments[0].failed_tasks = 3;
  status.last_completed = {{"app", 1, "FARGATE"}};
  auto plan = decide();
  EXPECT_TRUE(plan.again);
  EXPECT_TRUE(plan.starts.empty());  // the definition at hand is the failed one's
  EXPECT_EQ(status.deployments[0].revision.revision, 1);
  EXPECT_EQ(primary_revision(spec, &status).revision, 1);
  EXPECT_EQ(newest(), "(service web) rolling back to deployment " + status.deployments[0].id + ".");
  plan = decide();
  ASSERT_EQ(plan.starts.size(), 1u);
  EXPECT_EQ(plan.starts[0].spec.revision, 1);
  status.deployments[0].failed_tasks = 9;  // a roll-back goes on trying
  decide();
  EXPECT_EQ(status.deployments[0].rollout, Rollout::in_progress);
}

}  // namespace
}  // namespace berth::control::deployment
