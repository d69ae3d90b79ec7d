// What a supervisor does to its surroundings once, at its start, and to mounts.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "taskdir/owner.h"
#include "taskdir/plan.h"

namespace berth::supervisor {

// A failure that the daemon is told: `what` is complete, fit for a person; empty means success.
struct Trouble {
  std::string what;
  explicit operator bool() const { return !what.empty(); }
};
Trouble trouble(int error, std::string what);

// A mount namespace of its own: the host's table does not grow by our overlays, and they go when we go. What the host
// unmounts goes here too. The task's own network namespace is at kNetworkNamespaceFile from then on.
Trouble enter_mount_namespace(const std::string& task_directory, const taskdir::Plan& plan);
// The other tasks' namespaces, which came along into this mount namespace and would live as long as it does. Each umount(2)
// waits for an RCU grace period: Berth's directories of namespaces, a tmpfs each, are detached whole, and not before the
// first container is on its way.
void let_go_of_other_network_namespaces(const std::string& task_directory);
// The last process to be killed when memory is short.
void shield_from_oom_killer();
// Whether the signal would reach the program: false for the first process of a PID namespace that neither catches nor blocks
// it. True where the process cannot be looked at.
bool notices(pid_t pid, uint32_t signal);
// Mounts the container's layers and its own writes on containers/<name>/root.
Trouble mount_root(const std::string& task_directory, const taskdir::ContainerPlan& container);
// Mounts on volumes/<name> what the container's root, which is mounted, has at the path; nothing where that is no
// directory.
Trouble mount_image_volume(const std::string& task_directory, const taskdir::Plan& plan,
                           const taskdir::VolumePlan& volume);
std::string read_whole_file(const char* path, size_t bytes_max);
taskdir::Owner self();
// Writes beside and renames: readers see the whole or nothing. 0 or an errno.
int write_file_atomically(int directory, const char* name, const std::string& bytes);

}  // namespace berth::supervisor
