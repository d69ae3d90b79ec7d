#include "services/ecs/service_render.h"

#include <algorithm>

#include "records/names.h"
#include "records/service_events.h"
#include "services/ecs/fargate.h"
#include "services/ecs/kept.h"
#include "services/ecs/registries.h"

namespace berth::services::ecs {
namespace {

bool on_fargate(const records::Revision& revision) {
  return revision.launch_type == "FARGATE" || !revision.strategy.empty();
}

m::Deployment render_deployment(const Context& context, const Service& service, const records::Deployment& deployment,
                                bool primary) {
  const records::Revision& revision = deployment.revision;
  auto out = from_kept<m::Deployment>(revision.kept);
  const TaskCounts counts = count_service(context, service.path, deployment.id);
  out.id = deployment.id;
  out.status = primary ? "PRIMARY" : "ACTIVE";
  out.task_definition = records::task_definition_arn(service.path.scope, revision.family, revision.revision);
  out.desired_count = deployment.desired_count;
  out.pending_count = counts.pending;
  out.running_count = counts.running;
  out.failed_tasks = deployment.failed_tasks;
  out.created_at = time_of(deployment.created_at_ms);
  out.updated_at = time_of(deployment.updated_at_ms);
  if (revision.strategy.empty())
    out.launch_type = revision.launch_type;
  else
    out.capacity_provider_strategy = to_strategy(revision.strategy);
  if (on_fargate(revision)) {
    out.platform_version = std::string(resolve_platform_version(revision.platform_version).value_or("1.4.0"));
    out.platform_family = "Linux";
  }
  if (!revision.network.subnets.empty()) out.network_configuration = to_network(revision.network);
  out.rollout_state = std::string(records::name_of(deployment.rollout));
  out.rollout_state_reason = deployment.rollout_reason.empty()
                                 ? fmt::format("ECS deployment {} in progress.", deployment.id)
                                 : deployment.rollout_reason;
  return out;
}

// What control will make of a spec that it has not taken over yet.
records::Deployment deployment_to_come(const records::ServiceSpec& spec) {
  records::Deployment out;
  out.id = spec.deployment_id;
  out.generation = spec.generation;
  out.revision = spec.target;
  out.desired_count = spec.desired_count;
  out.created_at_ms = out.updated_at_ms = spec.deployment_created_at_ms;
  return out;
}

std::vector<m::Deployment> render_deployments(const Context& context, const Service& service) {
  std::vector<m::Deployment> out;
  if (service.state() == "INACTIVE") return out;
  bool primary = true;
  auto add = [&](const records::Deployment& deployment) {
    out.push_back(render_deployment(context, service, deployment, primary));
    primary = false;
  };
  if (!service.status_is_current()) add(deployment_to_come(*service.spec));
  if (service.status)
    for (const auto& deployment : service.status->deployments) add(deployment);
  // Scaling is seen at once, also before control has.
  if (!out.empty()) out.front().desired_count = service.spec->desired_count;
  return out;
}

std::vector<m::ServiceEvent> render_events(const Context& context, const Service& service) {
  std::vector<m::ServiceEvent> out;
  if (!service.status) return out;
  // A new service of an old name has none of its predecessor's, also before control has erased them.
  if (service.status->incarnation != service.spec->incarnation) return out;
  for (const auto& event : records::service_events(context.store, service.path)) {
    auto& to = out.emplace_back();
    to.id = event.id;
    to.created_at = time_of(event.created_at_ms);
    to.message = event.message;
  }
  return out;
}

void add_launch(const records::Revision& revision, m::Service& out) {
  if (revision.strategy.empty())
    out.launch_type = revision.launch_type;
  else
    out.capacity_provider_strategy = to_strategy(revision.strategy);
  if (on_fargate(revision)) {
    out.platform_version = revision.platform_version;
    out.platform_family = "Linux";
  }
  if (!revision.network.subnets.empty()) out.network_configuration = to_network(revision.network);
}

}  // namespace

m::Service render_service(const Context& context, const Service& service, bool with_tags) {
  const auto& spec = *service.spec;
  const auto& scope = service.path.scope;
  auto out = from_kept<m::Service>(spec.kept);
  out.service_arn = service.path.arn();
  out.service_name = spec.name;
  out.cluster_arn = records::cluster_arn(scope, service.path.cluster);
  out.load_balancers.emplace();
  out.status = std::string(service.state());
  const TaskCounts counts = count_service(context, service.path, {});
  out.desired_count = spec.desired_count;
  out.running_count = counts.running;
  out.pending_count = counts.pending;
  const records::Revision& effective = service.effective();
  add_launch(effective, out);
  out.service_registries = to_registries(effective.registries);
  out.task_definition = records::task_definition_arn(scope, effective.family, effective.revision);
  out.deployments = render_deployments(context, service);
  if (!out.role_arn)
    out.role_arn =
        fmt::format("arn:aws:iam::{}:role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS", scope.account);
  out.events = render_events(context, service);
  out.created_at = time_of(spec.created_at_ms);
  out.health_check_grace_period_seconds = spec.health_check_grace_period_s;
  out.scheduling_strategy = spec.scheduling_strategy;
  out.tags = to_tags(with_tags ? spec.tags : records::Tags{});
  out.created_by = spec.created_by;
  out.enable_ecs_managed_tags = spec.enable_ecs_managed_tags;
  out.propagate_tags = spec.propagate_tags;
  out.enable_execute_command = spec.enable_execute_command;
  return out;
}

}  // namespace berth::services::ecs
