#include "services/ecs/task_render.h"

#include <algorithm>

#include "base/hash.h"
#include "base/random.h"
#include "records/names.h"
#include "services/ecs/kept.h"

namespace berth::services::ecs {
namespace {

using records::TaskState;

constexpr int kEphemeralStorageGib = 20;
#if defined(__aarch64__)
constexpr const char* kArchitecture = "arm64";
#else
constexpr const char* kArchitecture = "x86_64";
#endif

// A container has no identity of its own in the records: its uuid follows from the task's id and its name.
std::string container_arn(const TaskView& task, const std::string& name) {
  Prng random(fnv1a(name, fnv1a(task.path.id)));
  const auto& scope = task.path.scope;
  return fmt::format("arn:aws:ecs:{}:{}:container/{}/{}/{}", scope.region, scope.account, task.path.cluster,
                     task.path.id, new_uuid(random));
}

std::string container_status(const TaskView& task, const records::ContainerObserved* seen) {
  if (seen != nullptr && seen->running) return "RUNNING";
  const bool exited = seen != nullptr && seen->exited_at_ms != 0;
  return exited || task.state() == TaskState::stopped ? "STOPPED" : "PENDING";
}

void add_sizes(m::Container& out, const records::ContainerDefinition& definition,
               const records::ContainerOverride* changed) {
  int cpu = definition.cpu_units, memory = definition.memory_mib, reservation = definition.memory_reservation_mib;
  if (changed != nullptr) {
    cpu = changed->cpu_units.value_or(cpu);
    memory = changed->memory_mib.value_or(memory);
    reservation = changed->memory_reservation_mib.value_or(reservation);
  }
  out.cpu = std::to_string(cpu);
  if (memory != 0) out.memory = std::to_string(memory);
  if (reservation != 0) out.memory_reservation = std::to_string(reservation);
}

void add_seen(m::Container& out, const records::ContainerObserved& seen) {
  if (!seen.runtime_id.empty()) out.runtime_id = seen.runtime_id;
  if (!seen.image_digest.empty()) out.image_digest = seen.image_digest;
  out.exit_code = seen.exit_code;
  if (!seen.reason.empty()) out.reason = seen.reason;
  out.health_status = std::string(records::name_of(seen.health));
}

template <class T>
const T* named(const std::vector<T>& items, const std::string& name) {
  const auto at = std::find_if(items.begin(), items.end(), [&](const T& item) { return item.name == name; });
  return at == items.end() ? nullptr : &*at;
}

m::Container render_container(const TaskView& task, const records::ContainerDefinition& definition) {
  m::Container out;
  const auto* seen = task.observed ? named(task.observed->containers, definition.name) : nullptr;
  out.container_arn = container_arn(task, definition.name);
  out.task_arn = task.path.arn();
  out.name = definition.name;
  out.image = definition.image;
  out.last_status = container_status(task, seen);
  out.network_bindings.emplace();
  out.network_interfaces.emplace();
  if (task.observed && !task.observed->address.empty()) {
    auto& interface = out.network_interfaces->emplace_back();
    interface.attachment_id = task.spec->attachment_id;
    interface.private_ipv4_address = task.observed->address;
  }
  out.health_status = "UNKNOWN";
  if (task.spec->enable_execute_command) {
    auto& agent = out.managed_agents.emplace().emplace_back();
    agent.name = "ExecuteCommandAgent";
    agent.last_status = "STOPPED";
    agent.reason = "Berth does not serve ECS Exec yet.";
  }
  add_sizes(out, definition, named(task.spec->overrides, definition.name));
  if (seen != nullptr) add_seen(out, *seen);
  return out;
}

const char* attachment_status(const TaskView& task) {
  const TaskState state = task.state();
  if (state == TaskState::stopped) return "DELETED";
  if (state == TaskState::deprovisioning) return "DETACHING";
  if (task.observed && !task.observed->address.empty()) return "ATTACHED";
  return task.status && !task.status->subnet_id.empty() ? "ATTACHING" : "PRECREATED";
}

m::Attachment render_attachment(const TaskView& task) {
  m::Attachment out;
  out.id = task.spec->attachment_id;
  out.type = "ElasticNetworkInterface";
  out.status = attachment_status(task);
  auto& details = out.details.emplace();
  const auto& subnets = task.spec->network.subnets;
  const std::string subnet = task.status && !task.status->subnet_id.empty() ? task.status->subnet_id
                             : subnets.empty()                              ? std::string()
                                                                            : subnets.front();
  details.push_back(pair("subnetId", subnet));
  if (!task.observed || task.observed->address.empty()) return out;
  std::string dashed = task.observed->address;
  std::replace(dashed.begin(), dashed.end(), '.', '-');
  details.push_back(pair("networkInterfaceId", task.spec->eni_id));
  details.push_back(pair("macAddress", task.observed->mac));
  // The oldest region keeps its old domain.
  const std::string& region = task.path.scope.region;
  const std::string domain = region == "us-east-1" ? "ec2.internal" : region + ".compute.internal";
  details.push_back(pair("privateDnsName", fmt::format("ip-{}.{}", dashed, domain)));
  details.push_back(pair("privateIPv4Address", task.observed->address));
  return out;
}

void add_attributes(const Context& context, m::Task& out) {
  auto& attributes = out.attributes.emplace();
  auto add = [&](std::string name, std::string value) {
    auto& attribute = attributes.emplace_back();
    attribute.name = std::move(name);
    attribute.value = std::move(value);
  };
  add("ecs.cpu-architecture", kArchitecture);
  if (context.simulated_agent) add("berth.agent", "simulated");
}

void add_decided(const TaskView& task, m::Task& out) {
  out.last_status = std::string(records::name_of(task.state()));
  out.desired_status = task.wants_to_stop() ? "STOPPED" : "RUNNING";
  out.health_status = "UNKNOWN";
  out.version = 1;
  const auto* status = task.status.get();
  const bool told_to_stop = status != nullptr && status->stop_code != records::StopCode::none;
  if (task.intent && !told_to_stop) {
    out.stop_code = "UserInitiated";
    out.stopped_reason = task.intent->reason;
    out.stopping_at = time_of(task.intent->stop_requested_at_ms);
  }
  if (status == nullptr) return;
  if (!status->availability_zone.empty()) out.availability_zone = status->availability_zone;
  out.health_status = std::string(records::name_of(status->health));
  out.version = status->version;
  if (told_to_stop) out.stop_code = std::string(records::name_of(status->stop_code));
  if (!status->stopped_reason.empty()) out.stopped_reason = status->stopped_reason;
  out.started_at = time_of(status->started_at_ms);
  if (status->stopping_at_ms != 0) out.stopping_at = status->stopping_at_ms;
  out.execution_stopped_at = time_of(status->execution_stopped_at_ms);
  out.stopped_at = time_of(status->stopped_at_ms);
}

void add_seen(const TaskView& task, m::Task& out) {
  if (!task.observed) return;
  if (task.observed->connectivity_at_ms != 0) {
    out.connectivity = "CONNECTED";
    out.connectivity_at = task.observed->connectivity_at_ms;
  }
  out.pull_started_at = time_of(task.observed->pull_started_at_ms);
  out.pull_stopped_at = time_of(task.observed->pull_stopped_at_ms);
}

// AWS names every container, also those that nothing overrides.
void fill_overrides(const TaskView& task, m::Task& out) {
  if (!out.overrides) out.overrides.emplace();
  if (!out.overrides->container_overrides) out.overrides->container_overrides.emplace();
  if (!out.overrides->inference_accelerator_overrides) out.overrides->inference_accelerator_overrides.emplace();
  if (!task.definition || !out.overrides->container_overrides->empty()) return;
  for (const auto& container : task.definition->containers)
    out.overrides->container_overrides->emplace_back().name = container.name;
}

void add_storage(const TaskView& task, m::Task& out) {
  int size = kEphemeralStorageGib;
  if (out.overrides && out.overrides->ephemeral_storage)
    size = out.overrides->ephemeral_storage->size_in_gib;
  else if (task.definition)
    size = definition_storage_gib(*task.definition).value_or(size);
  out.ephemeral_storage.emplace().size_in_gib = size;
  out.fargate_ephemeral_storage.emplace().size_in_gib = size;
}

}  // namespace

TaskView load_task(const Context& context, const records::keys::TaskPath& path) {
  namespace keys = records::keys;
  const auto& store = context.store;
  TaskView out;
  out.path = path;
  out.spec = records::get<records::TaskSpec>(store, keys::task(keys::kTaskSpec, path));
  if (!out.spec) return out;
  out.status = records::get<records::TaskStatus>(store, keys::task(keys::kTaskStatus, path));
  out.observed = records::get<records::TaskObserved>(store, keys::task(keys::kTaskObserved, path));
  out.intent = records::get<records::TaskIntent>(store, keys::task(keys::kTaskIntent, path));
  out.tags = records::get<records::TaskTags>(store, keys::task(keys::kTaskTags, path));
  out.definition = records::get<records::TaskDefinition>(
      store, keys::task_definition(path.scope, out.spec->family, out.spec->revision));
  return out;
}

m::Task render_task(const Context& context, const TaskView& task, bool with_tags) {
  const auto& spec = *task.spec;
  auto out = from_kept<m::Task>(spec.kept);
  out.attachments.emplace();
  if (!spec.attachment_id.empty()) out.attachments->push_back(render_attachment(task));
  add_attributes(context, out);
  if (!spec.capacity_provider.empty()) out.capacity_provider_name = spec.capacity_provider;
  out.cluster_arn = records::cluster_arn(task.path.scope, task.path.cluster);
  out.containers.emplace();
  if (task.definition)
    for (const auto& container : task.definition->containers)
      out.containers->push_back(render_container(task, container));
  out.cpu = std::to_string(spec.cpu_units);
  out.memory = std::to_string(spec.memory_mib);
  out.created_at = time_of(spec.created_at_ms);
  out.enable_execute_command = spec.enable_execute_command;
  out.group = spec.group;
  out.launch_type = spec.launch_type.empty() ? "FARGATE" : spec.launch_type;
  fill_overrides(task, out);
  out.platform_version = spec.platform_version;
  out.platform_family = "Linux";
  if (!spec.started_by.empty()) out.started_by = spec.started_by;
  out.tags = to_tags(!with_tags ? records::Tags{} : task.tags ? task.tags->tags : spec.tags);
  out.task_arn = task.path.arn();
  out.task_definition_arn = records::task_definition_arn(task.path.scope, spec.family, spec.revision);
  add_decided(task, out);
  add_seen(task, out);
  add_storage(task, out);
  return out;
}

}  // namespace berth::services::ecs
