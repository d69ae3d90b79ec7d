// A launch's cgroup, made when the launch is ordered, and a wait inside the kernel begun with it.
//
// Who moves a process into a cgroup first stops forks everywhere (cgroup_threadgroup_rwsem): 6 to 15 ms for the first
// move in a while, an RCU grace period, and next to nothing for those that follow within about another. The OCI
// runtime moves its container's process in the middle of each start. So this process moves itself to where it is
// already: the grace period passes while address, bundle and supervisor are made. Meanwhile the kernel makes no
// cgroup (cgroup_mutex is held): the task's is made before.
//
// Thread: any one; the work is done on a thread of its own. Nothing fails: what was not made here the supervisor makes.
#pragma once

#include <string>
#include <vector>

#include "base/workers.h"
#include "taskdir/plan.h"

namespace berth::agent {

class LaunchCgroups {
 public:
  // `own_procs`: the cgroup.procs that has this process; empty: unknown, and every launch waits.
  LaunchCgroups(std::string instance, std::string cgroup_root, taskdir::CgroupMode mode, std::string own_procs);

  void prepare(const std::string& task_id);
  // Of a task that is over, or never began.
  void remove(const std::string& task_id);
  // By name; reads directories. At a daemon's start, before it launches anything: what no task has then was left by
  // an earlier daemon that was killed while remove() still had it to do.
  std::vector<std::string> present() const;
  // Kills what is in them, and takes them away.
  void collect(std::vector<std::string> task_ids);

 private:
  const std::string instance_;
  const std::string root_;
  const taskdir::CgroupMode mode_;
  const std::string own_procs_;
  Workers worker_{"cgroup", 1};  // last: it ends before what its jobs touch
};

}  // namespace berth::agent
