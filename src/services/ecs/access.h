// What each operation of ECS asks of IAM, told from its input alone. Identifiers that are not well-formed stay as they were
// written: the handler refuses them afterwards, and no policy allows them but one that allows everything.
#pragma once

#include "model/ecs/cluster.h"
#include "model/ecs/service.h"
#include "model/ecs/tag.h"
#include "model/ecs/task.h"
#include "model/ecs/task_definition.h"
#include "services/ecs/shapes.h"
#include "services/handler.h"

namespace berth::services::ecs::access {

std::string cluster_arn(const Context& context, std::string_view cluster);  // name or ARN; empty: "default"
std::string definition_arn(const Context& context, std::string_view definition);
// "service/<cluster>/<name>" and "task/<cluster>/<id>".
std::string arn_in_cluster(const Context& context, std::string_view kind, std::string_view cluster,
                           std::string_view name);

template <class In>
void of_cluster(const Context& context, const In& in, AccessQuery& query) {
  query.resource(cluster_arn(context, text(in.cluster)));
}
template <class In>
void of_service(const Context& context, const In& in, AccessQuery& query) {
  query.resource(arn_in_cluster(context, "service", text(in.cluster), in.service));
  query.condition("ecs:cluster", cluster_arn(context, text(in.cluster)));
}
// "*", in one cluster.
template <class In>
void in_cluster(const Context& context, const In& in, AccessQuery& query) {
  query.every_resource();
  query.condition("ecs:cluster", cluster_arn(context, text(in.cluster)));
}
template <class In>
void of_arn(const Context&, const In& in, AccessQuery& query) {
  query.resource(in.resource_arn);
}

void create_cluster(const Context& context, const m::CreateClusterRequest& in, AccessQuery& query);
void describe_clusters(const Context& context, const m::DescribeClustersRequest& in, AccessQuery& query);
void register_task_definition(const Context& context, const m::RegisterTaskDefinitionRequest& in, AccessQuery& query);
void delete_task_definitions(const Context& context, const m::DeleteTaskDefinitionsRequest& in, AccessQuery& query);
void run_task(const Context& context, const m::RunTaskRequest& in, AccessQuery& query);
void stop_task(const Context& context, const m::StopTaskRequest& in, AccessQuery& query);
void describe_tasks(const Context& context, const m::DescribeTasksRequest& in, AccessQuery& query);
void list_tasks(const Context& context, const m::ListTasksRequest& in, AccessQuery& query);
void create_service(const Context& context, const m::CreateServiceRequest& in, AccessQuery& query);
void update_service(const Context& context, const m::UpdateServiceRequest& in, AccessQuery& query);
void describe_services(const Context& context, const m::DescribeServicesRequest& in, AccessQuery& query);
void tag_resource(const Context& context, const m::TagResourceRequest& in, AccessQuery& query);
template <class In>
void put_account_setting(const Context&, const In& in, AccessQuery& query) {
  query.every_resource();
  query.condition("ecs:account-setting", in.name);
}

}  // namespace berth::services::ecs::access
