// CreateService: checks, idempotency by name, and the spec.
#include <algorithm>

#include "base/random.h"
#include "services/ecs/errors.h"
#include "services/ecs/identifiers.h"
#include "services/ecs/kept.h"
#include "services/ecs/registries.h"
#include "services/ecs/service_render.h"
#include "services/ecs/service_rules.h"
#include "services/ecs/services.h"
#include "services/ecs/tags.h"
#include "services/ecs/tokens.h"

namespace berth::services::ecs {
namespace {

constexpr size_t kTokenMax = 36;

ApiResult<void> check_request(const m::CreateServiceRequest& in, bool daemon) {
  if (!is_name(in.service_name))
    return invalid_parameter(fmt::format("Service must match ^[a-zA-Z0-9\\-_]{{1,255}}$, but was {}", in.service_name));
  if (text(in.task_definition).empty()) return invalid_parameter("Task Definition can not be blank.");
  if (daemon && in.desired_count)
    return invalid_parameter(
        "The daemon scheduling strategy does not support a desired count for services. Remove the desired count value "
        "and try again");
  if (!daemon && !in.desired_count) return invalid_parameter("Desired Count can not be blank.");
  if (number(in.desired_count, 0) < 0) return invalid_parameter("desiredCount must be at least 0.");
  if (number(in.health_check_grace_period_seconds, 0) < 0)
    return invalid_parameter("healthCheckGracePeriodSeconds must be at least 0.");
  if (in.tags && in.tags->empty()) return invalid_parameter("Tags can not be empty.");
  for (const auto& checked : {check_token(in.client_token, kTokenMax), check_tags(tags_of(in.tags)),
                              check_service_connect(in.service_connect_configuration)})
    if (!checked) return checked;
  return {};
}

ApiResult<records::Revision> target_of(Work& work, const m::CreateServiceRequest& in, const records::Cluster& cluster,
                                       bool daemon) {
  const auto definition = find_active_definition(work, *in.task_definition);
  if (!definition) return tl::unexpected(definition.error());
  const auto launch = choose_launch(cluster, text(in.launch_type), strategy_of(list(in.capacity_provider_strategy)));
  if (!launch) return tl::unexpected(launch.error());
  if (daemon && launch->fargate())
    return invalid_parameter("The daemon scheduling strategy is not supported with the FARGATE launch type.");
  const auto platform = check_platform(*launch, **definition, text(in.platform_version),
                                       definition_storage_gib(**definition).has_value());
  if (!platform) return tl::unexpected(platform.error());
  const auto network = service_network(work.context, in.network_configuration, **definition);
  if (!network) return tl::unexpected(network.error());
  for (const auto& checked :
       {check_placement(list(in.placement_constraints), list(in.placement_strategy), launch->fargate()),
        check_volumes(list(in.volume_configurations), **definition)})
    if (!checked) return tl::unexpected(checked.error());
  if (flag(in.enable_execute_command, false) && !definition_has_task_role(**definition))
    return invalid_parameter(
        "The service couldn't be created because a valid taskRoleArn is not being used. Specify a valid task role in "
        "your task definition and try again.");
  records::Revision target;
  target.family = (*definition)->family;
  target.revision = (*definition)->revision;
  target.launch_type = launch->launch_type;
  target.strategy = launch->strategy;
  target.platform_version = launch->fargate() ? in.platform_version.value_or("LATEST") : "";
  target.network = *network;
  auto registries = check_registries(work, list(in.service_registries), **definition);
  if (!registries) return tl::unexpected(registries.error());
  target.registries = *std::move(registries);
  m::Deployment kept;
  kept.service_connect_configuration = in.service_connect_configuration;
  if (!list(in.volume_configurations).empty()) kept.volume_configurations = in.volume_configurations;
  if (kept != m::Deployment{}) target.kept = to_kept(kept);
  if (auto checked = check_revision_kept(target.kept); !checked) return tl::unexpected(checked.error());
  return target;
}

// Members of class "kept", as Describe shows them.
ApiResult<m::Service> kept_of(const m::CreateServiceRequest& in, const std::string& account, bool daemon) {
  m::Service kept;
  auto deployment = check_deployment({}, in.deployment_configuration, daemon);
  if (!deployment) return tl::unexpected(deployment.error());
  auto rebalancing =
      check_rebalancing(in.availability_zone_rebalancing, "ENABLED", daemon, number(deployment->maximum_percent, 200));
  if (!rebalancing) return tl::unexpected(rebalancing.error());
  kept.deployment_configuration = *std::move(deployment);
  kept.availability_zone_rebalancing = *std::move(rebalancing);
  kept.deployment_controller.emplace().type = "ECS";
  kept.placement_constraints = list(in.placement_constraints);
  kept.placement_strategy = list(in.placement_strategy);
  if (const std::string role = text(in.role); !role.empty()) {
    kept.role_arn = role_arn(role, account);
    if (!is_role_arn(*kept.role_arn)) return invalid_parameter("Role is not valid");
  }
  return kept;
}

}  // namespace

Handled<m::CreateServiceResponse> create_service(const Context& context, const m::CreateServiceRequest& in) {
  Work work(context);
  const bool daemon = text(in.scheduling_strategy) == "DAEMON";
  if (auto checked = check_request(in, daemon); !checked) return tl::unexpected(checked.error());
  const auto cluster = find_active_cluster(work, text(in.cluster));
  if (!cluster) return tl::unexpected(cluster.error());

  // A name is its own idempotency token: it stands for the request that made the service.
  const std::string token_key =
      records::keys::token(work.scope, "CreateService", fmt::format("{}/{}", (*cluster)->name, in.service_name));
  const std::string hash = parameters_hash(in);
  if (const auto present = find_service(work, (*cluster)->name, in.service_name)) {
    if (present->state() == "DRAINING") return invalid_parameter("Unable to Start a service that is still Draining.");
    if (present->state() == "ACTIVE") {
      const auto before = work.get<records::ClientToken>(token_key);
      if (!before || before->parameters_hash != hash)
        return invalid_parameter("Creation of service was not idempotent.");
      m::CreateServiceResponse out;
      out.service = render_service(context, *present, true);
      return out;
    }
  }
  const auto target = target_of(work, in, **cluster, daemon);
  if (!target) return tl::unexpected(target.error());
  const auto kept = kept_of(in, work.scope.account, daemon);
  if (!kept) return tl::unexpected(kept.error());

  records::ServiceSpec spec;
  spec.name = in.service_name;
  spec.target = *target;
  spec.deployment_id = "ecs-svc/" + new_decimal_id(context.random, 19);
  spec.deployment_created_at_ms = context.now_ms;
  spec.desired_count = number(in.desired_count, 0);
  spec.scheduling_strategy = daemon ? "DAEMON" : "REPLICA";
  spec.deployment = deployment_record(*kept->deployment_configuration);
  spec.health_check_grace_period_s = number(in.health_check_grace_period_seconds, 0);
  spec.propagate_tags = in.propagate_tags.value_or("NONE");
  spec.enable_ecs_managed_tags = flag(in.enable_ecs_managed_tags, false);
  spec.enable_execute_command = flag(in.enable_execute_command, false);
  spec.tags = tags_of(in.tags);
  spec.kept = to_kept(*kept);
  spec.created_by = context.caller.arn;
  spec.created_at_ms = context.now_ms;
  spec.incarnation = new_uuid(context.random);
  Service service{{work.scope, (*cluster)->name, spec.name}, nullptr, nullptr};
  work.put(records::keys::service(records::keys::kServiceSpec, service.path), spec);
  work.put(token_key, records::ClientToken{hash, {service.path.arn()}, context.now_ms});
  service.spec = std::make_shared<const records::ServiceSpec>(std::move(spec));
  m::CreateServiceResponse out;
  out.service = render_service(context, service, true);
  return {std::move(out), std::move(work.transaction)};
}

}  // namespace berth::services::ecs
