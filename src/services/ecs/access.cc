#include "services/ecs/access.h"

#include <fmt/format.h>

#include "services/ecs/identifiers.h"

namespace berth::services::ecs::access {
namespace {

constexpr std::string_view kTasks = "ecs-tasks.amazonaws.com";
constexpr std::string_view kEcs = "ecs.amazonaws.com";

std::string arn(const Context& context, std::string_view resource) {
  return fmt::format("arn:aws:ecs:{}:{}:{}", context.caller.region, context.caller.account, resource);
}

// The last part of an ARN's resource, or the name itself.
std::string_view short_name(std::string_view name_or_arn) {
  return name_or_arn.starts_with("arn:") ? name_or_arn.substr(name_or_arn.rfind('/') + 1) : name_or_arn;
}

// Of a request that makes something with tags: the keys and values, and ecs:TagResource of what is made.
void tags_at_creation(const std::optional<std::vector<m::Tag>>& tags, std::string made, std::string_view operation,
                      AccessQuery& query) {
  if (!tags || tags->empty()) return;
  Permission tagging{"ecs:TagResource", {std::move(made)}, {{"ecs:CreateAction", std::string(operation)}}};
  for (const m::Tag& tag : *tags) {
    const std::string key = text(tag.key);
    for (const auto& [name, value] :
         {std::pair{"aws:RequestTag/" + key, text(tag.value)}, std::pair{std::string("aws:TagKeys"), key}}) {
      query.condition(name, value);
      tagging.conditions.emplace_back(name, value);
    }
  }
  query.also(std::move(tagging));
}

void pass_role(const Context& context, const std::optional<std::string>& role, std::string_view to,
               AccessQuery& query) {
  if (role && !role->empty()) query.pass_role(role_arn(*role, context.caller.account), to);
}

template <class Volumes>
void pass_volume_roles(const Volumes& volumes, AccessQuery& query) {
  if (!volumes) return;
  for (const auto& volume : *volumes)
    if (volume.managed_ebs_volume) query.pass_role(volume.managed_ebs_volume->role_arn, kEcs);
}

}  // namespace

std::string cluster_arn(const Context& context, std::string_view cluster) {
  if (cluster.starts_with("arn:")) return std::string(cluster);
  return arn(context, fmt::format("cluster/{}", cluster.empty() ? "default" : cluster));
}

std::string definition_arn(const Context& context, std::string_view definition) {
  return definition.starts_with("arn:") ? std::string(definition)
                                        : arn(context, fmt::format("task-definition/{}", definition));
}

std::string arn_in_cluster(const Context& context, std::string_view kind, std::string_view cluster,
                           std::string_view name) {
  if (name.starts_with("arn:")) return std::string(name);
  const std::string_view in = short_name(cluster);
  return arn(context, fmt::format("{}/{}/{}", kind, in.empty() ? "default" : in, name));
}

void create_cluster(const Context& context, const m::CreateClusterRequest& in, AccessQuery& query) {
  query.every_resource();
  tags_at_creation(in.tags, cluster_arn(context, text(in.cluster_name)), "CreateCluster", query);
}

void describe_clusters(const Context& context, const m::DescribeClustersRequest& in, AccessQuery& query) {
  if (!in.clusters || in.clusters->empty()) return query.resource(cluster_arn(context, ""));
  for (const std::string& cluster : *in.clusters) query.resource(cluster_arn(context, cluster));
}

void register_task_definition(const Context& context, const m::RegisterTaskDefinitionRequest& in, AccessQuery& query) {
  query.every_resource();
  pass_role(context, in.task_role_arn, kTasks, query);
  pass_role(context, in.execution_role_arn, kTasks, query);
  tags_at_creation(in.tags, definition_arn(context, in.family + ":*"), "RegisterTaskDefinition", query);
}

void delete_task_definitions(const Context& context, const m::DeleteTaskDefinitionsRequest& in, AccessQuery& query) {
  for (const std::string& definition : in.task_definitions) query.resource(definition_arn(context, definition));
}

void run_task(const Context& context, const m::RunTaskRequest& in, AccessQuery& query) {
  query.resource(definition_arn(context, in.task_definition));
  query.condition("ecs:cluster", cluster_arn(context, text(in.cluster)));
  query.condition("ecs:enable-execute-command", flag(in.enable_execute_command, false) ? "true" : "false");
  if (in.overrides) {
    pass_role(context, in.overrides->task_role_arn, kTasks, query);
    pass_role(context, in.overrides->execution_role_arn, kTasks, query);
  }
  pass_volume_roles(in.volume_configurations, query);
  tags_at_creation(in.tags, arn_in_cluster(context, "task", text(in.cluster), "*"), "RunTask", query);
}

void stop_task(const Context& context, const m::StopTaskRequest& in, AccessQuery& query) {
  query.resource(arn_in_cluster(context, "task", text(in.cluster), in.task));
  query.condition("ecs:cluster", cluster_arn(context, text(in.cluster)));
}

void describe_tasks(const Context& context, const m::DescribeTasksRequest& in, AccessQuery& query) {
  for (const std::string& task : in.tasks) query.resource(arn_in_cluster(context, "task", text(in.cluster), task));
  query.condition("ecs:cluster", cluster_arn(context, text(in.cluster)));
}

void list_tasks(const Context& context, const m::ListTasksRequest& in, AccessQuery& query) {
  const std::string instance = text(in.container_instance);
  if (instance.empty())
    query.every_resource();
  else
    query.resource(arn_in_cluster(context, "container-instance", text(in.cluster), instance));
  query.condition("ecs:cluster", cluster_arn(context, text(in.cluster)));
}

void create_service(const Context& context, const m::CreateServiceRequest& in, AccessQuery& query) {
  const std::string made = arn_in_cluster(context, "service", text(in.cluster), in.service_name);
  query.resource(made);
  query.condition("ecs:cluster", cluster_arn(context, text(in.cluster)));
  if (in.task_definition) query.condition("ecs:task-definition", definition_arn(context, *in.task_definition));
  query.condition("ecs:enable-execute-command", flag(in.enable_execute_command, false) ? "true" : "false");
  pass_role(context, in.role, kEcs, query);
  pass_volume_roles(in.volume_configurations, query);
  tags_at_creation(in.tags, made, "CreateService", query);
}

void update_service(const Context& context, const m::UpdateServiceRequest& in, AccessQuery& query) {
  of_service(context, in, query);
  if (in.task_definition) query.condition("ecs:task-definition", definition_arn(context, *in.task_definition));
  if (in.enable_execute_command)
    query.condition("ecs:enable-execute-command", *in.enable_execute_command ? "true" : "false");
  pass_volume_roles(in.volume_configurations, query);
}

void describe_services(const Context& context, const m::DescribeServicesRequest& in, AccessQuery& query) {
  for (const std::string& service : in.services)
    query.resource(arn_in_cluster(context, "service", text(in.cluster), service));
  query.condition("ecs:cluster", cluster_arn(context, text(in.cluster)));
}

void tag_resource(const Context&, const m::TagResourceRequest& in, AccessQuery& query) {
  query.resource(in.resource_arn);
  for (const m::Tag& tag : in.tags) {
    query.condition("aws:RequestTag/" + text(tag.key), text(tag.value));
    query.condition("aws:TagKeys", text(tag.key));
  }
}

}  // namespace berth::services::ecs::access
