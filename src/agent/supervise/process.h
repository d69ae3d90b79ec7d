// Starting a supervisor, and telling whether a process is still the one that was meant.
#pragma once

#include <optional>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "taskdir/owner.h"

namespace berth::agent {

struct StartedSupervisor {
  uint32_t pid = 0;
  Fd pidfd;
  Fd socket;
};

// By posix_spawn: no copy of this process's page tables. The supervisor gets a session of its own, one end of a socket
// pair, the task directory's lock and `runtime` (-1: none); it stays this process's child until this process ends (a second fork would cost
// as much as it would save: the pidfd reaps it).
Result<StartedSupervisor> start_supervisor(const std::string& program, const std::string& task_directory, int runtime);

Fd open_pidfd(uint32_t pid);
std::optional<taskdir::Owner> read_owner(const std::string& task_directory);
bool is_same_process(const taskdir::Owner& owner);
// Whether another process holds the file's lock (flock).
bool is_locked(const std::string& path);

}  // namespace berth::agent
