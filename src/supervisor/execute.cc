// Health checks: a command beside the container's own, by the runtime's `exec`, which knows how to become a process of
// the container (namespaces, user, capabilities, seccomp, cgroup).
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "supervisor/host.h"
#include "supervisor/spawn.h"
#include "supervisor/task.h"
#include "taskdir/paths.h"

namespace berth::supervisor {

using taskdir::kExecuteImpossible;
using taskdir::kExecuteTimedOut;

void Task::answer(Execution& execution, uint32_t exit_code) {
  if (execution.connection < 0) return;
  const std::string reply = taskdir::encode_reply(
      {.kind = taskdir::ReplyKind::executed, .id = execution.id, .exit_code = exit_code, .output = execution.output});
  send(execution.connection, reply.data(), reply.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

void Task::execute(const taskdir::Command& command, int connection) {
  Execution execution;
  execution.id = command.id;
  execution.container = command.container;
  execution.connection = connection;
  if (command.container >= plan_.containers.size() || containers_[command.container].state != State::running) {
    execution.output = "the container is not running";
  } else if (executions_.size() >= kExecutionsMax) {
    execution.output = "too many commands run in the task already";
  } else if (command.arguments.empty()) {
    execution.output = "the command is empty";
  }
  if (!execution.output.empty()) return answer(execution, kExecuteImpossible);

  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    execution.output = trouble(errno, "pipe").what;
    return answer(execution, kExecuteImpossible);
  }
  execution.output_fd.reset(ends[0]);
  const Fd write_end(ends[1]);
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  const std::string bundle = directory_ + "/" + taskdir::container_directory(plan_.containers[command.container].name);
  std::vector<std::string> arguments = runtime_command();
  for (const std::string& argument : {std::string("exec"), std::string("--pid-file"),
                                      bundle + "/exec." + std::to_string(command.id), runtime_id(command.container)}) {
    arguments.push_back(argument);
  }
  for (const std::string& argument : command.arguments) arguments.push_back(argument);
  if (const int error = spawn(arguments, write_end.get(), write_end.get(), &execution.pid)) {
    execution.output = trouble(error, "start " + plan_.runtime_path).what;
    return answer(execution, kExecuteImpossible);
  }
  execution.deadline_ms = command.timeout_ms == UINT32_MAX ? kNever : monotonic_ms() + command.timeout_ms;
  watch(execution.output_fd.get(), Source::execution, static_cast<uint32_t>(execution.output_fd.get()));
  executions_.push_back(std::move(execution));
}

// `number` is the descriptor: positions in the list move.
void Task::read_execution(uint32_t number) {
  for (Execution& execution : executions_) {
    if (execution.output_fd.get() != static_cast<int>(number)) continue;
    char buffer[taskdir::kExecuteOutputBytesMax];
    const ssize_t got = read(execution.output_fd.get(), buffer, sizeof buffer);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) return execution.output_fd.reset();
    const size_t room = taskdir::kExecuteOutputBytesMax - execution.output.size();
    execution.output.append(buffer, static_cast<size_t>(got) < room ? static_cast<size_t>(got) : room);
    return;
  }
}

// The command leads a session of its own, which the runtime made for it: its whole process group goes.
void Task::execution_timed_out(Execution& execution) {
  execution.deadline_ms = kNever;
  execution.timed_out = true;
  const std::string pid_file = directory_ + "/" +
                               taskdir::container_directory(plan_.containers[execution.container].name) + "/exec." +
                               std::to_string(execution.id);
  const pid_t pid = static_cast<pid_t>(strtol(read_whole_file(pid_file.c_str(), 32).c_str(), nullptr, 10));
  if (pid > 1) {
    if (kill(-pid, SIGKILL) != 0) kill(pid, SIGKILL);
  }
  kill(execution.pid, SIGKILL);
}

void Task::execution_ended(size_t at, int status) {
  Execution execution = std::move(executions_[at]);
  executions_.erase(executions_.begin() + static_cast<ptrdiff_t>(at));
  char buffer[taskdir::kExecuteOutputBytesMax];
  while (execution.output_fd && execution.output.size() < taskdir::kExecuteOutputBytesMax) {
    const ssize_t got = read(execution.output_fd.get(), buffer, sizeof buffer);
    if (got <= 0) break;
    const size_t room = taskdir::kExecuteOutputBytesMax - execution.output.size();
    execution.output.append(buffer, static_cast<size_t>(got) < room ? static_cast<size_t>(got) : room);
  }
  const std::string pid_file = directory_ + "/" +
                               taskdir::container_directory(plan_.containers[execution.container].name) + "/exec." +
                               std::to_string(execution.id);
  unlink(pid_file.c_str());
  uint32_t code =
      WIFSIGNALED(status) ? 128 + static_cast<uint32_t>(WTERMSIG(status)) : static_cast<uint32_t>(WEXITSTATUS(status));
  if (execution.timed_out) code = kExecuteTimedOut;
  answer(execution, code);
}

}  // namespace berth::supervisor
