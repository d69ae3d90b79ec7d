#include "services/ecs/ecs.h"

#include "model/ecs/operations.h"
#include "services/ecs/account_settings.h"
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
         Handled<Out> (*handler)(const Context&, const In&)) {
  registry.on<In, Out>(operation, handler);
}

}  // namespace

void add_handlers(Registry<model::Operation>& registry) {
  add(registry, m::kCreateCluster, create_cluster);
  add(registry, m::kDeleteCluster, delete_cluster);
  add(registry, m::kDescribeClusters, describe_clusters);
  add(registry, m::kListClusters, list_clusters);
  add(registry, m::kUpdateCluster, update_cluster);
  add(registry, m::kUpdateClusterSettings, update_cluster_settings);
  add(registry, m::kPutClusterCapacityProviders, put_cluster_capacity_providers);
  add(registry, m::kRegisterTaskDefinition, register_task_definition);
  add(registry, m::kDeregisterTaskDefinition, deregister_task_definition);
  add(registry, m::kDeleteTaskDefinitions, delete_task_definitions);
  add(registry, m::kDescribeTaskDefinition, describe_task_definition);
  add(registry, m::kListTaskDefinitions, list_task_definitions);
  add(registry, m::kListTaskDefinitionFamilies, list_task_definition_families);
  add(registry, m::kRunTask, run_task);
  add(registry, m::kStopTask, stop_task);
  add(registry, m::kDescribeTasks, describe_tasks);
  add(registry, m::kListTasks, list_tasks);
  add(registry, m::kCreateService, create_service);
  add(registry, m::kUpdateService, update_service);
  add(registry, m::kDeleteService, delete_service);
  add(registry, m::kDescribeServices, describe_services);
  add(registry, m::kListServices, list_services);
  add(registry, m::kTagResource, tag_resource);
  add(registry, m::kUntagResource, untag_resource);
  add(registry, m::kListTagsForResource, list_tags_for_resource);
  add(registry, m::kListAccountSettings, list_account_settings);
  add(registry, m::kPutAccountSetting, put_account_setting);
  add(registry, m::kPutAccountSettingDefault, put_account_setting_default);
}

}  // namespace berth::services::ecs
