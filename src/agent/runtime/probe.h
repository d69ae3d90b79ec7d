// Which OCI runtime and which cgroups this machine has. Asked once, at start, and by `berth doctor`.
#pragma once

#include <string>
#include <string_view>

#include "taskdir/plan.h"

namespace berth::runtime {

struct Runtime {
  std::string path;     // of crun or runc; empty: neither is usable
  std::string name;     // "crun"
  std::string version;  // "1.8.1"
  std::string cgroup_root = "/sys/fs/cgroup";
  taskdir::CgroupMode cgroup_mode = taskdir::CgroupMode::v2;
  std::string own_cgroup_procs;  // the cgroup.procs that has this process; of the memory hierarchy in version 1
  int64_t open_files_max = 0;    // a container's limit cannot be higher: this process may not raise its own. 0: it may
  int64_t processes_max = 0;     // that the kernel has numbers for, threads included; 0: it does not tell
  std::string problem;           // where path is empty: what is missing, and the remedy
};

// Runs `crun --version` (some milliseconds).
Runtime probe();

// Pure: the mode that /proc/self/mountinfo and the root's file system type tell.
taskdir::CgroupMode cgroup_mode_of(const std::string& mountinfo, const std::string& cgroup_root);

// Pure, of the text of /proc/self/cgroup. Empty where it tells nothing.
std::string own_cgroup_procs_of(std::string_view self, const std::string& cgroup_root, taskdir::CgroupMode mode);

}  // namespace berth::runtime
