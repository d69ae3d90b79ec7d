#include "supervisor/init.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

namespace berth::supervisor {
namespace {

// Raised by this process's own faults; everything else is the child's business.
bool is_own(int signal) {
  return signal == SIGSEGV || signal == SIGBUS || signal == SIGFPE || signal == SIGILL || signal == SIGTRAP ||
         signal == SIGABRT || signal == SIGSYS;
}

int exec_failed(const char* program) {
  const int error = errno;
  dprintf(STDERR_FILENO, "init: %s: %s\n", program, strerror(error));
  return error == ENOENT ? 127 : 126;
}

// Reaps what has ended. True and *status once the child is among it.
bool reap(pid_t child, int* status) {
  bool ended = false;
  int one = 0;
  for (pid_t pid; (pid = waitpid(-1, &one, WNOHANG)) > 0;) {
    if (pid != child) continue;
    *status = one;
    ended = true;
  }
  return ended;
}

}  // namespace

int run_as_init(char** arguments) {
  sigset_t forwarded;
  sigset_t before;
  sigfillset(&forwarded);
  for (int signal = 1; signal < 32; ++signal) {
    if (is_own(signal)) sigdelset(&forwarded, signal);
  }
  sigprocmask(SIG_SETMASK, &forwarded, &before);
  const pid_t child = fork();
  if (child < 0) return exec_failed("fork");
  if (child == 0) {
    sigprocmask(SIG_SETMASK, &before, nullptr);
    setsid();  // fails where it leads a session already, and then nothing is to do
    execvp(arguments[0], arguments);
    _exit(exec_failed(arguments[0]));
  }
  // Not sigwaitinfo(2), which unblocks while it waits: whoever looks at /proc/1/status would see nobody care.
  const int signals = signalfd(-1, &forwarded, SFD_CLOEXEC);
  if (signals < 0) return exec_failed("signalfd");
  int status = 0;
  for (;;) {
    signalfd_siginfo info{};
    if (read(signals, &info, sizeof info) != static_cast<ssize_t>(sizeof info)) continue;
    const int signal = static_cast<int>(info.ssi_signo);
    if (signal != SIGCHLD) {
      kill(child, signal);
    } else if (reap(child, &status)) {
      break;
    }
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace berth::supervisor
