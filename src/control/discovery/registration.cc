#include "control/discovery/registration.h"

#include <algorithm>

namespace berth::control::discovery {
namespace {

bool has_record(const records::DiscoveryService& service, std::string_view type) {
  return std::any_of(service.dns_records.begin(), service.dns_records.end(),
                     [&](const records::DnsRecord& record) { return record.type == type; });
}

// A task without health checks counts as healthy, and one whose checks have not passed yet does so, too.
bool is_healthy(const records::TaskStatus& status) { return status.health != records::Health::unhealthy; }

}  // namespace

std::string service_id_of(const records::ServiceRegistry& registry) {
  return registry.registry_arn.substr(registry.registry_arn.rfind('/') + 1);
}

std::optional<records::Instance> registered(const Subject& task, const records::ServiceRegistry& registry,
                                            const records::DiscoveryService& service) {
  if (task.status.state != records::TaskState::running || task.status.desired != records::DesiredStatus::running ||
      task.address.empty())
    return std::nullopt;
  records::Instance out;
  out.id = task.path.id;
  out.service_id = service.id;
  out.task = task.path.str();
  out.attributes = {{"AWS_INSTANCE_IPV4", task.address},     {"AVAILABILITY_ZONE", task.status.availability_zone},
                    {"REGION", task.path.scope.region},      {"ECS_SERVICE_NAME", task.spec.service},
                    {"ECS_CLUSTER_NAME", task.path.cluster}, {"ECS_TASK_DEFINITION_FAMILY", task.spec.family}};
  const int port = registry.port != 0 ? registry.port : registry.container_port;
  if (has_record(service, "SRV") || port != 0) out.attributes["AWS_INSTANCE_PORT"] = std::to_string(port);
  if (service.custom_health)
    out.attributes["AWS_INIT_HEALTH_STATUS"] = is_healthy(task.status) ? "HEALTHY" : "UNHEALTHY";
  return out;
}

std::optional<records::InstanceHealth> health_of(const Subject& task, const records::DiscoveryService& service,
                                                 const records::Instance& instance,
                                                 const records::InstanceHealth* before, TimeMs now_ms) {
  if (!service.custom_health) return std::nullopt;
  const bool healthy = is_healthy(task.status);
  if (!before && healthy == records::is_healthy(instance, nullptr)) return std::nullopt;
  if (before && before->wanted == healthy) return std::nullopt;
  return records::told_health(instance, before, healthy, now_ms);
}

}  // namespace berth::control::discovery
