#include "services/ecs/service_rules.h"

#include <algorithm>

#include "base/limits.h"
#include "services/ecs/errors.h"
#include "services/ecs/kept.h"

namespace berth::services::ecs {
namespace {

ApiResult<void> check_percents(int minimum, int maximum, bool daemon) {
  if (minimum < 0) return invalid_parameter("minimumHealthyPercent must be at least 0.");
  if (daemon) {
    if (maximum != 100)
      return invalid_parameter("The maximumPercent of a service with the DAEMON scheduling strategy must be 100.");
    return {};
  }
  if (maximum < 100) return invalid_parameter("maximumPercent must be at least 100.");
  if (minimum > maximum) return invalid_parameter("minimumHealthyPercent must not be greater than maximumPercent.");
  if (minimum == 100 && maximum == 100)
    return invalid_parameter(
        "Both maximumPercent and minimumHealthyPercent cannot be 100 as this will block deployments.");
  return {};
}

template <class T>
void take(std::optional<T>& to, const std::optional<T>& from) {
  if (from) to = from;
}

}  // namespace

ApiResult<m::DeploymentConfiguration> check_deployment(m::DeploymentConfiguration out,
                                                       const std::optional<m::DeploymentConfiguration>& in,
                                                       bool daemon) {
  if (in) {
    take(out.deployment_circuit_breaker, in->deployment_circuit_breaker);
    take(out.maximum_percent, in->maximum_percent);
    take(out.minimum_healthy_percent, in->minimum_healthy_percent);
    take(out.alarms, in->alarms);
    take(out.strategy, in->strategy);
    take(out.bake_time_in_minutes, in->bake_time_in_minutes);
  }
  if (!out.deployment_circuit_breaker) out.deployment_circuit_breaker.emplace();
  if (!out.maximum_percent) out.maximum_percent = daemon ? 100 : 200;
  if (!out.minimum_healthy_percent) out.minimum_healthy_percent = daemon ? 0 : 100;
  if (!out.strategy) out.strategy = "ROLLING";
  if (!out.bake_time_in_minutes) out.bake_time_in_minutes = 0;
  if (auto checked = check_percents(*out.minimum_healthy_percent, *out.maximum_percent, daemon); !checked)
    return tl::unexpected(checked.error());
  return out;
}

records::DeploymentConfiguration deployment_record(const m::DeploymentConfiguration& from) {
  records::DeploymentConfiguration out;
  out.minimum_healthy_percent = number(from.minimum_healthy_percent, 100);
  out.maximum_percent = number(from.maximum_percent, 200);
  if (from.deployment_circuit_breaker) {
    out.circuit_breaker = from.deployment_circuit_breaker->enable;
    out.rollback = from.deployment_circuit_breaker->rollback;
  }
  return out;
}

ApiResult<void> check_service_connect(const std::optional<m::ServiceConnectConfiguration>& in) {
  if (!in) return {};
  for (const auto& service : list(in->services))
    if (service.ingress_port_override && *service.ingress_port_override <= 1024)
      return invalid_parameter("IngressPortOverride cannot use ports <= 1024.");
  return {};
}

ApiResult<void> check_revision_kept(const std::string& kept) {
  if (kept.size() > limits::kRevisionKeptBytesMax)
    return invalid_parameter(
        fmt::format("serviceConnectConfiguration and volumeConfigurations can have at most {} bytes together.",
                    limits::kRevisionKeptBytesMax));
  return {};
}

ApiResult<void> check_volumes(const std::vector<m::ServiceVolumeConfiguration>& in,
                              const records::TaskDefinition& definition) {
  for (const auto& volume : in)
    if (std::find(definition.volumes.begin(), definition.volumes.end(), volume.name) == definition.volumes.end())
      return invalid_parameter(
          fmt::format("The volume '{}' is not a volume configured at launch in the task definition.", volume.name));
  return {};
}

ApiResult<void> check_placement(const std::vector<m::PlacementConstraint>& constraints,
                                const std::vector<m::PlacementStrategy>& strategy, bool fargate) {
  if (constraints.size() > 10) return invalid_parameter("placementConstraints can have at most 10 items.");
  if (strategy.size() > 5) return invalid_parameter("placementStrategy can have at most 5 items.");
  if (!fargate) return {};
  if (!constraints.empty())
    return invalid_parameter("Placement constraints are not supported with FARGATE launch type.");
  if (!strategy.empty()) return invalid_parameter("Placement strategies are not supported with FARGATE launch type.");
  return {};
}

ApiResult<std::string> check_rebalancing(const std::optional<std::string>& in, const std::string& otherwise,
                                         bool daemon, int maximum_percent) {
  const bool possible = !daemon && maximum_percent > 100;
  if (!in) return possible ? otherwise : std::string("DISABLED");
  if (*in == "ENABLED" && !possible)
    return invalid_parameter(
        "Availability Zone rebalancing needs the REPLICA scheduling strategy and a maximumPercent above 100.");
  return *in;
}

ApiResult<records::AwsvpcConfiguration> service_network(const Context& context,
                                                        const std::optional<m::NetworkConfiguration>& in,
                                                        const records::TaskDefinition& definition) {
  const bool awsvpc = definition.network_mode == "awsvpc";
  const bool given = in && in->awsvpc_configuration;
  if (awsvpc && !given)
    return invalid_parameter("Network Configuration must be provided when networkMode 'awsvpc' is specified.");
  if (!awsvpc && given)
    return invalid_parameter("Network Configuration is not valid for the given networkMode of this task definition.");
  if (!awsvpc) return records::AwsvpcConfiguration{};
  return check_network(context, network_of(*in->awsvpc_configuration));
}

}  // namespace berth::services::ecs
