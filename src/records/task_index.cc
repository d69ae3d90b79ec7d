#include "records/task_index.h"

#include "base/assert.h"
#include "records/read.h"

namespace berth::records {
namespace {

const TasksById kNone;

std::string cluster_key(const Scope& scope, const std::string& cluster) {
  return fmt::format("{}/{}/{}", scope.account, scope.region, cluster);
}
std::string service_key(const Scope& scope, const std::string& cluster, const std::string& service) {
  return fmt::format("{}/{}/{}/{}", scope.account, scope.region, cluster, service);
}
std::string definition_key(const Scope& scope, const std::string& family, int64_t revision) {
  return fmt::format("{}/{}/{}:{}", scope.account, scope.region, family, revision);
}

void take_spec(TaskSummary& s, const TaskSpec& spec) {
  s.has_spec = true;
  s.service = spec.service;
  s.group = spec.group;
  s.family = spec.family;
  s.revision = spec.revision;
  s.started_by = spec.started_by;
  s.launch_type = spec.launch_type;
  s.capacity_provider = spec.capacity_provider;
  s.cpu_units = spec.cpu_units;
  s.memory_mib = spec.memory_mib;
  s.created_at_ms = spec.created_at_ms;
}

void take_status(TaskSummary& s, const TaskStatus& status) {
  s.state = status.state;
  s.desired = status.desired;
  s.health = status.health;
  s.host = status.host;
  s.subnet_id = status.subnet_id;
  s.stop_code = status.stop_code;
  s.started_at_ms = status.started_at_ms;
  s.stopping_at_ms = status.stopping_at_ms;
  s.failure_counted = status.failure_counted;
}

}  // namespace

TaskIndex::TaskIndex(state::Store& store) {
  for (std::string_view kind : {keys::kTaskSpec, keys::kTaskStatus, keys::kTaskObserved})
    store.add_index(std::string(kind), this);
}

void TaskIndex::changed(const std::string& key, const state::ValuePtr&, const state::ValuePtr& after) {
  const keys::TaskPath path = keys::task_path(key);
  const std::string name = path.str();
  TaskSummary& summary = tasks_[name];
  if (summary.path.id.empty()) summary.path = path;
  // Most changes of a status move a task from no group into another: only those that do touch the groups.
  if (key.starts_with(keys::kTaskSpec)) {
    add(summary, -1);
    summary.has_spec = after != nullptr;
    if (after) take_spec(summary, *decoded<TaskSpec>(after));
    add(summary, +1);
  } else if (key.starts_with(keys::kTaskStatus)) {
    static const TaskStatus kNotDecided;
    const auto kept = after ? decoded<TaskStatus>(after) : nullptr;
    const TaskStatus& status = kept ? *kept : kNotDecided;
    const bool moves = (status.state == TaskState::stopped) != (summary.state == TaskState::stopped) ||
                       status.host != summary.host || status.subnet_id != summary.subnet_id;
    if (moves) add(summary, -1);
    take_status(summary, status);
    if (moves) add(summary, +1);
  } else {
    const bool stopped = after && decoded<TaskObserved>(after)->stopped;
    const bool moves = stopped != summary.agent_stopped;
    if (moves) add(summary, -1);
    summary.agent_stopped = stopped;
    if (moves) add(summary, +1);
  }
  if (!summary.has_spec && !after) tasks_.erase(name);
}

void TaskIndex::add(const TaskSummary& s, int sign) {
  if (!s.has_spec) return;
  const auto group = [&](std::map<std::string, TasksById>& groups, const std::string& name) {
    if (sign > 0) {
      groups[name].emplace(s.path.id, &s);
      return;
    }
    const auto found = groups.find(name);
    found->second.erase(s.path.id);
    if (found->second.empty()) groups.erase(found);
  };
  const auto count = [&](auto& counts, const auto& name) {
    if ((counts[name] += sign) == 0) counts.erase(name);
  };
  const bool live = s.state != TaskState::stopped;
  const std::string service = s.service.empty() ? std::string() : service_key(s.path.scope, s.path.cluster, s.service);
  const std::string definition = definition_key(s.path.scope, s.family, s.revision);
  group(by_cluster_, cluster_key(s.path.scope, s.path.cluster));
  count(by_definition_, definition);
  if (live) count(live_by_definition_, definition);
  if (!service.empty()) {
    group(by_service_, service);
    if (live) group(live_by_service_, service);
  }
  if (live && !s.subnet_id.empty()) {
    count(by_subnet_, s.subnet_id);
    if (!service.empty()) count(by_subnet_and_service_, std::pair(s.subnet_id, service));
  }
  if (s.reserves()) {
    const auto reserve = [&](Reserved& reserved) {
      reserved.cpu_units += sign * s.cpu_units;
      reserved.memory_mib += sign * s.memory_mib;
      reserved.tasks += sign;
    };
    reserve(reserved_);
    reserve(reserved_on_[s.host]);
  }
}

Reserved TaskIndex::reserved_on(const std::string& host) const {
  const auto it = reserved_on_.find(host);
  return it == reserved_on_.end() ? Reserved{} : it->second;
}

std::vector<std::string> TaskIndex::on_host(const std::string& host) const {
  std::vector<std::string> out;  // asked when a host is given up, which is seldom
  for (const auto& [path, task] : tasks_)
    if (task.host == host && task.state != TaskState::stopped) out.push_back(path);
  return out;
}

const TaskSummary* TaskIndex::find(const keys::TaskPath& path) const {
  const auto it = tasks_.find(path.str());
  return it == tasks_.end() || !it->second.has_spec ? nullptr : &it->second;
}

const TasksById& TaskIndex::of_service(const keys::ServicePath& service) const {
  const auto it = by_service_.find(service_key(service.scope, service.cluster, service.name));
  return it == by_service_.end() ? kNone : it->second;
}

const TasksById& TaskIndex::live_of_service(const keys::ServicePath& service) const {
  const auto it = live_by_service_.find(service_key(service.scope, service.cluster, service.name));
  return it == live_by_service_.end() ? kNone : it->second;
}

int64_t TaskIndex::in_subnet(const std::string& subnet_id) const {
  const auto it = by_subnet_.find(subnet_id);
  return it == by_subnet_.end() ? 0 : it->second;
}

int64_t TaskIndex::in_subnet(const std::string& subnet_id, const keys::ServicePath& service) const {
  const auto it = by_subnet_and_service_.find({subnet_id, service_key(service.scope, service.cluster, service.name)});
  return it == by_subnet_and_service_.end() ? 0 : it->second;
}

const TasksById& TaskIndex::of_cluster(const Scope& scope, const std::string& cluster) const {
  const auto it = by_cluster_.find(cluster_key(scope, cluster));
  return it == by_cluster_.end() ? kNone : it->second;
}

int64_t TaskIndex::using_definition(const Scope& scope, const std::string& family, int64_t revision) const {
  const auto it = live_by_definition_.find(definition_key(scope, family, revision));
  return it == live_by_definition_.end() ? 0 : it->second;
}

int64_t TaskIndex::naming_definition(const Scope& scope, const std::string& family, int64_t revision) const {
  const auto it = by_definition_.find(definition_key(scope, family, revision));
  return it == by_definition_.end() ? 0 : it->second;
}

}  // namespace berth::records
