#include "control/deployment/deployment.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <climits>
#include <deque>

#include "control/deployment/task_spec.h"

namespace berth::control::deployment {
namespace {

using records::DesiredStatus;
using records::Health;
using records::Rollout;
using records::StopCode;
using records::TaskState;

constexpr TimeMs kNow = 1'700'000'000'000;
const records::keys::ServicePath kPath{{"123456789012", "eu-central-1"}, "default", "web"};
const std::string kNew = "ecs-svc/2222222222222222222", kOld = "ecs-svc/1111111111111111111";

class DeploymentTest : public ::testing::Test {
 protected:
  DeploymentTest() {
    spec.name = "web";
    spec.target = {"app", 2, "FARGATE", {}, "LATEST", {}, ""};
    spec.generation = 2;
    spec.deployment_id = kNew;
    spec.incarnation = "one";
    status.incarnation = "one";
    status.generation = 2;
    status.deployments.resize(1);
    status.deployments[0].id = kNew;
    status.deployments[0].generation = 2;
    status.deployments[0].revision = spec.target;
    definition.family = "app";
    definition.memory_mib = 512;
    room = {1 << 20, 0};
  }
  // One letter a task: h healthy, p not yet running, u unhealthy, s stopping.
  void tasks(const std::string& current, const std::string& old) {
    summaries.clear();
    for (char c : current) add(c, kNew);
    for (char c : old) add(c, kOld);
    if (!old.empty() && status.deployments.size() == 1) {
      status.deployments.push_back(status.deployments[0]);
      status.deployments[1].id = kOld;
      status.deployments[1].generation = 1;
      status.deployments[1].primary = false;
      status.deployments[1].rollout = Rollout::completed;
    }
  }
  records::TaskSummary& add(char kind, const std::string& deployment) {
    records::TaskSummary task;
    task.path = {kPath.scope, kPath.cluster, fmt::format("t{}", summaries.size())};
    task.service = "web";
    task.started_by = deployment;
    task.has_spec = true;
    task.created_at_ms = kNow - 100'000;
    task.state = kind == 'p' ? TaskState::pending : TaskState::running;
    task.health = kind == 'h' ? Health::healthy : kind == 'u' ? Health::unhealthy : Health::unknown;
    if (kind != 'p') task.started_at_ms = kNow - 90'000;
    if (kind == 's') task.state = TaskState::stopping, task.desired = DesiredStatus::stopped;
    if (kind == 's') task.stop_code = StopCode::service_scheduler_initiated;
    summaries.push_back(task);
    return summaries.back();
  }
  ServicePlan decide() {
    ServiceSnapshot snapshot{kPath, spec, &status, {}, has_definition ? &definition : nullptr, room, true};
    for (const auto& task : summaries) snapshot.tasks.push_back({&task, checked});
    ServicePlan plan = deployment::decide(snapshot, now, random, settings);
    status = plan.status;
    return plan;
  }
  int stops(const ServicePlan& plan, const std::string& deployment) const {
    int n = 0;
    for (const TaskStop& stop : plan.stops)
      for (const auto& task : summaries) n += task.path == stop.path && task.started_by == deployment;
    return n;
  }
  std::string newest() const { return status.events.empty() ? "" : status.events.front().message; }

  TimeMs now = kNow;
  Prng random{1};
  Settings settings;
  records::ServiceSpec spec;
  records::ServiceStatus status;
  records::TaskDefinition definition;
  bool has_definition = true;
  bool checked = true;
  placement::Room room;
  std::deque<records::TaskSummary> summaries;
};

TEST_F(DeploymentTest, NumbersOfTasks) {
  struct Case {
    int desired, minimum, maximum;
    const char *current, *old;
    int starts, stops_current, stops_old;
  };
  const Case cases[] = {
      // Desired count, both ways, 0 included.
      {3, 100, 200, "", "", 3, 0, 0},
      {3, 100, 200, "hp", "", 1, 0, 0},
      {3, 100, 200, "hhh", "", 0, 0, 0},
      {3, 100, 200, "hhss", "", 1, 0, 0},  // stopping ones do not count
      {1, 100, 200, "hhh", "", 0, 2, 0},
      {0, 100, 200, "hph", "", 0, 3, 0},
      {0, 100, 200, "", "hh", 0, 0, 2},
      {25, 100, 200, "", "", 20, 0, 0},  // a plan is bounded
      {INT_MAX, 100, 200, "", "", 20, 0, 0},
      // Rolling: the upper bound is rounded down, the lower one up.
      {4, 100, 200, "", "hhhh", 4, 0, 0},
      {4, 100, 150, "", "hhhh", 2, 0, 0},
      {4, 100, 125, "", "hhhh", 1, 0, 0},
      {3, 100, 150, "", "hhh", 1, 0, 0},  // floor(4.5)
      {3, 50, 100, "", "hhh", 1, 0, 1},   // ceil(1.5) stay; what goes makes room at once
      {4, 50, 100, "", "hhhh", 2, 0, 2},
      {4, 0, 100, "", "hhhh", 4, 0, 4},
      {4, 50, 200, "", "hhhh", 4, 0, 0},  // room enough: nothing goes before its time
      {4, 100, 200, "hhpp", "hhhh", 0, 0, 2},
      {4, 100, 200, "hhhh", "hhhh", 0, 0, 4},
      {4, 100, 200, "", "pphh", 4, 0, 2},  // old ones that do not run are no loss
      {4, 100, 200, "", "uuhh", 4, 0, 2},
      {1, 100, 100, "", "h", 0, 0, 0},  // no step is possible
      {1, 0, 100, "", "h", 1, 0, 1},
      {1, 50, 100, "", "h", 0, 0, 0},  // ceil(0.5) is one
      {2, 100, 200, "h", "hhhh", 1, 0, 3},
      // Unhealthy ones: replaced first, up to the upper bound; else one by one.
      {2, 100, 200, "hu", "", 1, 0, 0},
      {2, 100, 200, "hhu", "", 0, 1, 0},
      {2, 100, 200, "uu", "", 2, 0, 0},
      {2, 100, 100, "uu", "", 1, 1, 0},
      {2, 100, 100, "pu", "", 0, 0, 0},
      {3, 100, 100, "huu", "", 1, 1, 0},
  };
  for (const Case& c : cases) {
    spec.desired_count = c.desired;
    spec.deployment = {c.minimum, c.maximum, false, false};
    status.deployments.resize(1);
    status.deployments[0].rollout = Rollout::in_progress;
    tasks(c.current, c.old);
    const auto plan = decide();
    const std::string name =
        fmt::format("{} of {}/{} with '{}' and '{}'", c.desired, c.minimum, c.maximum, c.current, c.old);
    EXPECT_EQ(static_cast<int>(plan.starts.size()), c.starts) << name;
    EXPECT_EQ(stops(plan, kNew), c.stops_current) << name;
    EXPECT_EQ(stops(plan, kOld), c.stops_old) << name;
  }
}

TEST_F(DeploymentTest, LargeNumbersAreNoSmallOnes) {
  spec.desired_count = INT32_MAX;
  EXPECT_FALSE(decide().starts.empty());
  spec.desired_count = 5;
  spec.deployment.maximum_percent = INT32_MAX;
  EXPECT_EQ(decide().starts.size(), 5u);
}

TEST_F(DeploymentTest, ScalesInWhatIsWorthLeast) {
  spec.desired_count = 1;
  tasks("hph", "");
  summaries[0].created_at_ms = kNow - 1;
  const auto plan = decide();
  ASSERT_EQ(plan.stops.size(), 2u);
  EXPECT_EQ(plan.stops[0].path.id, "t1");  // not running
  EXPECT_EQ(plan.stops[1].path.id, "t0");  // the younger one
  EXPECT_EQ(plan.stops[0].reason, "Scaling activity initiated by (deployment " + kNew + ")");
  EXPECT_EQ(plan.stops[0].code, StopCode::service_scheduler_initiated);
}

TEST_F(DeploymentTest, ScalesInWhatHasNotProvedItselfAfterWhatDoesNotRun) {
  checked = false;
  spec.desired_count = 2;
  spec.deployment.circuit_breaker = true;
  tasks("hhp", "");
  for (auto& task : summaries)
    if (task.started_at_ms != 0) task.started_at_ms = now - 1000;
  const auto plan = decide();
  ASSERT_EQ(plan.stops.size(), 1u);
  EXPECT_EQ(plan.stops[0].path.id, "t2");
}

TEST_F(DeploymentTest, DaemonIsOneTask) {
  spec.scheduling_strategy = "DAEMON";
  spec.deployment = {0, 100, false, false};
  EXPECT_EQ(decide().starts.size(), 1u);
}

TEST_F(DeploymentTest, TakesOverANewGeneration) {
  status.start_failures = 3;
  status.next_start_at_ms = now + 1000;
  spec.generation = 3;
  spec.deployment_id = "ecs-svc/3333333333333333333";
  spec.desired_count = 1;
  tasks("h", "");
  const auto plan = decide();
  ASSERT_EQ(status.deployments.size(), 2u);
  EXPECT_EQ(status.deployments[0].id, "ecs-svc/3333333333333333333");
  EXPECT_EQ(status.deployments[0].rollout_reason, "ECS deployment ecs-svc/3333333333333333333 in progress.");
  EXPECT_FALSE(status.deployments[1].primary);
  EXPECT_EQ(status.deployments[1].desired_count, 1);
  EXPECT_EQ(plan.starts.size(), 1u);  // the back-off is cleared
}

TEST_F(DeploymentTest, OldDeploymentsLetGoOfWhatNothingActsOn) {
  spec.desired_count = 20;
  status.deployments[0].revision.kept = "old";
  for (int i = 3; i < 12; ++i) {
    add('h', status.deployments[0].id);
    if (i == 5) status.deployments[0].rollout = Rollout::completed;
    spec.generation = i;
    spec.deployment_id = fmt::format("ecs-svc/{:019}", i);
    spec.target.kept = fmt::format("kept {}", i);
    status.deployments[0].failed_tasks = 0;
    decide();
  }
  ASSERT_EQ(status.deployments.size(), 10u);
  for (size_t i = 0; i < 10; ++i)
    EXPECT_EQ(status.deployments[i].revision.kept.empty(), i >= 4 && status.deployments[i].generation != 4) << i;
}

TEST_F(DeploymentTest, CompletesAndIsSteadyOnce) {
  spec.desired_count = 2;
  tasks("hh", "");
  decide();
  EXPECT_EQ(status.deployments[0].rollout, Rollout::completed);
  EXPECT_EQ(status.deployments[0].rollout_reason, "ECS deployment " + kNew + " completed.");
  ASSERT_EQ(status.events.size(), 2u);
  EXPECT_EQ(status.events[0].message, "(service web) has reached a steady state.");
  EXPECT_EQ(status.events[1].message, "(service web) (deployment " + kNew + ") deployment completed.");
  const auto before = status;
  decide();
  EXPECT_EQ(status, before);
  EXPECT_EQ(status.last_completed.at(0).revision, 2);
}

TEST_F(DeploymentTest, TellsStartsAndStops) {
  spec.desired_count = 2;
  auto plan = decide();
  EXPECT_EQ(newest(), fmt::format("(service web) has started 2 tasks: (task {}) (task {}).", plan.starts[0].id,
                                  plan.starts[1].id));
  spec.desired_count = 1;
  tasks("hh", "");
  decide();
  EXPECT_EQ(status.events[2].message.substr(0, 53), "(service web) has stopped 1 running tasks: (task t0).");
}

TEST_F(DeploymentTest, WaitsFortySecondsWhereTheSettingSaysSo) {
  settings.healthy_after_running_ms = 40'000;
  checked = false;
  spec.desired_count = 1;
  add('h', kNew).started_at_ms = now - 39'000;
  EXPECT_EQ(decide().wake_at_ms, now + 1000);
  EXPECT_EQ(status.deployments[0].rollout, Rollout::in_progress);
  now += 1000;
  decide();
  EXPECT_EQ(status.deployments[0].rollout, Rollout::completed);
}

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

TEST_F(DeploymentTest, AnUnhealthyTaskGivesItsMemoryToItsReplacement) {
  spec.desired_count = 2;
  room = {1024, 1024};
  tasks("hu", "");
  auto plan = decide();
  EXPECT_EQ(stops(plan, kNew), 1);
  EXPECT_TRUE(plan.starts.empty());
  EXPECT_EQ(plan.waits_for_room_mib, 512);
  tasks("uus", "");  // one by one: what is stopping makes room first
  EXPECT_EQ(stops(decide(), kNew), 0);
  tasks("hu", "");
  room = {1536, 1024};  // with room it is replaced first
  EXPECT_EQ(decide().starts.size(), 1u);
}

TEST_F(DeploymentTest, AnUnhealthyTaskIsReplacedAlsoBeforeItRuns) {
  spec.desired_count = 2;
  spec.deployment = {100, 100, false, false};
  tasks("hp", "");
  summaries[1].health = Health::unhealthy;  // the rest of it waits for a container to be HEALTHY
  EXPECT_EQ(stops(decide(), kNew), 1);
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
  for (const auto& event : status.events)
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
    std::string primary, failed_reason;
  };
  for (const Case& c :
       {Case{false, true, true, kNew, "ECS deployment circuit breaker: tasks failed to start."},
        Case{true, false, false, kNew, "ECS deployment circuit breaker: tasks failed to start."},
        Case{true, true, true, kOld, "ECS deployment circuit breaker: rolling back to deploymentId " + kOld + "."}}) {
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
    if (c.primary == kNew) {
      EXPECT_EQ(failed.rollout, Rollout::failed);
      EXPECT_EQ(failed.rollout_reason, c.failed_reason);
      EXPECT_TRUE(plan.starts.empty());
      EXPECT_EQ(stops(plan, kOld), 0);
    } else {
      EXPECT_EQ(status.deployments.size(), 1u) << "its only task was not running yet and has been stopped";
      EXPECT_EQ(stops(plan, kNew), 1);
    }
  }
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

TEST_F(DeploymentTest, WhatItCannotDoItSays) {
  spec.desired_count = 1;
  struct Case {
    std::function<void()> given;
    std::string text;
  };
  const Case cases[] = {
      {[&] { status.deployments[0].revision.launch_type = "EC2"; },
       "(service web) was unable to place a task because no container instance met all of its requirements. "
       "Reason: No "
       "Container Instances were found in your cluster. For more information, see the Troubleshooting "
       "section of the "
       "Amazon ECS Developer Guide."},
      {[&] { status.deployments[0].revision.launch_type = ""; }, "(service web) was unable to place a task because"},
      {[&] { has_definition = false; },
       "(service web) was unable to place a task. Reason: the task definition app:2 does not exist."},
      {[&] {
         room = {600, 300};
       },
       "(service web) was unable to place a task. Reason: RESOURCE:MEMORY. A task needs 512 MiB "},
      {[&] {
         spec.deployment = {100, 100, false, false}, tasks("", "h");
       },
       "(service web) was unable to stop or start tasks during a deployment because of the service "
       "deployment "
       "configuration. Update the minimumHealthyPercent or maximumPercent value and try again."},
  };
  for (const Case& c : cases) {
    status.events.clear();
    status.deployments.resize(1);
    status.deployments[0].revision = spec.target;
    has_definition = true;
    room = {1 << 20, 0};
    c.given();
    const auto plan = decide();
    EXPECT_TRUE(plan.starts.empty());
    ASSERT_EQ(status.events.size(), 1u) << c.text;
    EXPECT_EQ(newest().substr(0, c.text.size()), c.text);
    decide();
    EXPECT_EQ(status.events.size(), 1u) << "told twice: " << newest();
  }
}

TEST_F(DeploymentTest, SettingsThatDoNothingYetAreToldOnce) {
  spec.desired_count = 0;
  spec.enable_execute_command = true;
  status.deployments[0].revision.kept = R"({"serviceConnectConfiguration":{"enabled":true}})";
  decide();
  int told = 0;
  for (const auto& event : status.events) told += event.message.find("does nothing yet") != std::string::npos;
  EXPECT_EQ(told, 2);
}

TEST_F(DeploymentTest, DeletedServicesDrain) {
  spec.desired_count = 2;
  spec.deleted_at_ms = now;
  tasks("hh", "");
  EXPECT_EQ(decide().stops.size(), 2u);
  EXPECT_EQ(status.status, "DRAINING");
  tasks("ss", "");
  decide();
  EXPECT_EQ(status.status, "DRAINING");
  tasks("", "");
  decide();
  EXPECT_EQ(status.status, "INACTIVE");
  EXPECT_EQ(status.inactive_at_ms, now);
}

TEST_F(DeploymentTest, ANameUsedAgainBeginsAnew) {
  status.status = "INACTIVE";
  spec.incarnation = "two";
  spec.desired_count = 1;
  EXPECT_EQ(decide().starts.size(), 1u);
  EXPECT_EQ(status.status, "ACTIVE");
}

TEST_F(DeploymentTest, EventsAreAHundredAtMost) {
  for (int i = 0; i < 150; ++i) {
    spec.desired_count = 1;
    tasks("", "");
    decide();
  }
  EXPECT_EQ(status.events.size(), kEventsMax);
}

TEST_F(DeploymentTest, TaskSpecOfAService) {
  struct Case {
    const char* propagate;
    bool managed;
    records::Tags tags;
  };
  spec.tags = {{"team", "video"}};
  definition.tags = {{"from", "definition"}};
  for (const Case& c :
       {Case{"NONE", false, {}}, Case{"SERVICE", false, {{"team", "video"}}},
        Case{"TASK_DEFINITION", false, {{"from", "definition"}}},
        Case{"SERVICE",
             true,
             {{"team", "video"}, {"aws:ecs:clusterName", "default"}, {"aws:ecs:serviceName", "web"}}}}) {
    spec.propagate_tags = c.propagate;
    spec.enable_ecs_managed_tags = c.managed;
    EXPECT_EQ(task_spec(kPath, spec, status.deployments[0], definition, "", now, random).tags, c.tags);
  }
  const auto task = task_spec(kPath, spec, status.deployments[0], definition, "", now, random);
  EXPECT_EQ(task.group, "service:web");
  EXPECT_EQ(task.started_by, kNew);
  EXPECT_EQ(task.launch_type, "FARGATE");
  EXPECT_EQ(task.platform_version, "1.4.0");
  EXPECT_EQ(task.memory_mib, 512);
  EXPECT_EQ(task.eni_id.size(), 21u);
  EXPECT_EQ(task_spec(kPath, spec, status.deployments[0], definition, "FARGATE_SPOT", now, random).launch_type, "");
}

TEST_F(DeploymentTest, StrategyIsKeptAcrossPlans) {
  spec.desired_count = 9;
  status.deployments[0].revision.launch_type = "";
  status.deployments[0].revision.strategy = {{"FARGATE", 1, 1}, {"FARGATE_SPOT", 3, 0}};
  add('h', kNew).capacity_provider = "FARGATE";
  std::map<std::string, int> started;
  for (const auto& start : decide().starts) ++started[start.spec.capacity_provider];
  EXPECT_EQ(started, (std::map<std::string, int>{{"FARGATE", 2}, {"FARGATE_SPOT", 6}}));
}

}  // namespace
}  // namespace berth::control::deployment
