// The task's cgroups, made by the supervisor and, where it has died, killed and removed by the daemon: so the code is
// here, where both may know it. Blocking system calls of some microseconds each; no state.
//
//   version 2: one directory.  version 1 and hybrid: the same path below every mounted controller.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "taskdir/plan.h"

namespace berth::taskdir {

// "berth-<instance>" and "berth-<instance>/<task id>", without a leading slash.
std::string instance_cgroup(std::string_view instance);
std::string task_cgroup(std::string_view instance, std::string_view task_id);
std::string task_cgroup(const Plan& plan);

// The absolute directories that `path` (relative to a hierarchy's root) means under this root and mode.
std::vector<std::string> cgroup_directories(const std::string& root, CgroupMode mode, std::string_view path);

// Makes `path`, ready for processes and, in version 2, for controllers below it; no error where it is there already. Returns 0
// or an errno, and then names the file in *where.
int make_cgroup(const std::string& root, CgroupMode mode, std::string_view path, std::string* where);
// Makes the task's cgroup and sets its limits.
int make_task_cgroup(const Plan& plan, std::string* where);
// Moves the calling process to berth-<instance>/supervisors. 0 or an errno.
int enter_supervisors_cgroup(const Plan& plan, std::string* where);
// For a task whose processes are killed: they need the processor to die, and thousands of them, a fork bomb's, would take
// minutes under a small task's ceiling.
void lift_cpu_ceiling(const Plan& plan);
// Kills everything in the task's cgroup and below, and lifts what ceiling it had. Returns how many processes were seen; 0: it
// is empty.
int kill_task_cgroup(const Plan& plan);
int kill_cgroup(const std::string& root, CgroupMode mode, std::string_view path);
// Removes `path` and what is below. EBUSY while a process is still there, 0 where nothing is left.
int remove_cgroup(const std::string& root, CgroupMode mode, std::string_view path);
// How many processes of the cgroup the kernel killed for memory so far.
uint64_t oom_kills(const std::string& root, CgroupMode mode, std::string_view path);

}  // namespace berth::taskdir
