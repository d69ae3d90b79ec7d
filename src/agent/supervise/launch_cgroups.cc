#include "agent/supervise/launch_cgroups.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstring>

#include "base/fd.h"
#include "base/log.h"
#include "taskdir/cgroups.h"

namespace berth::agent {

LaunchCgroups::LaunchCgroups(std::string instance, std::string cgroup_root, taskdir::CgroupMode mode,
                             std::string own_procs)
    : instance_(std::move(instance)), root_(std::move(cgroup_root)), mode_(mode), own_procs_(std::move(own_procs)) {}

void LaunchCgroups::prepare(const std::string& task_id) {
  worker_.post([this, path = taskdir::task_cgroup(instance_, task_id)] {
    std::string where;
    if (const int error = taskdir::make_cgroup(root_, mode_, path, &where))
      return log_debug("cannot make the cgroup {}: {}", where, strerror(error));
    const std::string pid = std::to_string(getpid());
    const Fd file(open(own_procs_.c_str(), O_WRONLY | O_CLOEXEC));
    if (file) (void)!write(file.get(), pid.data(), pid.size());
  });
}

void LaunchCgroups::remove(const std::string& task_id) {
  worker_.post([this, path = taskdir::task_cgroup(instance_, task_id)] {
    if (const int error = taskdir::remove_cgroup(root_, mode_, path))
      log_warning("the cgroup {} stays: {}", path, strerror(error));
  });
}

}  // namespace berth::agent
