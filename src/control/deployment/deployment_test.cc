#include <fmt/format.h>

#include <climits>

#include "control/deployment/deployment_fixture.h"
#include "control/deployment/task_spec.h"

namespace berth::control::deployment {
namespace {

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

TEST_F(DeploymentTest, ScalesInToTheSharesOfItsStrategy) {
  status.deployments[0].revision.strategy = {{"FARGATE", 1, 1}, {"FARGATE_SPOT", 3, 0}};
  tasks("hhhhhhhhhhh", "");
  for (size_t i = 0; i < summaries.size(); ++i) {
    summaries[i].capacity_provider = i < 4    ? "FARGATE"
                                     : i < 10 ? "FARGATE_SPOT"
                                              : "";  // the last from before the strategy
    summaries[i].created_at_ms = kNow - static_cast<TimeMs>(i);
  }
  const auto left = [this](int desired) {
    spec.desired_count = desired;
    const auto plan = decide();
    std::map<std::string, int> count;
    for (const auto& task : summaries)
      count[task.capacity_provider] +=
          std::none_of(plan.stops.begin(), plan.stops.end(), [&](const auto& stop) { return stop.path == task.path; });
    return count;
  };
  using Counts = std::map<std::string, int>;
  EXPECT_EQ(left(10), (Counts{{"", 0}, {"FARGATE", 4}, {"FARGATE_SPOT", 6}}));
  EXPECT_EQ(left(9), (Counts{{"", 0}, {"FARGATE", 3}, {"FARGATE_SPOT", 6}}));
  EXPECT_EQ(left(5), (Counts{{"", 0}, {"FARGATE", 2}, {"FARGATE_SPOT", 3}}));
  EXPECT_EQ(left(1), (Counts{{"", 0}, {"FARGATE", 1}, {"FARGATE_SPOT", 0}}));
}

TEST_F(DeploymentTest, ScalesInWhereTheZonesHaveMost) {
  zones = {{"subnet-1", "a"}, {"subnet-2", "a"}, {"subnet-3", "b"}};
  tasks("hhhhhp", "");
  const char* subnets[] = {"subnet-1", "subnet-2", "subnet-3", "subnet-3", "subnet-3", "subnet-1"};
  for (size_t i = 0; i < summaries.size(); ++i) {
    summaries[i].subnet_id = subnets[i];
    summaries[i].created_at_ms = kNow - static_cast<TimeMs>(i);
  }
  spec.desired_count = 2;
  std::vector<std::string> stopped;
  for (const TaskStop& stop : decide().stops) stopped.push_back(stop.path.id);
  // What does not run yet goes first; then b has three and a two; then both two, and the youngest is in a.
  EXPECT_EQ(stopped, (std::vector<std::string>{"t5", "t2", "t0", "t3"}));
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
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].message, "(service web) has reached a steady state.");
  EXPECT_EQ(events[1].message, "(service web) (deployment " + kNew + ") deployment completed.");
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
  EXPECT_EQ(events[2].message.substr(0, 53), "(service web) has stopped 1 running tasks: (task t0).");
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
    events.clear();
    status.deployments.resize(1);
    status.deployments[0].revision = spec.target;
    has_definition = true;
    room = {1 << 20, 0};
    c.given();
    const auto plan = decide();
    EXPECT_TRUE(plan.starts.empty());
    ASSERT_EQ(events.size(), 1u) << c.text;
    EXPECT_EQ(newest().substr(0, c.text.size()), c.text);
    decide();
    EXPECT_EQ(events.size(), 1u) << "told twice: " << newest();
  }
}

TEST_F(DeploymentTest, AnUpdateThatWaitsForMemoryIsToldAnew) {
  spec.desired_count = 1;
  room = {600, 300};
  decide();
  ASSERT_EQ(events.size(), 1u);
  now += 60'000;
  spec.generation = 3;
  spec.deployment_id = "ecs-svc/3333333333333333333";
  spec.deployment_created_at_ms = now;
  decide();
  EXPECT_EQ(events.size(), 2u) << "what was told is of the deployment before";
  decide();
  EXPECT_EQ(events.size(), 2u);
}

TEST_F(DeploymentTest, SettingsThatDoNothingYetAreToldOnce) {
  spec.desired_count = 0;
  spec.enable_execute_command = true;
  status.deployments[0].revision.kept = R"({"serviceConnectConfiguration":{"enabled":true}})";
  decide();
  int told = 0;
  for (const auto& event : events) told += event.message.find("does nothing yet") != std::string::npos;
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
  EXPECT_EQ(events.size(), static_cast<size_t>(records::kServiceEventsMax));
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
