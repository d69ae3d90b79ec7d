// What CreateService and UpdateService both check and keep. Pure.
#pragma once

#include "model/ecs/service.h"
#include "records/service.h"
#include "records/task_definition.h"
#include "services/ecs/launch.h"
#include "services/ecs/shapes.h"

namespace berth::services::ecs {

// Percentages and circuit breaker, over what was there before. `before` is the kept API shape; DAEMON has its own bounds.
ApiResult<m::DeploymentConfiguration> check_deployment(m::DeploymentConfiguration before,
                                                       const std::optional<m::DeploymentConfiguration>& in,
                                                       bool daemon);
records::DeploymentConfiguration deployment_record(const m::DeploymentConfiguration& from);

ApiResult<void> check_service_connect(const std::optional<m::ServiceConnectConfiguration>& in);
// What a deployment keeps without acting on it, as JSON.
ApiResult<void> check_revision_kept(const std::string& kept);
ApiResult<void> check_volumes(const std::vector<m::ServiceVolumeConfiguration>& in,
                              const records::TaskDefinition& definition);
ApiResult<void> check_placement(const std::vector<m::PlacementConstraint>& constraints,
                                const std::vector<m::PlacementStrategy>& strategy, bool fargate);
// ENABLED asks for a REPLICA service whose maximum percent is above 100.
ApiResult<std::string> check_rebalancing(const std::optional<std::string>& in, const std::string& otherwise,
                                         bool daemon, int maximum_percent);
// The network configuration of a revision, absent where the definition's network mode has none.
ApiResult<records::AwsvpcConfiguration> service_network(const Context& context,
                                                        const std::optional<m::NetworkConfiguration>& in,
                                                        const records::TaskDefinition& definition);

}  // namespace berth::services::ecs
