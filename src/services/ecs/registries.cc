#include "services/ecs/registries.h"

#include <algorithm>

#include "records/discovery.h"
#include "model/ecs/task_definition.h"
#include "services/ecs/errors.h"
#include "services/ecs/kept.h"
#include "services/ecs/shapes.h"

namespace berth::services::ecs {
namespace {

tl::unexpected<ApiError> not_required(std::string_view member) {
  return invalid_parameter(fmt::format(
      "The values specified for serviceRegistries do not require a value for '{}'. Remove the value and retry.",
      member));
}

// The record of a definition keeps ports in its document alone: nothing else acts on them.
bool has_port(const records::TaskDefinition& definition, const records::ServiceRegistry& registry) {
  const auto document = from_kept<m::TaskDefinition>(definition.document);
  if (!document.container_definitions) return false;
  for (const m::ContainerDefinition& container : *document.container_definitions) {
    if (container.name != registry.container_name || !container.port_mappings) continue;
    for (const m::PortMapping& mapping : *container.port_mappings)
      if (mapping.container_port == registry.container_port) return true;
  }
  return false;
}

ApiResult<void> check_container(const records::ServiceRegistry& registry, const records::TaskDefinition& definition) {
  const auto container =
      std::find_if(definition.containers.begin(), definition.containers.end(),
                   [&](const records::ContainerDefinition& one) { return one.name == registry.container_name; });
  if (container == definition.containers.end())
    return invalid_parameter(
        fmt::format("The container {} does not exist in the task definition.", registry.container_name));
  if (!has_port(definition, registry))
    return invalid_parameter(fmt::format("The container {} did not have a container port {} defined.",
                                         registry.container_name, registry.container_port));
  return {};
}

// Which of port, containerName and containerPort the records need.
ApiResult<void> check_port(const records::ServiceRegistry& registry, const records::DiscoveryService& service,
                           const records::TaskDefinition& definition) {
  const bool has_srv = std::any_of(service.dns_records.begin(), service.dns_records.end(),
                                   [](const records::DnsRecord& record) { return record.type == "SRV"; });
  const bool container = !registry.container_name.empty() || registry.container_port != 0;
  if (!has_srv && !service.dns_records.empty()) {
    if (registry.container_port != 0) return not_required("containerPort");
    if (!registry.container_name.empty()) return not_required("containerName");
    if (registry.port != 0) return not_required("port");
    return {};
  }
  if (registry.port != 0 && container)
    return invalid_parameter("serviceRegistries take either port, or containerName and containerPort, not both.");
  if (registry.container_name.empty() != (registry.container_port == 0))
    return invalid_parameter("serviceRegistries take containerName and containerPort together.");
  if (has_srv && registry.port == 0 && !container)
    return invalid_parameter(
        "serviceRegistries need port, or containerName and containerPort: the service has SRV records.");
  return container ? check_container(registry, definition) : ApiResult<void>{};
}

}  // namespace

ApiResult<std::vector<records::ServiceRegistry>> check_registries(Work& work,
                                                                  const std::vector<model::ecs::ServiceRegistry>& in,
                                                                  const records::TaskDefinition& definition) {
  std::vector<records::ServiceRegistry> out;
  if (in.size() > 1) return invalid_parameter("serviceRegistries can have at most 1 items.");
  for (const auto& one : in) {
    records::ServiceRegistry& registry = out.emplace_back();
    registry.registry_arn = text(one.registry_arn);
    registry.port = number(one.port, 0);
    registry.container_name = text(one.container_name);
    registry.container_port = number(one.container_port, 0);
    const std::string id = registry.registry_arn.substr(registry.registry_arn.rfind('/') + 1);
    const auto service =
        work.get<records::DiscoveryService>(records::keys::discovery(records::keys::kDiscoveryService, work.scope, id));
    if (!service || registry.registry_arn != records::discovery_arn(work.scope, "service", id))
      return invalid_parameter(fmt::format("The service registry {} was not found.", registry.registry_arn));
    if (definition.network_mode != "awsvpc")
      return invalid_parameter("serviceRegistries are served for the network mode awsvpc only.");
    if (registry.port < 0 || registry.port > 65535) return invalid_parameter("port must be between 1 and 65535.");
    if (auto checked = check_port(registry, *service, definition); !checked) return tl::unexpected(checked.error());
  }
  return out;
}

std::vector<model::ecs::ServiceRegistry> to_registries(const std::vector<records::ServiceRegistry>& registries) {
  std::vector<model::ecs::ServiceRegistry> out;
  for (const auto& registry : registries) {
    auto& one = out.emplace_back();
    one.registry_arn = registry.registry_arn;
    if (registry.port != 0) one.port = registry.port;
    if (!registry.container_name.empty()) one.container_name = registry.container_name;
    if (registry.container_port != 0) one.container_port = registry.container_port;
  }
  return out;
}

}  // namespace berth::services::ecs
