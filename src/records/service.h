// A service: what the user asked (spec, written by services/ecs) and what control made of it (status).
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "base/clock.h"
#include "records/cluster.h"
#include "records/task.h"

namespace berth::records {

struct DeploymentConfiguration {
  int minimum_healthy_percent = 100;
  int maximum_percent = 200;
  bool circuit_breaker = false;
  bool rollback = false;
  bool operator==(const DeploymentConfiguration&) const = default;
  template <class A>
  void fields(A& a) {
    a("minimum", minimum_healthy_percent), a("maximum", maximum_percent), a("breaker", circuit_breaker);
    a("rollback", rollback);
  }
};

// What a deployment runs. A change of any of it starts a new deployment.
struct Revision {
  std::string family;
  int64_t revision = 0;
  std::string launch_type;  // FARGATE, EC2 or empty with a strategy
  std::vector<StrategyItem> strategy;
  std::string platform_version = "LATEST";
  AwsvpcConfiguration network;
  std::string kept;  // JSON: serviceConnectConfiguration, volumeConfigurations … as sent
  std::vector<ServiceRegistry> registries;
  bool operator==(const Revision&) const = default;
  template <class A>
  void fields(A& a) {
    a("family", family), a("revision", revision), a("launchType", launch_type), a("strategy", strategy);
    a("platformVersion", platform_version), a("network", network), a("registries", registries);
    a("kept", kept);
  }
};

struct ServiceSpec {
  std::string name;
  Revision target;
  // Grows with each change that starts a deployment (forceNewDeployment included); control compares it with what it has.
  int64_t generation = 1;
  // Of this generation: "ecs-svc/<19 digits>", made by the handler so that its answer can show it.
  std::string deployment_id;
  TimeMs deployment_created_at_ms = 0;
  int desired_count = 0;
  std::string scheduling_strategy = "REPLICA";
  DeploymentConfiguration deployment;
  int health_check_grace_period_s = 0;
  std::string propagate_tags = "NONE";
  bool enable_ecs_managed_tags = false;
  bool enable_execute_command = false;
  Tags tags;
  std::string kept;  // JSON: other kept members in API shape (placementConstraints, availabilityZoneRebalancing …)
  std::string created_by;
  TimeMs created_at_ms = 0;
  TimeMs deleted_at_ms = 0;  // not 0: DeleteService was accepted; control drains it
  // A uuid: a name may be used again after INACTIVE; statuses and tasks of another one are not ours.
  std::string incarnation;

  template <class A>
  void fields(A& a) {
    a("name", name), a("target", target), a("generation", generation), a("deploymentId", deployment_id);
    a("deploymentCreatedAt", deployment_created_at_ms), a("desired", desired_count);
    a("scheduling", scheduling_strategy), a("deployment", deployment), a("grace", health_check_grace_period_s);
    a("propagateTags", propagate_tags), a("managedTags", enable_ecs_managed_tags), a("exec", enable_execute_command);
    a("tags", tags), a("kept", kept), a("createdBy", created_by), a("createdAt", created_at_ms);
    a("deletedAt", deleted_at_ms), a("incarnation", incarnation);
  }
};

struct ServiceEvent {
  std::string id;
  TimeMs created_at_ms = 0;
  std::string message;
  bool operator==(const ServiceEvent&) const = default;
  template <class A>
  void fields(A& a) {
    a("id", id), a("createdAt", created_at_ms), a("message", message);
  }
};

enum class Rollout { in_progress, completed, failed };

struct Deployment {
  std::string id;
  int64_t generation = 0;
  Revision revision;
  bool primary = true;  // else ACTIVE: being drained
  int desired_count = 0;
  int failed_tasks = 0;  // consecutive; reset by a healthy task
  Rollout rollout = Rollout::in_progress;
  std::string rollout_reason;
  TimeMs created_at_ms = 0;
  TimeMs updated_at_ms = 0;
  bool operator==(const Deployment&) const = default;
  template <class A>
  void fields(A& a) {
    a("id", id), a("generation", generation), a("revision", revision), a("primary", primary);
    a("desired", desired_count), a("failedTasks", failed_tasks), a("rollout", rollout);
    a("rolloutReason", rollout_reason), a("createdAt", created_at_ms), a("updatedAt", updated_at_ms);
  }
};

struct ServiceStatus {
  std::string status = "ACTIVE";  // DRAINING, INACTIVE
  std::string incarnation;
  int64_t generation = 0;               // of the spec that was last taken over
  std::vector<Deployment> deployments;  // newest first; [0] is PRIMARY
  // The revision of the last COMPLETED deployment: where a circuit breaker with rollback goes back to.
  std::vector<Revision> last_completed;  // none or one
  bool steady_announced = false;
  int start_failures = 0;       // in a row; back-off of starts
  TimeMs next_start_at_ms = 0;  // 0: at once
  TimeMs inactive_at_ms = 0;
  int64_t events_told = 0;  // the number of its newest event (service_events.h)

  bool operator==(const ServiceStatus&) const = default;
  template <class A>
  void fields(A& a) {
    a("status", status), a("incarnation", incarnation), a("generation", generation), a("deployments", deployments);
    a("lastCompleted", last_completed), a("steadyAnnounced", steady_announced), a("eventsTold", events_told);
    a("startFailures", start_failures), a("nextStartAt", next_start_at_ms), a("inactiveAt", inactive_at_ms);
  }
};

// Whether the service may still start tasks of the definition, by a roll-back included. A status of another incarnation
// says nothing.
inline bool names_definition(const ServiceSpec& spec, const ServiceStatus* status, const std::string& family,
                             int64_t revision) {
  const auto same = [&](const Revision& r) { return r.family == family && r.revision == revision; };
  if (!status || status->incarnation != spec.incarnation) return same(spec.target);
  if (status->status == "INACTIVE") return false;
  return same(spec.target) || std::any_of(status->last_completed.begin(), status->last_completed.end(), same) ||
         std::any_of(status->deployments.begin(), status->deployments.end(),
                     [&](const Deployment& deployment) { return same(deployment.revision); });
}

}  // namespace berth::records
