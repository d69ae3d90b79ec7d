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

taskdir::LogPlan log_plan(const records::TaskOrder& order, const ContainerDefinition& container,
                          const std::string& log_store, std::string own) {
  const auto log = std::find_if(order.logs.begin(), order.logs.end(),
                                [&](const records::OrderLog& one) { return one.container == container.name; });
  if (!container.logs || log == order.logs.end())
    return {std::move(own), taskdir::LogMode::blocking, 0, kOwnLogBytesMax};
  // The supervisor is outside the task's memory limit: what waits there must not take the machine's.
  const uint64_t most = std::max<uint64_t>(static_cast<uint64_t>(order.memory_mib) << 20, kOwnLogBytesMax);
  return {fmt::format("{}/{}/{}", log_store, log->group_uid, log->stream_uid),
          container.logs->blocking ? taskdir::LogMode::blocking : taskdir::LogMode::non_blocking,
          std::min(static_cast<uint64_t>(container.logs->max_buffer_bytes), most), 0, container.logs->event_pattern};
}

}  // namespace

std::string own_log_group(const std::string& task_id) { return task_id.substr(0, 16); }
std::string own_log_stream(size_t container) { return fmt::format("{:016x}", container); }

taskdir::Plan task_plan(const Assignment& assigned, const std::vector<ContainerDefinition>& containers,
                        const std::vector<std::vector<std::string>>& lower_directories, const Host& host,
                        const LogPlaces& logs) {
  const records::TaskOrder& order = *assigned.order;
  taskdir::Plan plan;
  plan.task_id = assigned.path.id;
  plan.instance = host.instance;
  plan.runtime_path = host.runtime_path;
  plan.runtime_root = host.runtime_root;
  plan.cgroup_mode = host.cgroup_mode;
  plan.memory_limit_bytes = static_cast<uint64_t>(order.memory_mib) * 1024 * 1024;
  plan.processes_max =
      static_cast<uint64_t>(host.processes_max > 0 ? std::min(kProcessesMax, host.processes_max / 2) : kProcessesMax);
  if (const auto units = static_cast<uint64_t>(order.cpu_units); units > 0) {
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
    // UINT32_MAX has a meaning of its own in commands.
    out.stop_timeout_ms =
        static_cast<uint32_t>(std::clamp<int64_t>(int64_t{container.stop_timeout_s} * 1000, 0, UINT32_MAX - 1));
    out.dependants = containers::dependants_of(container, containers);
    out.log = log_plan(order, container, logs.log_store, fmt::format("{}/{}", logs.own, own_log_stream(i)));
    plan.containers.push_back(std::move(out));
  }
  return plan;
}

}  // namespace berth::agent
