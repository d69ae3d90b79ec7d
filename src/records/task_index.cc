#include "records/task_index.h"

#include "base/assert.h"
#include "records/read.h"

namespace berth::records {
namespace {

const std::set<std::string> kNone;

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
  TaskSummary& summary = tasks_[path.str()];
  add(summary, -1);
  summary.path = path;
  if (key.starts_with(keys::kTaskSpec)) {
    if (after)
      take_spec(summary, *decoded<TaskSpec>(after));
    else
      summary.has_spec = false;
  } else if (key.starts_with(keys::kTaskStatus)) {
    take_status(summary, after ? *decoded<TaskStatus>(after) : TaskStatus{});
  } else {
    summary.agent_stopped = after && decoded<TaskObserved>(after)->stopped;
  }
  if (!summary.has_spec && !after) {
    tasks_.erase(path.str());
    return;
  }
  add(summary, +1);
}

void TaskIndex::add(const TaskSummary& s, int sign) {
  if (!s.has_spec) return;
  auto update = [&](std::set<std::string>& ids) {
    sign > 0 ? (void)ids.insert(s.path.id) : (void)ids.erase(s.path.id);
  };
  const std::string cluster = cluster_key(s.path.scope, s.path.cluster);
  update(by_cluster_[cluster]);
  if (by_cluster_[cluster].empty()) by_cluster_.erase(cluster);
  if (!s.service.empty()) {
    const std::string service = service_key(s.path.scope, s.path.cluster, s.service);
    update(by_service_[service]);
    if (by_service_[service].empty()) by_service_.erase(service);
    if (s.state != TaskState::stopped) {
      update(live_by_service_[service]);
      if (live_by_service_[service].empty()) live_by_service_.erase(service);
    }
  }
  if (s.state != TaskState::stopped) {
    if (!s.subnet_id.empty() && (by_subnet_[s.subnet_id] += sign) == 0) by_subnet_.erase(s.subnet_id);
    const std::string definition = definition_key(s.path.scope, s.family, s.revision);
    by_definition_[definition] += sign;
    if (by_definition_[definition] == 0) by_definition_.erase(definition);
  }
  if (s.reserves()) {
    reserved_.cpu_units += sign * s.cpu_units;
    reserved_.memory_mib += sign * s.memory_mib;
    reserved_.tasks += sign;
  }
}

const TaskSummary* TaskIndex::find(const keys::TaskPath& path) const {
  const auto it = tasks_.find(path.str());
  return it == tasks_.end() || !it->second.has_spec ? nullptr : &it->second;
}

const std::set<std::string>& TaskIndex::of_service(const keys::ServicePath& service) const {
  const auto it = by_service_.find(service_key(service.scope, service.cluster, service.name));
  return it == by_service_.end() ? kNone : it->second;
}

const std::set<std::string>& TaskIndex::live_of_service(const keys::ServicePath& service) const {
  const auto it = live_by_service_.find(service_key(service.scope, service.cluster, service.name));
  return it == live_by_service_.end() ? kNone : it->second;
}

int64_t TaskIndex::in_subnet(const std::string& subnet_id) const {
  const auto it = by_subnet_.find(subnet_id);
  return it == by_subnet_.end() ? 0 : it->second;
}

const std::set<std::string>& TaskIndex::of_cluster(const Scope& scope, const std::string& cluster) const {
  const auto it = by_cluster_.find(cluster_key(scope, cluster));
  return it == by_cluster_.end() ? kNone : it->second;
}

int64_t TaskIndex::using_definition(const Scope& scope, const std::string& family, int64_t revision) const {
  const auto it = by_definition_.find(definition_key(scope, family, revision));
  return it == by_definition_.end() ? 0 : it->second;
}

}  // namespace berth::records
