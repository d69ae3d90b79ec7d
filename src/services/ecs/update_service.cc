// UpdateService: what changes the spec, and which changes start a deployment.
#include <algorithm>

#include "base/random.h"
#include "services/ecs/errors.h"
#include "services/ecs/kept.h"
#include "services/ecs/registries.h"
#include "services/ecs/service_render.h"
#include "services/ecs/service_rules.h"
#include "services/ecs/services.h"

namespace berth::services::ecs {
namespace {

bool same(const records::Revision& a, const records::Revision& b) {
  return a.family == b.family && a.revision == b.revision && a.launch_type == b.launch_type &&
         a.strategy == b.strategy && a.platform_version == b.platform_version && a.network == b.network &&
         a.kept == b.kept;
}

ApiResult<void> check_request(const m::UpdateServiceRequest& in, const records::ServiceSpec& spec) {
  const bool daemon = spec.scheduling_strategy == "DAEMON";
  if (daemon && in.desired_count)
    return invalid_parameter(
        "The daemon scheduling strategy does not support a desired count for services. Remove the desired count value "
        "and try again");
  if (number(in.desired_count, 0) < 0) return invalid_parameter("desiredCount must be at least 0.");
  if (number(in.health_check_grace_period_seconds, 0) < 0)
    return invalid_parameter("healthCheckGracePeriodSeconds must be at least 0.");
  return check_service_connect(in.service_connect_configuration);
}

// An empty strategy goes back to the launch type that the definition has been made for.
ApiResult<Launch> launch_of(const m::UpdateServiceRequest& in, const records::Cluster& cluster,
                            const records::Revision& before, const records::TaskDefinition& definition) {
  if (!in.capacity_provider_strategy) return Launch{before.launch_type, before.strategy};
  const auto strategy = strategy_of(*in.capacity_provider_strategy);
  if (!strategy.empty()) return choose_launch(cluster, "", strategy);
  if (before.strategy.empty()) return Launch{before.launch_type, {}};
  return Launch{definition.fargate_compatible ? "FARGATE" : "EC2", {}};
}

std::string kept_of(const m::UpdateServiceRequest& in, const records::Revision& before) {
  auto kept = from_kept<m::Deployment>(before.kept);
  if (in.service_connect_configuration) kept.service_connect_configuration = in.service_connect_configuration;
  if (in.volume_configurations) {
    kept.volume_configurations = in.volume_configurations;
    if (in.volume_configurations->empty()) kept.volume_configurations.reset();
  }
  return kept == m::Deployment{} ? std::string() : to_kept(kept);
}

// The definition that the updated service runs; it has to be ACTIVE only where a deployment of it starts.
ApiResult<DefinitionPtr> definition_of(Work& work, const m::UpdateServiceRequest& in, const records::Revision& before) {
  if (in.task_definition) return find_active_definition(work, *in.task_definition);
  auto found =
      work.get<records::TaskDefinition>(records::keys::task_definition(work.scope, before.family, before.revision));
  if (!found) return client_error("TaskDefinition not found.");
  return found;
}

ApiResult<records::Revision> target_of(Work& work, const m::UpdateServiceRequest& in, const records::Cluster& cluster,
                                       const records::Revision& before) {
  const auto definition = definition_of(work, in, before);
  if (!definition) return tl::unexpected(definition.error());
  const auto launch = launch_of(in, cluster, before, **definition);
  if (!launch) return tl::unexpected(launch.error());
  records::Revision target = before;
  target.family = (*definition)->family;
  target.revision = (*definition)->revision;
  target.launch_type = launch->launch_type;
  target.strategy = launch->strategy;
  if (in.platform_version) target.platform_version = *in.platform_version;
  if (!launch->fargate()) target.platform_version = text(in.platform_version);
  if (launch->fargate() && target.platform_version.empty()) target.platform_version = "LATEST";
  const auto platform =
      check_platform(*launch, **definition, target.platform_version, definition_storage_gib(**definition).has_value());
  if (!platform) return tl::unexpected(platform.error());
  const bool awsvpc = (*definition)->network_mode == "awsvpc";
  if (in.network_configuration || (awsvpc && before.network.subnets.empty())) {
    auto network = service_network(work.context, in.network_configuration, **definition);
    if (!network) return tl::unexpected(network.error());
    target.network = *std::move(network);
  }
  if (!awsvpc) target.network = {};
  if (in.service_registries) {
    auto registries = check_registries(work, *in.service_registries, **definition);
    if (!registries) return tl::unexpected(registries.error());
    target.registries = *std::move(registries);
  }
  for (const auto& checked :
       {check_placement(list(in.placement_constraints), list(in.placement_strategy), launch->fargate()),
        check_volumes(list(in.volume_configurations), **definition)})
    if (!checked) return tl::unexpected(checked.error());
  target.kept = kept_of(in, before);
  if (auto checked = check_revision_kept(target.kept); !checked) return tl::unexpected(checked.error());
  return target;
}

ApiResult<void> check_new_deployment(Work& work, const records::ServiceSpec& spec, const records::Revision& target) {
  const auto definition =
      work.get<records::TaskDefinition>(records::keys::task_definition(work.scope, target.family, target.revision));
  if (!definition || definition->status != "ACTIVE") return client_error("TaskDefinition is inactive");
  if (spec.enable_execute_command && !definition_has_task_role(*definition))
    return invalid_parameter(
        "The service couldn't be updated because a valid taskRoleArn is not being used. Specify a valid task role in "
        "your task definition and try again.");
  return {};
}

ApiResult<void> take_kept(const m::UpdateServiceRequest& in, records::ServiceSpec& spec) {
  const bool daemon = spec.scheduling_strategy == "DAEMON";
  auto kept = from_kept<m::Service>(spec.kept);
  auto deployment = check_deployment(kept.deployment_configuration.value_or(m::DeploymentConfiguration{}),
                                     in.deployment_configuration, daemon);
  if (!deployment) return tl::unexpected(deployment.error());
  auto rebalancing = check_rebalancing(in.availability_zone_rebalancing, text(kept.availability_zone_rebalancing),
                                       daemon, number(deployment->maximum_percent, 200));
  if (!rebalancing) return tl::unexpected(rebalancing.error());
  spec.deployment = deployment_record(*deployment);
  kept.deployment_configuration = *std::move(deployment);
  kept.availability_zone_rebalancing = *std::move(rebalancing);
  if (in.placement_constraints) kept.placement_constraints = in.placement_constraints;
  if (in.placement_strategy) kept.placement_strategy = in.placement_strategy;
  spec.kept = to_kept(kept);
  return {};
}

}  // namespace

Handled<m::UpdateServiceResponse> update_service(const Context& context, const m::UpdateServiceRequest& in) {
  Work work(context);
  auto found = find_service_to_change(work, text(in.cluster), in.service);
  if (!found) return tl::unexpected(found.error());
  Service& service = found->service;
  if (service.state() != "ACTIVE") return service_not_active();
  if (auto checked = check_request(in, *service.spec); !checked) return tl::unexpected(checked.error());

  records::ServiceSpec spec = *service.spec;
  if (auto taken = take_kept(in, spec); !taken) return tl::unexpected(taken.error());
  if (in.desired_count) spec.desired_count = *in.desired_count;
  if (in.health_check_grace_period_seconds) spec.health_check_grace_period_s = *in.health_check_grace_period_seconds;
  if (in.enable_execute_command) spec.enable_execute_command = *in.enable_execute_command;
  if (in.enable_ecs_managed_tags) spec.enable_ecs_managed_tags = *in.enable_ecs_managed_tags;
  if (in.propagate_tags) spec.propagate_tags = *in.propagate_tags;

  // After a rollback the service runs another revision than the spec names: that one is what is updated.
  const records::Revision before = service.effective();
  const auto target = target_of(work, in, *found->cluster, before);
  if (!target) return tl::unexpected(target.error());
  if (flag(in.force_new_deployment, false) || !same(*target, before)) {
    if (auto checked = check_new_deployment(work, spec, *target); !checked) return tl::unexpected(checked.error());
    spec.target = *target;
    ++spec.generation;
    spec.deployment_id = "ecs-svc/" + new_decimal_id(context.random, 19);
    spec.deployment_created_at_ms = context.now_ms;
  } else if (flag(in.enable_execute_command, false)) {
    if (auto checked = check_new_deployment(work, spec, before); !checked) return tl::unexpected(checked.error());
  }
  work.put(records::keys::service(records::keys::kServiceSpec, service.path), spec);
  service.spec = std::make_shared<const records::ServiceSpec>(std::move(spec));
  m::UpdateServiceResponse out;
  out.service = render_service(context, service, true);
  return {std::move(out), std::move(work.transaction)};
}

}  // namespace berth::services::ecs
