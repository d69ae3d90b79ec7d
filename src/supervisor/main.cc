// berth-supervisor <task directory>: carries out the plan in it. Started by the daemon, outlives it.
// berth-supervisor init -- <program> [argument…]: see init.h.
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/host.h"
#include "supervisor/init.h"
#include "supervisor/task.h"
#include "taskdir/paths.h"

namespace berth::supervisor {
namespace {

constexpr size_t kPlanBytesMax = 16 * 1024 * 1024;

// What cannot be told by the journal is told here, in the task's directory, for the daemon's log.
int give_up(int directory, const std::string& why) {
  const std::string line = why + "\n";
  write_file_atomically(directory, taskdir::kTroubleFile, line);
  return 1;
}

int supervise(const char* directory) {
  Fd directory_fd(open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory_fd || chdir(directory) != 0) return 1;
  const auto plan = taskdir::decode_plan(read_whole_file("plan", kPlanBytesMax));
  const int fd = directory_fd.get();
  if (!plan) return give_up(fd, "the plan is missing, damaged or of another version");
  Fd daemon;
  if (fcntl(taskdir::kDaemonSocketFd, F_GETFD) >= 0) {
    daemon.reset(taskdir::kDaemonSocketFd);
    fcntl(daemon.get(), F_SETFD, FD_CLOEXEC);
  }
  fcntl(taskdir::kLockFd, F_SETFD, FD_CLOEXEC);  // held until the end; the OCI runtime must not hold it
  fcntl(taskdir::kRuntimeFd, F_SETFD, FD_CLOEXEC);
  umask(022);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  shield_from_oom_killer();
  if (const Trouble t = enter_mount_namespace(directory, *plan)) return give_up(fd, t.what);
  Task task(directory, std::move(directory_fd), *plan);
  if (const std::string why = task.open(std::move(daemon)); !why.empty()) return give_up(fd, why);
  task.run();
  return 0;
}

}  // namespace
}  // namespace berth::supervisor

int main(int count, char** arguments) {
  if (count > 3 && strcmp(arguments[1], "init") == 0 && strcmp(arguments[2], "--") == 0) {
    return berth::supervisor::run_as_init(arguments + 3);
  }
  if (count == 2 && arguments[1][0] == '/') _exit(berth::supervisor::supervise(arguments[1]));
  dprintf(STDERR_FILENO,
          "usage: berth-supervisor /TASK/DIRECTORY\n       berth-supervisor init -- PROGRAM [ARGUMENT...]\n");
  return 64;
}
