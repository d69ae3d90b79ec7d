#include "services/ecs/launch.h"

#include <algorithm>
#include <set>

#include "records/network_rules.h"
#include "services/ecs/errors.h"
#include "services/ecs/fargate.h"

namespace berth::services::ecs {
namespace {

constexpr size_t kStrategyItemsMax = 20;
constexpr size_t kSubnetsMax = 16;
constexpr size_t kSecurityGroupsMax = 5;

tl::unexpected<ApiError> no_weight(StrategyOf of) {
  if (of == StrategyOf::cluster_default)
    return invalid_parameter(
        "There are no capacity providers with a weight value greater than zero defined in the default capacity provider "
        "strategy. At least one capacity provider must have a weight value greater than zero specified. Update the "
        "cluster's default capacity provider strategy or specify a valid capacity provider strategy and try again.");
  return invalid_parameter(
      "The specified capacity provider strategy must contain at least one capacity provider with a weight value greater "
      "than zero. Specify a valid capacity provider strategy and try again.");
}

ApiResult<void> check_item(const records::StrategyItem& item, const std::vector<std::string>& providers_of_cluster) {
  if (!is_fargate_provider(item.capacity_provider))
    return invalid_parameter(
        "The specified capacity provider was not found. Specify a valid capacity provider and try again");
  if (std::find(providers_of_cluster.begin(), providers_of_cluster.end(), item.capacity_provider) ==
      providers_of_cluster.end())
    return invalid_parameter(
        "The specified capacity provider strategy cannot contain a capacity provider that is not associated with the "
        "cluster. Associate the capacity provider with the cluster or specify a valid capacity provider and try again.");
  if (item.weight < 0 || item.weight > 1000)
    return invalid_parameter("The weight of a capacity provider must be between 0 and 1000.");
  if (item.base < 0 || item.base > 100000)
    return invalid_parameter("The base of a capacity provider must be between 0 and 100000.");
  return {};
}

}  // namespace

bool is_fargate_provider(std::string_view name) { return name == "FARGATE" || name == "FARGATE_SPOT"; }

ApiResult<void> check_strategy(const std::vector<records::StrategyItem>& strategy,
                               const std::vector<std::string>& providers_of_cluster, StrategyOf of) {
  if (strategy.empty()) return {};
  if (strategy.size() > kStrategyItemsMax)
    return invalid_parameter("The capacity provider strategy can have at most 20 items.");
  std::set<std::string_view> seen;
  int with_base = 0, with_weight = 0;
  for (const auto& item : strategy) {
    if (auto checked = check_item(item, providers_of_cluster); !checked) return checked;
    if (!seen.insert(item.capacity_provider).second)
      return invalid_parameter("The specified capacity provider strategy cannot contain duplicate capacity providers.");
    with_base += item.base > 0;
    with_weight += item.weight > 0;
  }
  if (with_base > 1)
    return invalid_parameter(
        "The specified capacity provider strategy can only contain one capacity provider with a base value. Remove the "
        "base value from all but one capacity provider and try again.");
  if (with_weight == 0) return no_weight(of);
  return {};
}

ApiResult<Launch> choose_launch(const records::Cluster& cluster, const std::string& launch_type,
                                const std::vector<records::StrategyItem>& strategy) {
  if (!launch_type.empty() && !strategy.empty())
    return invalid_parameter("Specify either Launch Type or Capacity Provider Strategy, but not both.");
  if (!launch_type.empty()) return Launch{launch_type, {}};
  if (!strategy.empty()) {
    if (auto checked = check_strategy(strategy, cluster.capacity_providers, StrategyOf::request); !checked)
      return tl::unexpected(checked.error());
    return Launch{"", strategy};
  }
  if (cluster.default_strategy.empty()) return Launch{"EC2", {}};
  if (auto checked = check_strategy(cluster.default_strategy, cluster.capacity_providers, StrategyOf::cluster_default);
      !checked)
    return tl::unexpected(checked.error());
  return Launch{"", cluster.default_strategy};
}

ApiResult<records::AwsvpcConfiguration> check_network(const Context& context, records::AwsvpcConfiguration network) {
  if (network.subnets.empty()) return invalid_parameter("subnets can not be empty.");
  if (network.subnets.size() > kSubnetsMax) return invalid_parameter("subnets can have at most 16 items.");
  if (network.security_groups.size() > kSecurityGroupsMax)
    return invalid_parameter("securityGroups can have at most 5 items.");
  const auto [fault, id] =
      records::check_belonging(context.store, context.scope(), network.subnets, network.security_groups);
  using Fault = records::Belonging::Fault;
  switch (fault) {
    case Fault::none:
      break;
    case Fault::no_such_subnet:
      return invalid_parameter(
          fmt::format("Error retrieving subnet information for [{0}]: The subnet ID '{0}' does not exist (ErrorCode: "
                      "InvalidSubnetID.NotFound)",
                      id));
    case Fault::subnets_apart:
      return invalid_parameter("The subnets must all be in the same VPC.");
    case Fault::no_such_group:
      return invalid_parameter(
          fmt::format("Error retrieving security group information for [{0}]: The security group '{0}' does not exist "
                      "(ErrorCode: InvalidGroup.NotFound)",
                      id));
    case Fault::group_elsewhere:
      return invalid_parameter(
          fmt::format("Security group {} does not appear to belong to the same VPC as the input subnets.", id));
  }
  return network;
}

ApiResult<std::string> check_platform(const Launch& launch, const records::TaskDefinition& definition,
                                      const std::string& platform_version, bool own_ephemeral_storage) {
  if (!launch.fargate()) {
    if (!platform_version.empty())
      return invalid_parameter("The platform version must be null when specifying an EC2 launch type.");
    return std::string();
  }
  const auto resolved = resolve_platform_version(platform_version);
  if (!resolved) return refuse("PlatformUnknownException", "The specified platform does not exist.");
  if (!definition.fargate_compatible) return invalid_parameter("Task definition does not support launch_type FARGATE.");
  if (*resolved != "1.4.0" && (fargate_needs_platform_1_4(definition.cpu_units) || own_ephemeral_storage))
    return refuse("PlatformTaskDefinitionIncompatibilityException",
                  "One or more of the requested capabilities are not supported.");
  return std::string(*resolved);
}

}  // namespace berth::services::ecs
