// How a task ends: dependants first, each container with its own signal and patience, then whatever is left at once.
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/host.h"
#include "supervisor/task.h"
#include "taskdir/cgroups.h"
#include "taskdir/paths.h"
#include "taskdir/remove_tree.h"

namespace berth::supervisor {

using taskdir::FactKind;

void Task::begin_stop(uint32_t cause, std::string reason) {
  if (stopping_) return;
  stopping_ = true;
  journal_.append({.kind = FactKind::stop_begun, .container = cause, .reason = std::move(reason)});
  advance_stop();
}

// Called at every change while the task stops: whoever has no dependant left is told to stop.
void Task::advance_stop() {
  for (uint32_t i = 0; i < plan_.containers.size(); ++i) {
    Container& c = containers_[i];
    if (c.state != State::running || c.stop_wanted) continue;
    bool free = true;
    for (uint32_t dependant : plan_.containers[i].dependants) {
      const State state = containers_[dependant].state;
      free = free && state != State::running && state != State::starting;
    }
    if (free) stop_container(i, 0, UINT32_MAX);
  }
}

void Task::stop_container(uint32_t index, uint32_t signal, uint32_t timeout_ms) {
  Container& c = containers_[index];
  const taskdir::ContainerPlan& plan = plan_.containers[index];
  if (c.state != State::running) return;
  if (signal == 0) signal = plan.stop_signal;
  if (timeout_ms == UINT32_MAX) timeout_ms = plan.stop_timeout_ms;
  c.stop_wanted = true;
  const int64_t kill_at = monotonic_ms() + timeout_ms;
  if (kill_at < c.kill_at_ms) c.kill_at_ms = kill_at;  // a second command may shorten the wait, not lengthen it
  c.signal_owed = signal;
  signal_when_noticed(index);
}

// The first process of a PID namespace does not get a signal that it neither catches nor blocks (pid_namespaces(7)). One that
// has just been started, and whose program is about to install its handler, would miss its only SIGTERM and be killed
// after the whole of its patience. No event: the kernel tells nobody when a process begins to catch a signal.
void Task::signal_when_noticed(uint32_t index) {
  Container& c = containers_[index];
  const int64_t now = monotonic_ms();
  c.signal_at_ms = now + kSignalRetryMs;
  if (now - c.running_since_ms < kYouthMs && !notices(c.pid, c.signal_owed)) return;
  c.signal_at_ms = kNever;
  kill(c.pid, static_cast<int>(c.signal_owed));
  journal_.append({.kind = FactKind::stop_signalled, .container = index, .signal = c.signal_owed});
}

bool Task::is_over() const {
  if (!stopping_) return false;
  for (size_t i = 0; i < plan_.containers.size(); ++i) {
    const Container& c = containers_[i];
    if (c.state == State::starting || c.state == State::running) return false;
  }
  for (size_t i = 0; i < plan_.containers.size(); ++i) {
    if (!containers_[i].log.is_settled()) {
      // run_timers() gives up on it in the end.
      Task* self = const_cast<Task*>(this);
      if (log_give_up_ms_ == kNever) self->log_give_up_ms_ = monotonic_ms() + kLogPatienceMs;
      return false;
    }
  }
  return true;
}

void Task::finish() {
  for (Execution& execution : executions_) answer(execution, taskdir::kExecuteImpossible);
  executions_.clear();
  // Orphans of executions, if any; again until none is seen, since they may fork meanwhile.
  while (taskdir::kill_task_cgroup(plan_) > 0) {
    while (waitpid(-1, nullptr, 0) > 0) {
    }
  }
  taskdir::remove_cgroup(plan_.cgroup_root, plan_.cgroup_mode, taskdir::task_cgroup(plan_));
  for (const taskdir::VolumePlan& volume : plan_.image_volumes) {
    umount2((directory_ + "/" + taskdir::kVolumesDirectory + "/" + volume.name).c_str(), MNT_DETACH);
  }
  for (size_t i = 0; i < plan_.containers.size(); ++i) {
    if (!containers_[i].mounted || plan_.containers[i].lower_directories.empty()) continue;
    const std::string root = directory_ + "/" + taskdir::container_directory(plan_.containers[i].name) + "/root";
    umount2(root.c_str(), MNT_DETACH);
  }
  if (!plan_.network_namespace.empty()) {
    umount2((directory_ + "/" + taskdir::kNetworkNamespaceFile).c_str(), MNT_DETACH);
  }
  unlinkat(directory_fd_.get(), taskdir::kSocketFile, 0);
  journal_.append({.kind = FactKind::finished});
  ring();
  // The daemon knows; what can be many files is removed here, off its threads.
  taskdir::remove_tree(directory_fd_.get(), taskdir::kVolumesDirectory);
  taskdir::remove_tree(directory_fd_.get(), taskdir::kContainersDirectory);
}

}  // namespace berth::supervisor
