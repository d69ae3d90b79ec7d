// What must be known of tasks without ranging: which belong to a service or a cluster, in which state, and how much of
// the machine is reserved. Kept in step with the head by the store (state::Index), on the state thread only.
//
// A task reserves from the moment its spec is written until its status says STOPPED or the agent says `stopped`,
// whichever comes first: a container that is still being killed still has its memory.
#pragma once

#include <map>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "records/keys.h"
#include "records/task.h"
#include "state/store.h"

namespace berth::records {

struct TaskSummary {
  keys::TaskPath path;
  std::string service;  // empty: standalone
  std::string group;
  std::string family;
  int64_t revision = 0;
  std::string started_by;
  std::string launch_type;
  std::string capacity_provider;
  int cpu_units = 0;
  int memory_mib = 0;
  TimeMs created_at_ms = 0;
  bool has_spec = false;
  // From the status; a task whose status is not written yet is PROVISIONING.
  TaskState state = TaskState::provisioning;
  DesiredStatus desired = DesiredStatus::running;
  Health health = Health::unknown;
  StopCode stop_code = StopCode::none;
  TimeMs started_at_ms = 0;
  TimeMs stopping_at_ms = 0;
  bool failure_counted = false;
  std::string host;  // empty: not placed
  std::string subnet_id;
  bool agent_stopped = false;

  bool reserves() const { return has_spec && state != TaskState::stopped && !agent_stopped; }
};

// By id, ascending. The summaries are the index's own, and valid until the store changes.
using TasksById = std::map<std::string, const TaskSummary*>;

struct Reserved {
  int64_t cpu_units = 0;
  int64_t memory_mib = 0;
  int64_t tasks = 0;
};

class TaskIndex final : public state::Index {
 public:
  // Feeds itself from the store; borrowed by it, so it must outlive the store's use.
  explicit TaskIndex(state::Store& store);

  void changed(const std::string& key, const state::ValuePtr& before, const state::ValuePtr& after) override;

  const TaskSummary* find(const keys::TaskPath& path) const;
  // Those of the service that are not STOPPED.
  const TasksById& live_of_service(const keys::ServicePath& service) const;
  // Tasks in the subnet that are not STOPPED; those of one service.
  int64_t in_subnet(const std::string& subnet_id) const;
  int64_t in_subnet(const std::string& subnet_id, const keys::ServicePath& service) const;
  // The service's name is enough: specs of an earlier incarnation have drained before INACTIVE.
  const TasksById& of_service(const keys::ServicePath& service) const;
  const TasksById& of_cluster(const Scope& scope, const std::string& cluster) const;
  // Tasks of a task definition's revision that are not STOPPED (DeleteTaskDefinitions waits for them), and all that can
  // be described.
  int64_t using_definition(const Scope& scope, const std::string& family, int64_t revision) const;
  int64_t naming_definition(const Scope& scope, const std::string& family, int64_t revision) const;
  const Reserved& reserved() const { return reserved_; }
  Reserved reserved_on(const std::string& host) const;  // "": asked for and not placed yet
  // Paths of tasks that are not STOPPED.
  std::vector<std::string> on_host(const std::string& host) const;

 private:
  void add(const TaskSummary& summary, int sign);

  std::unordered_map<std::string, TaskSummary> tasks_;  // by TaskPath::str(); the maps below point into it
  std::map<std::string, TasksById> by_service_;
  std::map<std::string, TasksById> live_by_service_;
  std::map<std::string, TasksById> by_cluster_;
  std::map<std::string, int64_t> by_subnet_;
  std::map<std::pair<std::string, std::string>, int64_t> by_subnet_and_service_;
  std::map<std::string, int64_t> live_by_definition_;
  std::map<std::string, int64_t> by_definition_;
  Reserved reserved_;
  std::map<std::string, Reserved> reserved_on_;  // by host
};

}  // namespace berth::records
