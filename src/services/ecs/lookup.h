// How the objects that requests name are found.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "records/read.h"
#include "services/common/work.h"
#include "services/handler.h"

namespace berth::services::ecs {

using common::Work;

using ClusterPtr = std::shared_ptr<const records::Cluster>;
using DefinitionPtr = std::shared_ptr<const records::TaskDefinition>;

// By name or ARN; empty means "default". Deleted ones are found by the first, answered as AWS does by the second.
ApiResult<ClusterPtr> find_cluster(Work& work, std::string_view text);
ApiResult<ClusterPtr> find_active_cluster(Work& work, std::string_view text);

// A revision, or the latest ACTIVE one of a family. Null: there is none. Definitions in deletion that nothing refers to
// any more are gone.
ApiResult<DefinitionPtr> look_up_definition(Work& work, std::string_view text);
// For RunTask and services: absent and inactive ones are errors.
ApiResult<DefinitionPtr> find_active_definition(Work& work, std::string_view text);
// Kept in its document alone: a role changes nothing at run time until IAM is served.
bool definition_has_task_role(const records::TaskDefinition& definition);
std::optional<int> definition_storage_gib(const records::TaskDefinition& definition);
// True while a task that is not STOPPED, or a service that is not INACTIVE, needs it.
bool definition_is_referenced(const Context& context, const records::Scope& scope, const records::TaskDefinition& d);

struct Service {
  records::keys::ServicePath path;
  std::shared_ptr<const records::ServiceSpec> spec;
  std::shared_ptr<const records::ServiceStatus> status;  // null: control has not seen this incarnation yet

  std::string_view state() const;  // ACTIVE, DRAINING, INACTIVE
  // What runs or is about to: the spec's target, or what a rollback put in its place.
  const records::Revision& effective() const;
  bool status_is_current() const { return status && status->generation >= spec->generation; }
};
std::optional<Service> find_service(Work& work, const std::string& cluster, const std::string& name);
// By name or ARN, in an ACTIVE cluster, for changing it. An absent one is an error; of a deleted one the caller decides.
struct ServiceInCluster {
  ClusterPtr cluster;
  Service service;
};
ApiResult<ServiceInCluster> find_service_to_change(Work& work, std::string_view cluster, std::string_view service);
// A page-wise walk over a cluster's services; `each` says whether to go on. Keys are service names.
void each_service(const Context& context, const records::Scope& scope, const std::string& cluster,
                  std::string_view after, const std::function<bool(const Service&)>& each);

struct TaskCounts {
  int running = 0;
  int pending = 0;
  int active = 0;  // not STOPPED: what keeps a cluster from being deleted
};
TaskCounts count_cluster(const Context& context, const records::Scope& scope, const std::string& cluster);
// Of one deployment where `started_by` is not empty.
TaskCounts count_service(const Context& context, const records::keys::ServicePath& path, std::string_view started_by);

}  // namespace berth::services::ecs
