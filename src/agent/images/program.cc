#include "agent/images/program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "base/fd.h"

namespace berth::images {
namespace {

constexpr size_t kSaidBytesMax = 16 * 1024;

std::string said(const Fd& fd) {
  const off_t size = ::lseek(fd.get(), 0, SEEK_END);
  const off_t from = size > static_cast<off_t>(kSaidBytesMax) ? size - static_cast<off_t>(kSaidBytesMax) : 0;
  std::string text(static_cast<size_t>(size - from), '\0');
  const ssize_t read = ::pread(fd.get(), text.data(), text.size(), from);
  text.resize(read > 0 ? static_cast<size_t>(read) : 0);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

std::vector<std::string> plain_environment() {
  std::vector<std::string> environment = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                                          "LC_ALL=C"};
  for (const char* name : {"HOME", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
                           "SSL_CERT_FILE", "SSL_CERT_DIR", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "TMPDIR"}) {
    if (const char* value = std::getenv(name)) environment.push_back(std::string(name) + "=" + value);
  }
  return environment;
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> out;
  out.reserve(texts.size() + 1);
  for (const std::string& text : texts) out.push_back(const_cast<char*>(text.c_str()));
  out.push_back(nullptr);
  return out;
}

}  // namespace

Result<ProgramOutcome> run_program(const ProgramSpec& spec) {
  const Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const Fd output(::memfd_create("output", MFD_CLOEXEC));
  const Fd errors(::memfd_create("errors", MFD_CLOEXEC));
  if (!null || !output || !errors) return fail(errno, "prepare to run " + spec.argv[0]);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, spec.stdin_fd >= 0 ? spec.stdin_fd : null.get(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, errors.get(), STDERR_FILENO);
  if (spec.inherited_fd >= 0) posix_spawn_file_actions_adddup2(&actions, spec.inherited_fd, 3);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
  std::vector<std::string> environment = plain_environment();
  environment.insert(environment.end(), spec.environment.begin(), spec.environment.end());
  const std::vector<char*> argv = pointers(spec.argv);
  const std::vector<char*> envp = pointers(environment);
  pid_t pid = -1;
  const int error = ::posix_spawnp(&pid, argv[0], &actions, &attributes, argv.data(), envp.data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return fail(error, "start " + spec.argv[0]);

  ProgramOutcome outcome;
  const Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  pollfd wait[] = {{pidfd.get(), POLLIN, 0}, {spec.cancel_fd, POLLIN, 0}};
  int ready;
  while ((ready = ::poll(wait, 2, pidfd ? spec.timeout_ms : 0)) < 0 && errno == EINTR) {
  }
  outcome.timed_out = pidfd && ready == 0;
  outcome.cancelled = ready > 0 && wait[0].revents == 0;
  if (outcome.timed_out || outcome.cancelled) ::kill(-pid, SIGKILL);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return fail(errno, "wait for " + spec.argv[0]);
  }
  outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  outcome.output = said(output);
  outcome.errors = said(errors);
  return outcome;
}

}  // namespace berth::images
