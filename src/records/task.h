// A task: what was asked (spec, intent), what control decided (status), what the agent saw (observed). Four keys, four
// writers; DescribeTasks merges them. States and texts: ECS Developer Guide, "task lifecycle" and "stopped task error codes".
//
//   spec written ─▶ PROVISIONING ─▶ PENDING ─▶ ACTIVATING ─▶ RUNNING ─▶ DEACTIVATING ─▶ STOPPING ─▶ DEPROVISIONING ─▶ STOPPED
//                   agent: order=run,          all containers that      order=stop     every container   released     erased an
//                   network + image            must run have started                   exited            by agent     hour later
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "records/cluster.h"

namespace berth::records {

enum class TaskState { provisioning, pending, activating, running, deactivating, stopping, deprovisioning, stopped };
enum class DesiredStatus { running, stopped };
enum class StopCode {
  none,
  task_failed_to_start,
  essential_container_exited,
  user_initiated,
  service_scheduler_initiated,
  spot_interruption,
  termination_notice
};
enum class Health { unknown, healthy, unhealthy };

struct ContainerOverride {
  std::string name;
  std::optional<std::vector<std::string>> command;
  std::vector<std::pair<std::string, std::string>> environment;
  std::optional<int> cpu_units;
  std::optional<int> memory_mib;
  std::optional<int> memory_reservation_mib;
  template <class A>
  void fields(A& a) {
    a("name", name), a("command", command), a("environment", environment), a("cpu", cpu_units);
    a("memory", memory_mib), a("memoryReservation", memory_reservation_mib);
  }
};

struct AwsvpcConfiguration {
  std::vector<std::string> subnets;
  std::vector<std::string> security_groups;  // empty: the VPC's default group, which the agent takes
  bool assign_public_ip = false;
  bool operator==(const AwsvpcConfiguration&) const = default;
  template <class A>
  void fields(A& a) {
    a("subnets", subnets), a("securityGroups", security_groups), a("assignPublicIp", assign_public_ip);
  }
};

// Of serviceRegistries: where ECS registers the task. Zero and empty: not given.
struct ServiceRegistry {
  std::string registry_arn;
  int port = 0;
  std::string container_name;
  int container_port = 0;
  bool operator==(const ServiceRegistry&) const = default;
  template <class A>
  void fields(A& a) {
    a("arn", registry_arn), a("port", port), a("container", container_name), a("containerPort", container_port);
  }
};

struct TaskSpec {
  std::string family;
  int64_t revision = 0;
  std::string group;        // "family:<family>" or "service:<name>"
  std::string started_by;   // for a service's tasks: the deployment's id
  std::string service;      // name; empty for a standalone task
  std::string launch_type;  // FARGATE; empty where a capacity provider was used
  std::string capacity_provider;
  std::string platform_version = "1.4.0";
  AwsvpcConfiguration network;
  std::vector<ContainerOverride> overrides;
  int cpu_units = 0;  // of the whole task, overrides applied: what placement counts
  int memory_mib = 0;
  bool enable_execute_command = false;
  Tags tags;                  // as propagated at creation, managed tags (aws:ecs:…) included
  std::string attachment_id;  // uuid of the network interface attachment
  std::string eni_id;         // eni-<17 hex>
  std::vector<ServiceRegistry> registries;
  std::string kept;           // JSON: RunTask's overrides as sent and other kept members, in API shape
  TimeMs created_at_ms = 0;

  template <class A>
  void fields(A& a) {
    a("family", family), a("revision", revision), a("group", group), a("startedBy", started_by);
    a("service", service), a("launchType", launch_type), a("capacityProvider", capacity_provider);
    a("platformVersion", platform_version), a("network", network), a("overrides", overrides), a("cpu", cpu_units);
    a("memory", memory_mib), a("exec", enable_execute_command), a("tags", tags), a("attachment", attachment_id);
    a("eni", eni_id), a("registries", registries), a("kept", kept), a("createdAt", created_at_ms);
  }
};

struct TaskTags {
  Tags tags;
  template <class A>
  void fields(A& a) {
    a("tags", tags);
  }
};

// StopTask's wish; control merges it. Setting it is irreversible.
struct TaskIntent {
  TimeMs stop_requested_at_ms = 0;
  std::string reason;  // "Task stopped by user" or the caller's text
  template <class A>
  void fields(A& a) {
    a("stopRequestedAt", stop_requested_at_ms), a("reason", reason);
  }
};

// What the agent shall make true. The agent converges on the latest status it sees; orders only ever go forward.
enum class Order { none, run, stop };

struct TaskStatus {
  TaskState state = TaskState::provisioning;
  DesiredStatus desired = DesiredStatus::running;
  int64_t version = 1;  // grows with each change that would emit an event
  Order order = Order::none;
  std::string host;            // chosen at placement; empty: not placed (or written before there were hosts)
  int64_t host_epoch = 0;      // of the host then
  std::string subnet_id;       // chosen at placement; fixes the availability zone
  std::string availability_zone;
  StopCode stop_code = StopCode::none;
  std::string stopped_reason;
  Health health = Health::unknown;  // of the task: essential containers with a check only
  TimeMs started_at_ms = 0;
  TimeMs stopping_at_ms = 0;
  TimeMs execution_stopped_at_ms = 0;
  TimeMs stopped_at_ms = 0;
  // Its service's controller has counted its failure, in the transaction that wrote this: none is counted twice.
  bool failure_counted = false;

  bool operator==(const TaskStatus&) const = default;
  template <class A>
  void fields(A& a) {
    a("state", state), a("desired", desired), a("version", version), a("order", order), a("host", host);
    a("hostEpoch", host_epoch), a("subnet", subnet_id), a("zone", availability_zone), a("stopCode", stop_code);
    a("reason", stopped_reason), a("health", health), a("startedAt", started_at_ms), a("stoppingAt", stopping_at_ms);
    a("executionStoppedAt", execution_stopped_at_ms), a("stoppedAt", stopped_at_ms);
    a("failureCounted", failure_counted);
  }
};

struct ContainerObserved {
  std::string name;
  std::string runtime_id;  // "<task id>-<10 digits>"
  std::string image_digest;
  int starts = 0;  // how often it has been started (restarts = starts - 1)
  bool running = false;
  TimeMs started_at_ms = 0;  // of the latest start
  TimeMs exited_at_ms = 0;
  bool start_failed = false;     // it was to start, or to start again, and could not: it is not tried again
  std::optional<int> exit_code;  // absent: never started or unknown; 143 where it waited for what never came
  std::string reason;            // "OutOfMemoryError: …", "CannotStartContainerError: …"; absent on normal exit
  Health health = Health::unknown;
  TimeMs health_since_ms = 0;

  template <class A>
  void fields(A& a) {
    a("name", name), a("runtimeId", runtime_id), a("digest", image_digest), a("starts", starts), a("running", running);
    a("startedAt", started_at_ms), a("exitedAt", exited_at_ms), a("exitCode", exit_code), a("reason", reason);
    a("startFailed", start_failed);
    a("health", health), a("healthSince", health_since_ms);
  }
};

struct TaskObserved {
  int64_t epoch = 0;           // of its host when this was seen; 0: written before there were epochs
  int64_t order_revision = 0;  // of the latest order that the task had taken (records/host.h)
  bool provisioned = false;    // namespace, address, images and supervisor are there
  std::string address;       // 172.31.x.y
  std::string mac;
  TimeMs connectivity_at_ms = 0;
  TimeMs pull_started_at_ms = 0;
  TimeMs pull_stopped_at_ms = 0;
  std::vector<ContainerObserved> containers;
  // Why the task cannot start or go on: "CannotPullContainerError: …", "ResourceInitializationError: …", or that its
  // supervisor died. Not empty: the agent has stopped, or is stopping, what ran.
  std::string failure;
  bool stopped = false;   // nothing of it runs any more
  bool released = false;  // network, mounts, cgroups and directory are given back
  TimeMs stopped_at_ms = 0;

  template <class A>
  void fields(A& a) {
    a("epoch", epoch), a("orderRevision", order_revision);
    a("provisioned", provisioned), a("address", address), a("mac", mac), a("connectivityAt", connectivity_at_ms);
    a("pullStartedAt", pull_started_at_ms), a("pullStoppedAt", pull_stopped_at_ms), a("containers", containers);
    a("failure", failure), a("stopped", stopped), a("released", released), a("stoppedAt", stopped_at_ms);
  }
};

}  // namespace berth::records
