#include "services/ecs/ecs.h"

#include "model/ecs/operations.h"
#include "services/ecs/access.h"
#include "services/ecs/account_settings.h"
#include "services/ecs/capacity.h"
#include "services/ecs/clusters.h"
#include "services/ecs/services.h"
#include "services/ecs/tagging.h"
#include "services/ecs/task_definitions.h"
#include "services/ecs/tasks.h"

namespace berth::services::ecs {
namespace {

// The handler's own types say which structs the operation has.
template <class In, class Out>
void add(Registry<model::Operation>& registry, const model::Operation& operation,
         std::type_identity_t<Access<In>> access, Handled<Out> (*handler)(const Context&, const In&)) {
  registry.on<In, Out>(operation, std::move(access), handler);
}

}  // namespace

void add_handlers(Registry<model::Operation>& registry) {
  add(registry, m::kCreateCluster, access::create_cluster, create_cluster);
  add(registry, m::kDeleteCluster, access::of_cluster, delete_cluster);
  add(registry, m::kDescribeClusters, access::describe_clusters, describe_clusters);
  add(registry, m::kListClusters, kAnyResource, list_clusters);
  add(registry, m::kUpdateCluster, access::of_cluster, update_cluster);
  add(registry, m::kUpdateClusterSettings, access::of_cluster, update_cluster_settings);
  add(registry, m::kPutClusterCapacityProviders, access::of_cluster, put_cluster_capacity_providers);
  add(registry, m::kDescribeCapacityProviders, kAnyResource, describe_capacity_providers);
  add(registry, m::kListContainerInstances, access::of_cluster, list_container_instances);
  add(registry, m::kRegisterTaskDefinition, access::register_task_definition, register_task_definition);
  add(registry, m::kDeregisterTaskDefinition, kAnyResource, deregister_task_definition);
  add(registry, m::kDeleteTaskDefinitions, access::delete_task_definitions, delete_task_definitions);
  add(registry, m::kDescribeTaskDefinition, kAnyResource, describe_task_definition);
  add(registry, m::kListTaskDefinitions, kAnyResource, list_task_definitions);
  add(registry, m::kListTaskDefinitionFamilies, kAnyResource, list_task_definition_families);
  add(registry, m::kRunTask, access::run_task, run_task);
  add(registry, m::kStopTask, access::stop_task, stop_task);
  add(registry, m::kDescribeTasks, access::describe_tasks, describe_tasks);
  add(registry, m::kListTasks, access::list_tasks, list_tasks);
  add(registry, m::kCreateService, access::create_service, create_service);
  add(registry, m::kUpdateService, access::update_service, update_service);
  add(registry, m::kDeleteService, access::of_service, delete_service);
  add(registry, m::kDescribeServices, access::describe_services, describe_services);
  add(registry, m::kListServices, access::in_cluster, list_services);
  add(registry, m::kTagResource, access::tag_resource, tag_resource);
  add(registry, m::kUntagResource, access::of_arn, untag_resource);
  add(registry, m::kListTagsForResource, access::of_arn, list_tags_for_resource);
  add(registry, m::kListAccountSettings, kAnyResource, list_account_settings);
  add(registry, m::kPutAccountSetting, access::put_account_setting, put_account_setting);
  add(registry, m::kPutAccountSettingDefault, access::put_account_setting, put_account_setting_default);
}

}  // namespace berth::services::ecs
