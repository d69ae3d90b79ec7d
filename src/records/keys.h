// The key space. Every key carries account and region from the start. One writer a key:
//
//   ecs/cluster/<account>/<region>/<cluster>                     Cluster         services/ecs
//   ecs/family/<account>/<region>/<family>                       TaskFamily      services/ecs
//   ecs/taskdef/<account>/<region>/<family>/<revision, 10 digits> TaskDefinition services/ecs
//   ecs/taskdef-leaving/<account>/<region>/<family>/<revision>   LeavingDefinition  services/ecs (DeleteTaskDefinitions)
//   ecs/setting/<account>/<region>/<principal arn>/<name>        AccountSetting  services/ecs
//   ecs/token/<account>/<region>/<operation>/<token>             ClientToken     services/ecs
//   ecs/service-spec/<account>/<region>/<cluster>/<service>      ServiceSpec     services/ecs
//   ecs/service-status/<account>/<region>/<cluster>/<service>    ServiceStatus   control/loop
//   ecs/service-event/<account>/<region>/<cluster>/<service>/<number> ServiceEvent  control/loop
//   ecs/task-spec/<account>/<region>/<cluster>/<id>              TaskSpec        its creator (RunTask in services/ecs, or the
//                                                                                service's controller), once; erased by control
//   ecs/task-tags/<account>/<region>/<cluster>/<id>              TaskTags        services/ecs (only where tags changed after creation)
//   ecs/task-intent/<account>/<region>/<cluster>/<id>            TaskIntent      services/ecs (StopTask)
//   ecs/task-status/<account>/<region>/<cluster>/<id>            TaskStatus      control/loop
//   ecs/task-observed/<account>/<region>/<cluster>/<id>          TaskObserved    agent
//   hosts/<host>                                                 Host            control (its agent registers through it)
//   host-lease/<host>                                            HostLease       its agent
//   host/<host>/order/<account>/<region>/<cluster>/<id>          TaskOrder       control/loop, once
//   host/<host>/stop/<account>/<region>/<cluster>/<id>           TaskStop        control/loop, once
//   ec2/<kind>/<account>/<region>/<id>   network.h lists the kinds      services/ec2; interfaces of tasks: control
//   ec2/token/<account>/<region>/<operation>/<token>             ClientToken     services/ec2; erased by control after a day
//   ec2/region/<account>/<region>/default-vpc                    DefaultVpcMade  services/ec2
//   logs/group/<account>/<region>/<group name>                   LogGroup        services/logs, or control for awslogs-create-group
//   logs/stream/<account>/<region>/<group uid>/<stream name>     LogStream       its creator (services/logs or control), once
//
// What is over is erased by control, which is the one exception to "one writer": all keys of a task in one transaction
// when its hour as STOPPED is over (nobody writes them after control has written STOPPED and the agent `released`), all
// of a service an hour after it became INACTIVE, and what control/loop/retention.h lists.
// Names in keys are percent-encoded where they hold '/' (log groups), so that a prefix ending in '/' is exact.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace berth::records {

// Where an object lives. Passed together everywhere.
struct Scope {
  std::string account;
  std::string region;
  auto operator<=>(const Scope&) const = default;
};

// Escapes '/' and '%' only.
std::string escape_key_part(std::string_view part);
std::string unescape_key_part(std::string_view part);

namespace keys {

inline constexpr std::string_view kCluster = "ecs/cluster/";
inline constexpr std::string_view kToken = "ecs/token/";
inline constexpr std::string_view kEc2Token = "ec2/token/";
inline constexpr std::string_view kLeavingDefinition = "ecs/taskdef-leaving/";

inline std::string cluster(const Scope& s, std::string_view name) {
  return fmt::format("ecs/cluster/{}/{}/{}", s.account, s.region, name);
}
inline std::string family(const Scope& s, std::string_view name) {
  return fmt::format("ecs/family/{}/{}/{}", s.account, s.region, name);
}
inline std::string task_definition(const Scope& s, std::string_view family, int64_t revision) {
  return fmt::format("ecs/taskdef/{}/{}/{}/{:010}", s.account, s.region, family, revision);
}
inline std::string task_definitions(const Scope& s, std::string_view family) {
  return fmt::format("ecs/taskdef/{}/{}/{}/", s.account, s.region, family);
}
inline std::string leaving_definition(const Scope& s, std::string_view family, int64_t revision) {
  return fmt::format("{}{}/{}/{}/{:010}", kLeavingDefinition, s.account, s.region, family, revision);
}
struct DefinitionPath {
  Scope scope;
  std::string family;
  int64_t revision = 0;
};
// Of a key of a definition, leaving or not.
DefinitionPath definition_path(std::string_view key);
inline std::string setting(const Scope& s, std::string_view principal, std::string_view name) {
  return fmt::format("ecs/setting/{}/{}/{}/{}", s.account, s.region, escape_key_part(principal), name);
}
inline std::string token(const Scope& s, std::string_view operation, std::string_view token) {
  return fmt::format("ecs/token/{}/{}/{}/{}", s.account, s.region, operation, escape_key_part(token));
}
inline std::string service_spec(const Scope& s, std::string_view cluster, std::string_view name) {
  return fmt::format("ecs/service-spec/{}/{}/{}/{}", s.account, s.region, cluster, name);
}
inline std::string service_status(const Scope& s, std::string_view cluster, std::string_view name) {
  return fmt::format("ecs/service-status/{}/{}/{}/{}", s.account, s.region, cluster, name);
}

// A task's keys differ in the kind only; the rest, "<account>/<region>/<cluster>/<id>", is its path.
struct TaskPath {
  Scope scope;
  std::string cluster;
  std::string id;

  auto operator<=>(const TaskPath&) const = default;
  std::string str() const { return fmt::format("{}/{}/{}/{}", scope.account, scope.region, cluster, id); }
  std::string arn() const {
    return fmt::format("arn:aws:ecs:{}:{}:task/{}/{}", scope.region, scope.account, cluster, id);
  }
};
inline constexpr std::string_view kTaskSpec = "ecs/task-spec/";
inline constexpr std::string_view kTaskTags = "ecs/task-tags/";
inline constexpr std::string_view kTaskIntent = "ecs/task-intent/";
inline constexpr std::string_view kTaskStatus = "ecs/task-status/";
inline constexpr std::string_view kTaskObserved = "ecs/task-observed/";
inline std::string task(std::string_view kind, const TaskPath& path) { return std::string(kind) + path.str(); }
// The path of a key of any task kind; `key` must be one.
TaskPath task_path(std::string_view key);
// Absent where it is not the ARN of a task.
std::optional<TaskPath> task_path_of_arn(std::string_view arn);

inline constexpr std::string_view kHost = "hosts/";
inline constexpr std::string_view kHostLease = "host-lease/";
inline std::string host(std::string_view kind, std::string_view id) { return fmt::format("{}{}", kind, id); }
// What a host is told: all of it, by kind, and one task's.
inline std::string host_orders(std::string_view host) { return fmt::format("host/{}/order/", host); }
inline std::string host_stops(std::string_view host) { return fmt::format("host/{}/stop/", host); }
inline std::string task_order(std::string_view host, const TaskPath& path) { return host_orders(host) + path.str(); }
inline std::string task_stop(std::string_view host, const TaskPath& path) { return host_stops(host) + path.str(); }

// The same for services: "<account>/<region>/<cluster>/<service>".
struct ServicePath {
  Scope scope;
  std::string cluster;
  std::string name;
  auto operator<=>(const ServicePath&) const = default;
  std::string arn() const {
    return fmt::format("arn:aws:ecs:{}:{}:service/{}/{}", scope.region, scope.account, cluster, name);
  }
};
inline constexpr std::string_view kServiceSpec = "ecs/service-spec/";
inline constexpr std::string_view kServiceStatus = "ecs/service-status/";
inline constexpr std::string_view kServiceEvent = "ecs/service-event/";
inline std::string service(std::string_view kind, const ServicePath& p) {
  return fmt::format("{}{}/{}/{}/{}", kind, p.scope.account, p.scope.region, p.cluster, p.name);
}
ServicePath service_path(std::string_view key);
// The n-th event of a service, counted from 1; ascending as text.
inline std::string service_event(const ServicePath& p, int64_t number) {
  return fmt::format("{}/{:010}", service(kServiceEvent, p), number);
}

inline std::string ec2(std::string_view kind, const Scope& s, std::string_view id) {
  return fmt::format("ec2/{}/{}/{}/{}", kind, s.account, s.region, id);
}
inline std::string log_group(const Scope& s, std::string_view name) {
  return fmt::format("logs/group/{}/{}/{}", s.account, s.region, escape_key_part(name));
}
inline std::string log_stream(const Scope& s, std::string_view group_uid, std::string_view name) {
  return fmt::format("logs/stream/{}/{}/{}/{}", s.account, s.region, group_uid, escape_key_part(name));
}

}  // namespace keys

inline std::string cluster_arn(const Scope& s, std::string_view name) {
  return fmt::format("arn:aws:ecs:{}:{}:cluster/{}", s.region, s.account, name);
}
inline std::string task_definition_arn(const Scope& s, std::string_view family, int64_t revision) {
  return fmt::format("arn:aws:ecs:{}:{}:task-definition/{}:{}", s.region, s.account, family, revision);
}

}  // namespace berth::records
