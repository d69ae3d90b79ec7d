// A service with its tasks, to be decided: what the tests of this folder share.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <string>

#include "control/deployment/deployment.h"
#include "records/service_events.h"

namespace berth::control::deployment {

using records::DesiredStatus;
using records::Health;
using records::Rollout;
using records::StopCode;
using records::TaskState;

inline constexpr TimeMs kNow = 1'700'000'000'000;
inline const records::keys::ServicePath kPath{{"123456789012", "eu-central-1"}, "default", "web"};
inline const std::string kNew = "ecs-svc/2222222222222222222", kOld = "ecs-svc/1111111111111111111";

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
    ServiceSnapshot snapshot{kPath, spec, &status, {}, has_definition ? &definition : nullptr, room, zones, true, events};
    for (const auto& task : summaries) snapshot.tasks.push_back({&task, checked});
    ServicePlan plan = deployment::decide(snapshot, now, random, settings);
    status = plan.status;
    events = plan.events;
    return plan;
  }
  int stops(const ServicePlan& plan, const std::string& deployment) const {
    int n = 0;
    for (const TaskStop& stop : plan.stops)
      for (const auto& task : summaries) n += task.path == stop.path && task.started_by == deployment;
    return n;
  }
  std::string newest() const { return events.empty() ? "" : events.front().message; }

  TimeMs now = kNow;
  Prng random{1};
  Settings settings;
  records::ServiceSpec spec;
  records::ServiceStatus status;
  std::vector<records::ServiceEvent> events;
  records::TaskDefinition definition;
  bool has_definition = true;
  bool checked = true;
  placement::Room room;
  std::map<std::string, std::string> zones;
  std::deque<records::TaskSummary> summaries;
};

}  // namespace berth::control::deployment
