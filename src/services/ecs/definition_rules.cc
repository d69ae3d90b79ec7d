#include "services/ecs/definition_rules.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "model/validate.h"
#include "services/ecs/awslogs.h"
#include "services/ecs/container_rules.h"
#include "services/ecs/errors.h"
#include "services/ecs/fargate.h"
#include "services/ecs/identifiers.h"
#include "services/ecs/tags.h"

namespace berth::services::ecs {
namespace {

using Subject = DefinitionSubject;
// The text of the ClientException, or empty.
using Rule = std::string (*)(const Subject&);

constexpr size_t kContainersMax = 10;

bool wants(const m::RegisterTaskDefinitionRequest& in, std::string_view compatibility) {
  const auto& wanted = list(in.requires_compatibilities);
  return std::find(wanted.begin(), wanted.end(), compatibility) != wanted.end();
}

std::string family_name(const Subject& s) {
  return is_name(text(s.in.family)) ? "" : "Family contains invalid characters.";
}

std::string containers_count(const Subject& s) {
  const size_t count = list(s.in.container_definitions).size();
  if (count == 0) return "Container list cannot be empty.";
  return count <= kContainersMax ? "" : "Too many containers.";
}

std::string roles(const Subject& s) {
  for (const std::string& role : {text(s.in.task_role_arn), text(s.in.execution_role_arn)})
    if (!role.empty() && !is_role_arn(role) && !is_role_name(role)) return "Role is not valid";
  return "";
}

std::string task_sizes(const Subject& s) {
  // Nothing of a resource is no size: it would be taken for one that was left out.
  if (!text(s.in.cpu).empty() && parse_cpu_units(text(s.in.cpu)).value_or(0) == 0) return kInvalidTaskCpu;
  if (!text(s.in.memory).empty() && parse_memory_mib(text(s.in.memory)).value_or(0) == 0)
    return "Invalid 'memory' setting for task. For more information, see the Troubleshooting section of the Amazon ECS "
           "Developer Guide.";
  if (!s.fargate && s.cpu_units != 0 && (s.cpu_units < 128 || s.cpu_units > 196608)) return kInvalidTaskCpu;
  return "";
}

std::string fargate_network_mode(const Subject& s) {
  return s.fargate && !s.awsvpc ? "Fargate only supports network mode ‘awsvpc’." : "";
}

std::string fargate_needs_sizes(const Subject& s) {
  if (!s.fargate) return "";
  if (s.cpu_units == 0) return "Fargate requires that 'cpu' be defined at the task level.";
  return s.memory_mib == 0 ? "Fargate requires that 'memory' be defined at the task level." : "";
}

std::string fargate_sizes(const Subject& s) {
  if (!s.fargate) return "";
  if (!fargate_has_cpu(s.cpu_units)) return kInvalidTaskCpu;
  if (fargate_has(s.cpu_units, s.memory_mib)) return "";
  return fmt::format(
      "No Fargate configuration exists for given values: {} CPU, {} memory. See the Amazon ECS documentation for the "
      "valid values.",
      s.cpu_units, s.memory_mib);
}

std::string fargate_process_modes(const Subject& s) {
  if (!s.fargate) return "";
  if (text(s.in.pid_mode) == "host")
    return "Tasks using the Fargate launch type do not support pidMode 'host'. The supported value for pidMode is "
           "'task'.";
  if (!text(s.in.ipc_mode).empty()) return "Tasks using the Fargate launch type do not support ipcMode.";
  if (!list(s.in.placement_constraints).empty())
    return "Tasks using the Fargate launch type do not support placement constraints.";
  if (!list(s.in.inference_accelerators).empty())
    return "Tasks using the Fargate launch type do not support inference accelerators.";
  return "";
}

std::string ephemeral_storage(const Subject& s) {
  if (!s.in.ephemeral_storage) return "";
  const int size = number(s.in.ephemeral_storage->size_in_gib, 0);
  if (size < 21) return "EphemeralStorage size should be at least 21";
  return size > 200 ? "EphemeralStorage size should be at most 200" : "";
}

std::string container_names(const Subject& s) {
  std::set<std::string> seen;
  for (const auto& container : list(s.in.container_definitions))
    if (!seen.insert(text(container.name)).second)
      return fmt::format("Container names must be unique within a task definition: '{}' is used more than once.",
                         text(container.name));
  return "";
}

std::string an_essential_container(const Subject& s) {
  const auto& containers = list(s.in.container_definitions);
  const bool any = std::any_of(containers.begin(), containers.end(),
                               [](const auto& container) { return flag(container.essential, true); });
  return any ? "" : "Invalid 'essential' setting: at least one container must be essential.";
}

std::string cpu_sum(const Subject& s) {
  int64_t sum = 0;
  for (const auto& container : list(s.in.container_definitions)) sum += number(container.cpu, 0);
  return s.cpu_units != 0 && sum > s.cpu_units
             ? "The sum of all container 'cpu' values cannot be greater than the value of the task 'cpu'."
             : "";
}

std::string host_ports(const Subject& s) {
  std::set<std::pair<std::string, int>> seen;
  const bool container_ports = s.awsvpc || text(s.in.network_mode) == "host";
  for (const auto& container : list(s.in.container_definitions))
    for (const auto& mapping : list(container.port_mappings)) {
      int port = number(mapping.host_port, 0);
      if (port == 0 && container_ports) port = number(mapping.container_port, 0);
      if (port == 0) continue;
      const std::string protocol = text(mapping.protocol) == "udp" ? "UDP" : "TCP";
      if (!seen.emplace(protocol, port).second)
        return fmt::format("{} host port '{}' is mapped multiple times in task.", protocol, port);
    }
  return "";
}

std::string volumes(const Subject& s) {
  std::set<std::string> seen;
  for (const auto& volume : list(s.in.volumes)) {
    if (!is_name(text(volume.name))) return "Volume name contains invalid characters.";
    if (!seen.insert(text(volume.name)).second)
      return fmt::format("Volume names must be unique within a task definition: '{}' is used more than once.",
                         text(volume.name));
    const int kinds = (volume.host && !text(volume.host->source_path).empty()) +
                      volume.docker_volume_configuration.has_value() + volume.efs_volume_configuration.has_value() +
                      volume.fsx_windows_file_server_volume_configuration.has_value() +
                      volume.s3files_volume_configuration.has_value();
    if (kinds > 1) return fmt::format("Volume '{}' can have only one type of configuration.", text(volume.name));
    if (s.fargate && volume.host && !text(volume.host->source_path).empty())
      return "host.sourcePath should not be set for volumes in Fargate.";
    if (s.fargate && volume.docker_volume_configuration)
      return "Tasks using the Fargate launch type do not support Docker volumes.";
  }
  for (const auto& container : list(s.in.container_definitions))
    for (const auto& mount : list(container.mount_points)) {
      if (!seen.contains(text(mount.source_volume)))
        return fmt::format("Unknown volume '{}'.", text(mount.source_volume));
      if (text(mount.container_path).empty())
        return fmt::format("Invalid 'containerPath' setting for container '{}'.", text(container.name));
    }
  return "";
}

using Graph = std::map<std::string, std::vector<std::string>>;

bool reaches_itself(const Graph& graph, const std::string& from, const std::string& at, std::set<std::string>& seen) {
  const auto edges = graph.find(at);
  if (edges == graph.end()) return false;
  for (const std::string& next : edges->second) {
    if (next == from) return true;
    if (seen.insert(next).second && reaches_itself(graph, from, next, seen)) return true;
  }
  return false;
}

std::string dependencies(const Subject& s) {
  std::map<std::string, const m::ContainerDefinition*> by_name;
  for (const auto& container : list(s.in.container_definitions)) by_name[text(container.name)] = &container;
  Graph graph;
  for (const auto& container : list(s.in.container_definitions)) {
    const std::string name = text(container.name);
    for (const auto& from : list(container.volumes_from)) {
      if (!by_name.contains(text(from.source_container)) || text(from.source_container) == name)
        return fmt::format("Invalid 'volumesFrom' setting for container '{}'.", name);
      graph[name].push_back(text(from.source_container));
    }
    for (const auto& dependency : list(container.depends_on)) {
      const std::string target = text(dependency.container_name);
      const std::string condition = text(dependency.condition);
      const auto found = by_name.find(target);
      if (found == by_name.end())
        return fmt::format("Invalid 'dependsOn' setting for container '{}': container '{}' does not exist.", name,
                           target);
      const bool waits_for_exit = condition == "COMPLETE" || condition == "SUCCESS";
      if (waits_for_exit && flag(found->second->essential, true))
        return "A dependency container with SUCCESS or COMPLETE condition cannot be an essential container";
      if (condition == "HEALTHY" && !found->second->health_check)
        return fmt::format("Invalid 'dependsOn' setting for container '{}': container '{}' has no health check.", name,
                           target);
      graph[name].push_back(target);
    }
  }
  for (const auto& [name, edges] : graph) {
    std::set<std::string> seen;
    if (reaches_itself(graph, name, name, seen))
      return fmt::format("Invalid 'dependsOn' setting for container '{}': dependencies form a cycle.", name);
  }
  return "";
}

std::string tags(const Subject& s) { return s.in.tags && s.in.tags->empty() ? "Tags can not be empty." : ""; }

constexpr std::array<Rule, 7> kBeforeContainers{family_name,          containers_count,   tags, roles, task_sizes,
                                                fargate_network_mode, fargate_needs_sizes};
constexpr std::array<Rule, 9> kAfterContainers{fargate_sizes,
                                               fargate_process_modes,
                                               ephemeral_storage,
                                               container_names,
                                               an_essential_container,
                                               cpu_sum,
                                               host_ports,
                                               volumes,
                                               dependencies};

std::string first_text(const Subject& s) {
  for (const Rule rule : kBeforeContainers)
    if (std::string text = rule(s); !text.empty()) return text;
  for (const auto& container : list(s.in.container_definitions))
    if (std::string text = container_text(s, container); !text.empty()) return text;
  for (const Rule rule : kAfterContainers)
    if (std::string text = rule(s); !text.empty()) return text;
  return "";
}

Subject subject_of(const m::RegisterTaskDefinitionRequest& in, bool fargate) {
  return {in, fargate, text(in.network_mode) == "awsvpc", parse_cpu_units(text(in.cpu)).value_or(0),
          parse_memory_mib(text(in.memory)).value_or(0)};
}

std::string platform_not_served(const m::RegisterTaskDefinitionRequest& in) {
  for (const auto& volume : list(in.volumes))
    if (volume.host && !text(volume.host->source_path).empty())
      return fmt::format("Paths of the host as volumes are not served (volume {}).", text(volume.name));
  if (!in.runtime_platform) return "";
  if (text(in.runtime_platform->operating_system_family).starts_with("WINDOWS"))
    return "Windows containers are not served.";
#if defined(__x86_64__)
  if (text(in.runtime_platform->cpu_architecture) == "ARM64")
    return "cpuArchitecture ARM64 is not served on this X86_64 machine.";
#elif defined(__aarch64__)
  if (text(in.runtime_platform->cpu_architecture) == "X86_64")
    return "cpuArchitecture X86_64 is not served on this ARM64 machine.";
#endif
  return "";
}

}  // namespace

ApiResult<void> check_definition(const m::RegisterTaskDefinitionRequest& in) {
  if (std::string found = first_text(subject_of(in, wants(in, "FARGATE"))); !found.empty())
    return client_error(std::move(found));
  return check_tags(tags_of(in.tags), "ClientException");
}

bool is_fargate_compatible(const m::RegisterTaskDefinitionRequest& in) {
  return first_text(subject_of(in, true)).empty();
}

std::string not_served_text(const m::RegisterTaskDefinitionRequest& in) {
  std::vector<std::string> sentences = model::refused_at_run(in);
  if (std::string platform = platform_not_served(in); !platform.empty()) sentences.push_back(std::move(platform));
  for (const auto& container : list(in.container_definitions)) {
    if (!container.log_configuration || text(container.log_configuration->log_driver) != "awslogs") continue;
    std::string failure = awslogs_failure(map_of(container.log_configuration->options), text(container.name));
    if (!failure.empty()) sentences.push_back(std::move(failure));
  }
  return fmt::format("{}", fmt::join(sentences, " "));
}

}  // namespace berth::services::ecs
