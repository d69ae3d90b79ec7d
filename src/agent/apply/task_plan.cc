#include "agent/apply/task_plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "containers/containers.h"

namespace berth::agent {

using records::ContainerDefinition;

namespace {

constexpr uint64_t kOwnLogBytesMax = 10 * 1024 * 1024;
constexpr uint64_t kSharesPerVcpu = 1024;  // a CPU unit of ECS is a share of cgroup version 1
constexpr uint64_t kQuotaPeriodUs = 100'000;
// Of a whole task, and at most half of what the host has numbers for. AWS states no number for Fargate; this one only keeps a
// fork bomb from taking the host's table, which on some machines has no more places than that.
constexpr int64_t kProcessesMax = 32'768;

void apply_override(ContainerDefinition& container, const records::ContainerOverride& with) {
  if (with.command && !with.command->empty()) container.command = with.command;
  if (with.cpu_units) container.cpu_units = *with.cpu_units;
  if (with.memory_mib) container.memory_mib = *with.memory_mib;
  if (with.memory_reservation_mib) container.memory_reservation_mib = *with.memory_reservation_mib;
  for (const auto& variable : with.environment) {
    std::erase_if(container.environment, [&](const auto& entry) { return entry.first == variable.first; });
    container.environment.push_back(variable);
  }
}

taskdir::LogPlan log_plan(const TaskOrder& order, const ContainerDefinition& container, std::string own) {
  const auto directory = order.log_directories.find(container.name);
  if (!container.logs || directory == order.log_directories.end())
    return {std::move(own), taskdir::LogMode::blocking, 0, kOwnLogBytesMax};
  // The supervisor is outside the task's memory limit: what waits there must not take the machine's.
  const uint64_t most = std::max<uint64_t>(static_cast<uint64_t>(order.spec->memory_mib) << 20, kOwnLogBytesMax);
  return {directory->second, container.logs->blocking ? taskdir::LogMode::blocking : taskdir::LogMode::non_blocking,
          std::min(static_cast<uint64_t>(container.logs->max_buffer_bytes), most), 0, container.logs->event_pattern};
}

}  // namespace

std::string stream_name(const records::AwsLogs& logs, const std::string& container, const std::string& task_id) {
  if (logs.stream_prefix.empty()) return fmt::format("{}-{}", task_id, container);
  return fmt::format("{}/{}/{}", logs.stream_prefix, container, task_id);
}

std::string own_log_group(const std::string& task_id) { return task_id.substr(0, 16); }
std::string own_log_stream(size_t container) { return fmt::format("{:016x}", container); }

std::vector<ContainerDefinition> effective_containers(const records::TaskDefinition& definition,
                                                      const records::TaskSpec& spec) {
  std::vector<ContainerDefinition> out = definition.containers;
  for (const records::ContainerOverride& with : spec.overrides)
    for (ContainerDefinition& container : out)
      if (container.name == with.name) apply_override(container, with);
  return out;
}

taskdir::Plan task_plan(const TaskOrder& order, const std::vector<ContainerDefinition>& containers,
                        const std::vector<std::vector<std::string>>& lower_directories, const Host& host,
                        const std::string& own_log_directory) {
  taskdir::Plan plan;
  plan.task_id = order.path.id;
  plan.instance = host.instance;
  plan.runtime_path = host.runtime_path;
  plan.runtime_root = host.runtime_root;
  plan.cgroup_mode = host.cgroup_mode;
  plan.memory_limit_bytes = static_cast<uint64_t>(order.spec->memory_mib) * 1024 * 1024;
  plan.processes_max =
      static_cast<uint64_t>(host.processes_max > 0 ? std::min(kProcessesMax, host.processes_max / 2) : kProcessesMax);
  if (const auto units = static_cast<uint64_t>(order.spec->cpu_units); units > 0) {
    plan.cpu_shares = std::max<uint64_t>(units * kSharesPerVcpu / 1024, 2);
    // The task's size is its ceiling; on a machine that has less there is nothing to cap.
    if (units < static_cast<uint64_t>(host.cpus) * 1024) plan.cpu_quota_us = units * kQuotaPeriodUs / 1024;
  }
  for (size_t i = 0; i < containers.size(); ++i) {
    const ContainerDefinition& container = containers[i];
    taskdir::ContainerPlan out;
    out.name = container.name;
    out.stops_task = containers::always_ends_task(container);
    out.lower_directories = lower_directories[i];
    out.stop_timeout_ms = static_cast<uint32_t>(container.stop_timeout_s) * 1000;
    out.dependants = containers::dependants_of(container, containers);
    out.log = log_plan(order, container, fmt::format("{}/{}", own_log_directory, own_log_stream(i)));
    plan.containers.push_back(std::move(out));
  }
  return plan;
}

}  // namespace berth::agent
