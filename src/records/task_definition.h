// A task definition's revision: what is acted on as plain values, and the whole as AWS shows it. Writer: services/ecs.
// Immutable but for status, deregistration time and tags.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "records/cluster.h"

namespace berth::records {

enum class Condition { start, complete, success, healthy };

struct Dependency {
  std::string container;
  Condition condition = Condition::start;
  template <class A>
  void fields(A& a) {
    a("container", container), a("condition", condition);
  }
};

struct HealthCheck {
  std::vector<std::string> command;  // begins with CMD or CMD-SHELL
  int interval_s = 30;
  int timeout_s = 5;
  int retries = 3;
  int start_period_s = 0;
  template <class A>
  void fields(A& a) {
    a("command", command), a("interval", interval_s), a("timeout", timeout_s), a("retries", retries);
    a("startPeriod", start_period_s);
  }
};

struct RestartPolicy {
  std::vector<int> ignored_exit_codes;
  int attempt_period_s = 300;  // one restart a period, and only after having run at least that long
  template <class A>
  void fields(A& a) {
    a("ignored", ignored_exit_codes), a("period", attempt_period_s);
  }
};

struct MountPoint {
  std::string volume;
  std::string container_path;
  bool read_only = false;
  template <class A>
  void fields(A& a) {
    a("volume", volume), a("path", container_path), a("readOnly", read_only);
  }
};

struct VolumeFrom {
  std::string container;
  bool read_only = false;
  template <class A>
  void fields(A& a) {
    a("container", container), a("readOnly", read_only);
  }
};

struct Tmpfs {
  std::string container_path;
  int size_mib = 0;
  std::vector<std::string> mount_options;
  template <class A>
  void fields(A& a) {
    a("path", container_path), a("size", size_mib), a("options", mount_options);
  }
};

struct Ulimit {
  std::string name;
  int64_t soft = 0;
  int64_t hard = 0;
  template <class A>
  void fields(A& a) {
    a("name", name), a("soft", soft), a("hard", hard);
  }
};

struct AwsLogs {
  std::string group;
  std::string region;
  std::string stream_prefix;
  bool create_group = false;
  bool blocking = false;  // AWS's default has been non-blocking since 2025-06-25
  int64_t max_buffer_bytes = 10 * 1024 * 1024;
  std::string event_pattern;  // a line that has a match begins an event; empty: each line is one
  template <class A>
  void fields(A& a) {
    a("group", group), a("region", region), a("prefix", stream_prefix), a("createGroup", create_group);
    a("blocking", blocking), a("maxBuffer", max_buffer_bytes), a("eventPattern", event_pattern);
  }
};

struct ContainerDefinition {
  std::string name;
  std::string image;
  int cpu_units = 0;
  int memory_mib = 0;  // hard limit; 0: the task's alone
  int memory_reservation_mib = 0;
  bool essential = true;
  std::optional<std::vector<std::string>> entry_point;
  std::optional<std::vector<std::string>> command;
  std::vector<std::pair<std::string, std::string>> environment;  // duplicates kept as sent; the last wins at start
  std::string user;
  std::string working_directory;
  std::vector<Dependency> depends_on;
  std::optional<int> start_timeout_s;  // belongs to the dependency's target
  int stop_timeout_s = 30;
  std::optional<HealthCheck> health_check;
  std::optional<RestartPolicy> restart_policy;
  std::vector<MountPoint> mount_points;
  std::vector<VolumeFrom> volumes_from;
  std::vector<Tmpfs> tmpfs;
  std::vector<std::string> capabilities_add;
  std::vector<std::string> capabilities_drop;
  bool init_process = false;
  bool readonly_root = false;
  std::vector<Ulimit> ulimits;
  std::vector<std::pair<std::string, std::string>> system_controls;
  std::optional<AwsLogs> logs;

  template <class A>
  void fields(A& a) {
    a("name", name), a("image", image), a("cpu", cpu_units), a("memory", memory_mib);
    a("memoryReservation", memory_reservation_mib), a("essential", essential), a("entryPoint", entry_point);
    a("command", command), a("environment", environment), a("user", user), a("workdir", working_directory);
    a("dependsOn", depends_on), a("startTimeout", start_timeout_s), a("stopTimeout", stop_timeout_s);
    a("healthCheck", health_check), a("restartPolicy", restart_policy), a("mountPoints", mount_points);
    a("volumesFrom", volumes_from), a("tmpfs", tmpfs), a("capAdd", capabilities_add), a("capDrop", capabilities_drop);
    a("init", init_process), a("readonlyRoot", readonly_root), a("ulimits", ulimits);
    a("systemControls", system_controls), a("logs", logs);
  }
};

struct TaskDefinition {
  std::string family;
  int64_t revision = 0;
  std::string status = "ACTIVE";  // ACTIVE, INACTIVE, DELETE_IN_PROGRESS
  TimeMs registered_at_ms = 0;
  TimeMs deregistered_at_ms = 0;
  TimeMs delete_requested_at_ms = 0;
  int cpu_units = 0;  // task level; 0: none given
  int memory_mib = 0;
  std::string network_mode;
  bool fargate_compatible = false;  // FARGATE is among its compatibilities
  std::vector<ContainerDefinition> containers;
  std::vector<std::string> volumes;  // shared, empty at start
  // Not empty: a task of it stops with "ResourceInitializationError: <this>", naming what is not served.
  std::string not_served;
  Tags tags;
  std::string document;  // JSON of the API's TaskDefinition shape, without status, deregisteredAt and tags

  template <class A>
  void fields(A& a) {
    a("family", family), a("revision", revision), a("status", status), a("registeredAt", registered_at_ms);
    a("deregisteredAt", deregistered_at_ms), a("deleteRequestedAt", delete_requested_at_ms), a("cpu", cpu_units);
    a("memory", memory_mib), a("networkMode", network_mode), a("fargate", fargate_compatible);
    a("containers", containers), a("volumes", volumes), a("notServed", not_served), a("tags", tags);
    a("document", document);
  }
};

// Beside a definition in DELETE_IN_PROGRESS, so that control finds it among thousands that stay.
struct LeavingDefinition {
  TimeMs delete_requested_at_ms = 0;
  template <class A>
  void fields(A& a) {
    a("deleteRequestedAt", delete_requested_at_ms);
  }
};

// Revision numbers are never used twice, also not after deletion.
struct TaskFamily {
  int64_t latest_revision = 0;
  int64_t latest_active_revision = 0;  // 0: none is ACTIVE
  template <class A>
  void fields(A& a) {
    a("latest", latest_revision), a("latestActive", latest_active_revision);
  }
};

}  // namespace berth::records
