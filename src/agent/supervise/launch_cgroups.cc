#include "agent/supervise/launch_cgroups.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <set>

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

std::vector<std::string> LaunchCgroups::present() const {
  std::set<std::string> names;
  for (const std::string& directory : taskdir::cgroup_directories(root_, mode_, taskdir::instance_cgroup(instance_))) {
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator(directory, none))
      if (entry.is_directory(none) && entry.path().filename() != "supervisors") names.insert(entry.path().filename());
  }
  return {names.begin(), names.end()};
}

void LaunchCgroups::collect(std::vector<std::string> task_ids) {
  if (task_ids.empty()) return;
  worker_.post([this, task_ids = std::move(task_ids)] {
    for (const std::string& id : task_ids) {
      const std::string path = taskdir::task_cgroup(instance_, id);
      taskdir::kill_cgroup(root_, mode_, path);
      if (const int error = taskdir::remove_cgroup(root_, mode_, path))
        log_warning("the cgroup {}, which no task has, stays: {}", path, strerror(error));
      else
        log_info("took away the cgroup {}, which no task has", path);
    }
  });
}

}  // namespace berth::agent
