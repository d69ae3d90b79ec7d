// From an order to what a supervisor is told. Pure: paths and image layers are arguments.
#pragma once

#include <string>
#include <vector>

#include "agent/apply/order.h"
#include "records/task_definition.h"
#include "taskdir/plan.h"

namespace berth::agent {

// What is the same for every task of this daemon.
struct Host {
  std::string instance;
  std::string runtime_path;
  std::string runtime_root;
  taskdir::CgroupMode cgroup_mode = taskdir::CgroupMode::v2;
  int cpus = 1;
  int64_t open_files_max = 0;  // see runtime::ContainerSpec
  int64_t processes_max = 0;   // see runtime::Runtime
};

// Containers without a logConfiguration keep their last 10 MB for `berth logs`, in a log store of their own: a group for
// each task and a stream for each container, by its index in the definition.
std::string own_log_group(const std::string& task_id);
std::string own_log_stream(size_t container);

struct LogPlaces {
  std::string log_store;  // <state>/logs: of containers with awslogs
  std::string own;        // the task's own group
};

// `lower_directories[i]`: the layers of container i's image, the topmost first.
taskdir::Plan task_plan(const Assignment& assigned, const std::vector<records::ContainerDefinition>& containers,
                        const std::vector<std::vector<std::string>>& lower_directories, const Host& host,
                        const LogPlaces& logs);

}  // namespace berth::agent
