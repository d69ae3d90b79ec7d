#include "services/ecs/shapes.h"

namespace berth::services::ecs {

records::Tags tags_of(const std::vector<m::Tag>& tags) {
  records::Tags out;
  for (const auto& tag : tags) out.emplace_back(text(tag.key), text(tag.value));
  return out;
}
records::Tags tags_of(const std::optional<std::vector<m::Tag>>& tags) { return tags_of(list(tags)); }

std::vector<m::Tag> to_tags(const records::Tags& tags) {
  std::vector<m::Tag> out;
  out.reserve(tags.size());
  for (const auto& [key, value] : tags) {
    auto& tag = out.emplace_back();
    tag.key = key;
    tag.value = value;
  }
  return out;
}

std::vector<records::StrategyItem> strategy_of(const std::vector<m::CapacityProviderStrategyItem>& strategy) {
  std::vector<records::StrategyItem> out;
  for (const auto& item : strategy)
    out.push_back({text(item.capacity_provider), number(item.weight, 0), number(item.base, 0)});
  return out;
}

std::vector<m::CapacityProviderStrategyItem> to_strategy(const std::vector<records::StrategyItem>& strategy) {
  std::vector<m::CapacityProviderStrategyItem> out;
  for (const auto& from : strategy) {
    auto& item = out.emplace_back();
    item.capacity_provider = from.capacity_provider;
    item.weight = from.weight;
    item.base = from.base;
  }
  return out;
}

records::AwsvpcConfiguration network_of(const m::AwsVpcConfiguration& network) {
  return {list(network.subnets), list(network.security_groups), text(network.assign_public_ip) == "ENABLED"};
}

m::NetworkConfiguration to_network(const records::AwsvpcConfiguration& network) {
  m::NetworkConfiguration out;
  auto& awsvpc = out.awsvpc_configuration.emplace();
  awsvpc.subnets = network.subnets;
  awsvpc.security_groups = network.security_groups;
  awsvpc.assign_public_ip = network.assign_public_ip ? "ENABLED" : "DISABLED";
  return out;
}

m::KeyValuePair pair(std::string name, std::string value) {
  m::KeyValuePair out;
  out.name = std::move(name);
  out.value = std::move(value);
  return out;
}

m::Failure missing(std::string arn) {
  m::Failure out;
  out.arn = std::move(arn);
  out.reason = "MISSING";
  return out;
}

std::string root_arn(const records::Scope& scope) { return fmt::format("arn:aws:iam::{}:root", scope.account); }

}  // namespace berth::services::ecs
