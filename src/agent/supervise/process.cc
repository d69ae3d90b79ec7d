#include "agent/supervise/process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "base/files.h"
#include "taskdir/paths.h"

namespace berth::agent {

Result<StartedSupervisor> start_supervisor(const std::string& program, const std::string& task_directory, int runtime) {
  const std::string plan = task_directory + "/" + taskdir::kPlanFile;
  const Fd lock(open(plan.c_str(), O_RDONLY | O_CLOEXEC));
  if (!lock) return fail(errno, "open " + plan);
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) return fail(errno, "lock " + plan);
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return fail(errno, "socketpair");
  StartedSupervisor started;
  started.socket.reset(ends[0]);
  const Fd theirs(ends[1]);
  fcntl(ends[0], F_SETFL, O_NONBLOCK);

  // The targets may be the sources' own numbers: park them above first.
  const Fd high_socket(fcntl(theirs.get(), F_DUPFD_CLOEXEC, 64));
  const Fd high_lock(fcntl(lock.get(), F_DUPFD_CLOEXEC, 64));
  if (!high_socket || !high_lock) return fail(errno, "duplicate a descriptor");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDWR, 0);
  posix_spawn_file_actions_adddup2(&actions, STDIN_FILENO, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, STDIN_FILENO, STDERR_FILENO);
  posix_spawn_file_actions_adddup2(&actions, high_socket.get(), taskdir::kDaemonSocketFd);
  posix_spawn_file_actions_adddup2(&actions, high_lock.get(), taskdir::kLockFd);
  const Fd high_runtime(runtime >= 0 ? fcntl(runtime, F_DUPFD_CLOEXEC, 64) : -1);
  if (high_runtime) posix_spawn_file_actions_adddup2(&actions, high_runtime.get(), taskdir::kRuntimeFd);
  posix_spawn_file_actions_addclosefrom_np(&actions, taskdir::kRuntimeFd + (high_runtime ? 1 : 0));
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  char* argv[] = {const_cast<char*>("berth-supervisor"), const_cast<char*>(task_directory.c_str()), nullptr};
  char* environment[] = {nullptr};
  pid_t pid = 0;
  const int error = posix_spawn(&pid, program.c_str(), &actions, &attributes, argv, environment);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return fail(error, "start " + program);
  started.pid = static_cast<uint32_t>(pid);
  started.pidfd = open_pidfd(started.pid);
  if (started.pidfd) return started;
  const int why = errno;
  // Nobody would ever hear of it. A child's pid is nobody else's until it is waited for.
  kill(pid, SIGKILL);
  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  return fail(why, "pidfd of the supervisor");
}

Fd open_pidfd(uint32_t pid) { return Fd(static_cast<int>(syscall(SYS_pidfd_open, static_cast<pid_t>(pid), 0))); }

std::optional<taskdir::Owner> read_owner(const std::string& task_directory) {
  const auto bytes = read_file(task_directory + "/" + taskdir::kOwnerFile, 4096);
  return bytes ? taskdir::decode_owner(*bytes) : std::nullopt;
}

bool is_same_process(const taskdir::Owner& owner) {
  auto boot_id = read_file("/proc/sys/kernel/random/boot_id", 64);
  if (!boot_id || boot_id->substr(0, boot_id->find('\n')) != owner.boot_id) return false;
  const auto stat = read_file("/proc/" + std::to_string(owner.pid) + "/stat", 4096);
  if (!stat || taskdir::start_ticks_of_stat(*stat) != owner.start_ticks) return false;
  const size_t bracket = stat->rfind(')');  // "(name) S …": one that has ended and waits to be reaped is no supervisor
  return stat->compare(bracket, 3, ") Z") != 0 && stat->compare(bracket, 3, ") X") != 0;
}

bool is_locked(const std::string& path) {
  const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return fd && flock(fd.get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

}  // namespace berth::agent
