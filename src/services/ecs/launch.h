// Where and on what a task may run: capacity provider strategies, launch types, subnets and security groups, memory.
// Shared by RunTask and services. Errors carry AWS's texts.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "records/cluster.h"
#include "records/task.h"
#include "services/ecs/lookup.h"

namespace berth::services::ecs {

bool is_fargate_provider(std::string_view name);  // FARGATE or FARGATE_SPOT, the providers that there are

enum class StrategyOf { request, cluster_default };
ApiResult<void> check_strategy(const std::vector<records::StrategyItem>& strategy,
                               const std::vector<std::string>& providers_of_cluster, StrategyOf of);

// How a request says where its tasks run; exactly one of the two is set afterwards.
struct Launch {
  std::string launch_type;
  std::vector<records::StrategyItem> strategy;
  bool fargate() const { return launch_type == "FARGATE" || !strategy.empty(); }
};
// Neither given: the cluster's default strategy, else EC2.
ApiResult<Launch> choose_launch(const records::Cluster& cluster, const std::string& launch_type,
                                const std::vector<records::StrategyItem>& strategy);

// Checks that subnets and groups exist and lie in one VPC; no group given: the VPC's default one.
ApiResult<records::AwsvpcConfiguration> check_network(const Context& context, records::AwsvpcConfiguration network);

// Platform version, launch type and definition must fit each other. Gives the version to show on tasks ("1.4.0").
ApiResult<std::string> check_platform(const Launch& launch, const records::TaskDefinition& definition,
                                      const std::string& platform_version, bool own_ephemeral_storage);

}  // namespace berth::services::ecs
