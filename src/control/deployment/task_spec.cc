#include "control/deployment/task_spec.h"

#include <algorithm>

namespace berth::control::deployment {
namespace {

void add(records::Tags& tags, const std::string& key, const std::string& value) {
  const auto found = std::find_if(tags.begin(), tags.end(), [&](const auto& tag) { return tag.first == key; });
  if (found == tags.end())
    tags.emplace_back(key, value);
  else
    found->second = value;
}

records::Tags propagated(const records::keys::ServicePath& path, const records::ServiceSpec& service,
                         const records::TaskDefinition& definition) {
  records::Tags tags;
  if (service.propagate_tags == "SERVICE") tags = service.tags;
  if (service.propagate_tags == "TASK_DEFINITION") tags = definition.tags;
  if (service.enable_ecs_managed_tags) {
    add(tags, "aws:ecs:clusterName", path.cluster);
    add(tags, "aws:ecs:serviceName", path.name);
  }
  return tags;
}

}  // namespace

int memory_mib(const records::TaskDefinition& definition) {
  if (definition.memory_mib != 0) return definition.memory_mib;
  int sum = 0;
  for (const auto& container : definition.containers)
    sum += std::max(container.memory_mib, container.memory_reservation_mib);
  return sum;
}

records::TaskSpec task_spec(const records::keys::ServicePath& path, const records::ServiceSpec& service,
                            const records::Deployment& deployment, const records::TaskDefinition& definition,
                            const std::string& capacity_provider, TimeMs now_ms, Random& random) {
  const records::Revision& revision = deployment.revision;
  records::TaskSpec spec;
  spec.family = revision.family;
  spec.revision = revision.revision;
  spec.group = "service:" + path.name;
  spec.started_by = deployment.id;
  spec.service = path.name;
  spec.launch_type = capacity_provider.empty() ? revision.launch_type : "";
  spec.capacity_provider = capacity_provider;
  // LATEST is 1.4.0 for Linux; nothing that we run depends on the version.
  spec.platform_version =
      revision.platform_version == "LATEST" || revision.platform_version.empty() ? "1.4.0" : revision.platform_version;
  spec.network = revision.network;
  spec.registries = revision.registries;
  spec.cpu_units = definition.cpu_units;
  spec.memory_mib = memory_mib(definition);
  if (definition.cpu_units == 0)
    for (const auto& container : definition.containers) spec.cpu_units += container.cpu_units;
  spec.enable_execute_command = service.enable_execute_command;
  spec.tags = propagated(path, service, definition);
  spec.attachment_id = new_uuid(random);
  spec.eni_id = "eni-" + new_hex_id(random, 17);
  spec.created_at_ms = now_ms;
  return spec;
}

}  // namespace berth::control::deployment
