#include "supervisor/task.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "base/hash.h"
#include "supervisor/host.h"
#include "supervisor/spawn.h"
#include "taskdir/cgroups.h"
#include "taskdir/paths.h"
#include "taskdir/remove_tree.h"

namespace berth::supervisor {

using taskdir::Fact;
using taskdir::FactKind;

namespace {

char message_buffer[taskdir::kMessageBytesMax + 1];

// The writer's identity in the log store: the same for every attempt of one container, another for another task.
uint64_t log_writer_id(const std::string& task_id, const std::string& container) {
  constexpr std::string_view kEnd = "\xff";  // in no name
  const uint64_t hash = fnv1a(kEnd, fnv1a(container, fnv1a(kEnd, fnv1a(task_id))));
  return hash & ((uint64_t{1} << 48) - 1);
}

}  // namespace

Task::Task(std::string directory, Fd directory_fd, taskdir::Plan plan)
    : directory_(std::move(directory)),
      directory_fd_(std::move(directory_fd)),
      plan_(std::move(plan)),
      containers_(new Container[plan_.containers.size()]) {
  for (const taskdir::ContainerPlan& container : plan_.containers) {
    logs_by_threads_ = logs_by_threads_ || container.log.mode == taskdir::LogMode::non_blocking;
  }
}

bool Task::watch(int fd, Source source, uint32_t number) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = (uint64_t{static_cast<uint32_t>(source)} << 32) | number;
  return epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
}

std::string Task::open(Fd daemon) {
  if (const int error = journal_.open(directory_fd_.get())) return trouble(error, "journal").what;
  std::string where;
  if (const int error = taskdir::make_task_cgroup(plan_, &where)) return trouble(error, "cgroup " + where).what;

  epoll_.reset(epoll_create1(EPOLL_CLOEXEC));
  sigset_t mask;
  sigfillset(&mask);
  sigprocmask(SIG_SETMASK, &mask, nullptr);  // nobody ends a supervisor politely: that would end its task
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  signals_.reset(signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!epoll_ || !signals_ || !watch(signals_.get(), Source::signal, 0)) return trouble(errno, "epoll").what;

  listener_.reset(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", directory_fd_.get(), taskdir::kSocketFile);
  if (!listener_ || bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      listen(listener_.get(), static_cast<int>(kConnectionsMax)) != 0 || !watch(listener_.get(), Source::listener, 0)) {
    return trouble(errno, "socket").what;
  }
  if (const int error =
          write_file_atomically(directory_fd_.get(), taskdir::kOwnerFile, taskdir::encode_owner(self()))) {
    return trouble(error, "owner").what;
  }
  journal_.append({.kind = FactKind::supervising, .pid = static_cast<uint32_t>(getpid())});
  if (daemon) {
    fcntl(daemon.get(), F_SETFL, O_NONBLOCK);
    const int fd = daemon.release();
    connections_.push_back(fd);
    if (!watch(fd, Source::connection, static_cast<uint32_t>(fd))) return trouble(errno, "epoll").what;
  }
  return {};
}

void Task::run() {
  ring();
  while (!is_over()) {
    const int64_t timer = next_timer_ms();
    int wait_ms = -1;
    if (timer != kNever) {
      const int64_t left = timer - monotonic_ms();
      wait_ms = left < 0 ? 0 : left > 60'000 ? 60'000 : static_cast<int>(left);
    }
    epoll_event events[16];
    const int count = epoll_wait(epoll_.get(), events, 16, wait_ms);
    for (int i = 0; i < count; ++i) {
      dispatch(static_cast<Source>(events[i].data.u64 >> 32), static_cast<uint32_t>(events[i].data.u64));
    }
    run_timers();
    ring();
  }
  finish();
  ring();
}

void Task::dispatch(Source source, uint32_t number) {
  switch (source) {
    case Source::signal: reap(); break;
    case Source::listener: accept_connection(); break;
    case Source::connection: read_connection(static_cast<int>(number)); break;
    case Source::output: read_output(number); break;
    case Source::log_progress: resume_log(number); break;
    case Source::execution: read_execution(number); break;
  }
}

int64_t Task::next_timer_ms() const {
  int64_t next = log_retry_ms_ < log_give_up_ms_ ? log_retry_ms_ : log_give_up_ms_;
  for (size_t i = 0; i < plan_.containers.size(); ++i) {
    if (containers_[i].kill_at_ms < next) next = containers_[i].kill_at_ms;
    if (containers_[i].signal_at_ms < next) next = containers_[i].signal_at_ms;
    if (containers_[i].log.patient_until_ms() < next) next = containers_[i].log.patient_until_ms();
    if (containers_[i].log.event_due_ms() < next) next = containers_[i].log.event_due_ms();
  }
  for (const Execution& execution : executions_) {
    if (execution.deadline_ms < next) next = execution.deadline_ms;
  }
  return next;
}

void Task::run_timers() {
  const int64_t now = monotonic_ms();
  for (size_t i = 0; i < plan_.containers.size(); ++i) {
    Container& c = containers_[i];
    if (c.signal_at_ms <= now) signal_when_noticed(static_cast<uint32_t>(i));
    if (c.log.patient_until_ms() <= now) resume_log(static_cast<uint32_t>(i));
    if (c.log.event_due_ms() <= now) {
      c.log.end_event();
      hold_back(static_cast<uint32_t>(i));
    }
    if (c.kill_at_ms > now) continue;
    c.kill_at_ms = kNever;
    if (c.state != State::running) continue;
    c.signal_at_ms = kNever;
    kill(c.pid, SIGKILL);
    taskdir::lift_cpu_ceiling(plan_);
    journal_.append({.kind = FactKind::stop_signalled, .container = static_cast<uint32_t>(i), .signal = SIGKILL});
  }
  for (Execution& execution : executions_) {
    if (execution.deadline_ms <= now) execution_timed_out(execution);
  }
  if (log_retry_ms_ > now && log_give_up_ms_ > now) return;
  bool stalled = !journal_.settle();
  for (uint32_t i = 0; i < plan_.containers.size(); ++i) {
    ContainerLog& log = containers_[i].log;
    if (log_give_up_ms_ <= now && !log.is_settled()) log.abandon();
    resume_log(i);
    stalled = stalled || log.is_stalled();
  }
  log_retry_ms_ = stalled ? now + kLogRetryMs : kNever;
  if (log_give_up_ms_ <= now) log_give_up_ms_ = kNever;
}

// Everything that ends here is ours: runtimes, containers' first processes (their runtime has gone and this process is
// the subreaper), and what an execution left behind.
void Task::reap() {
  signalfd_siginfo info[8];
  while (read(signals_.get(), info, sizeof info) > 0) {
  }
  int status = 0;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) child_ended(pid, status);
}

void Task::child_ended(pid_t pid, int status) {
  bool starting = false;
  for (uint32_t i = 0; i < plan_.containers.size(); ++i) {
    if (containers_[i].runtime_pid == pid) return runtime_ended(i, status);
    if (containers_[i].pid == pid) return container_ended(i, status);
    starting = starting || containers_[i].state == State::starting;
  }
  for (size_t i = 0; i < executions_.size(); ++i) {
    if (executions_[i].pid == pid) return execution_ended(i, status);
  }
  // A container may end before its runtime has told its pid.
  if (starting && early_exits_.size() < kEarlyExitsMax) early_exits_.push_back({pid, status});
}

void Task::accept_connection() {
  const int fd = accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return;
  if (connections_.size() >= kConnectionsMax || !watch(fd, Source::connection, static_cast<uint32_t>(fd))) {
    close(fd);
    return;
  }
  connections_.push_back(fd);
}

void Task::close_connection(int fd) {
  for (size_t i = 0; i < connections_.size(); ++i) {
    if (connections_[i] != fd) continue;
    connections_.erase(connections_.begin() + static_cast<ptrdiff_t>(i));
    break;
  }
  for (Execution& execution : executions_) {
    if (execution.connection == fd) execution.connection = -1;
  }
  close(fd);
}

void Task::read_connection(int fd) {
  for (;;) {
    const ssize_t got = recv(fd, message_buffer, sizeof message_buffer, MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) return close_connection(fd);
    // A command of a later version that this one does not know is passed over: its sender sees that nothing happened.
    if (const auto command = taskdir::decode_command(std::string_view(message_buffer, static_cast<size_t>(got)))) {
      obey(*command, fd);
    }
  }
}

void Task::obey(const taskdir::Command& command, int connection) {
  using taskdir::CommandKind;
  const bool names_container = command.container < plan_.containers.size();
  switch (command.kind) {
    case CommandKind::start:
      if (names_container) start(command.container, command.id);
      break;
    case CommandKind::stop_task: begin_stop(taskdir::kNoContainer, command.text); break;
    case CommandKind::stop_container:
      if (names_container) stop_container(command.container, command.signal, command.timeout_ms);
      break;
    case CommandKind::signal:
      if (names_container && containers_[command.container].state == State::running) {
        kill(containers_[command.container].pid, static_cast<int>(command.signal));
      }
      break;
    case CommandKind::execute: execute(command, connection); break;
    case CommandKind::query: {
      const std::string reply =
          taskdir::encode_reply({.kind = taskdir::ReplyKind::grown, .journal_bytes = journal_.size()});
      send(connection, reply.data(), reply.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      break;
    }
  }
}

void Task::ring() {
  if (journal_.size() == rung_bytes_) return;
  rung_bytes_ = journal_.size();
  const std::string reply = taskdir::encode_reply({.kind = taskdir::ReplyKind::grown, .journal_bytes = rung_bytes_});
  for (int fd : connections_) send(fd, reply.data(), reply.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

std::string Task::container_cgroup(uint32_t index) const {
  return taskdir::task_cgroup(plan_) + "/" + plan_.containers[index].name;
}
std::string Task::runtime_id(uint32_t index) const {
  return taskdir::runtime_id(plan_.task_id, plan_.containers[index].name);
}
std::vector<std::string> Task::runtime_command() const { return {plan_.runtime_path, "--root", plan_.runtime_root}; }

// What the runtime wrote into its log: the last line is the reason.
std::string Task::runtime_words(uint32_t index) const {
  const std::string path =
      directory_ + "/" + taskdir::container_directory(plan_.containers[index].name) + "/runtime.log";
  std::string text = read_whole_file(path.c_str(), 64 * 1024);
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  const size_t line = text.rfind('\n');
  if (line != std::string::npos) text.erase(0, line + 1);
  return text;
}

Trouble Task::mount_root_once(uint32_t index) {
  if (containers_[index].mounted) return {};
  if (Trouble t = mount_root(directory_, plan_.containers[index])) return t;
  containers_[index].mounted = true;
  return {};
}

// Before any container runs, and so before any could change what is found in a root.
Trouble Task::mount_image_volumes() {
  if (image_volumes_mounted_) return {};
  for (const taskdir::VolumePlan& volume : plan_.image_volumes) {
    if (Trouble t = mount_root_once(volume.container)) return t;
    if (Trouble t = mount_image_volume(directory_, plan_, volume)) return t;
  }
  image_volumes_mounted_ = true;
  return {};
}

// `attempt` 0: of a daemon that does not count them.
void Task::start(uint32_t index, uint64_t attempt) {
  Container& c = containers_[index];
  const taskdir::ContainerPlan& plan = plan_.containers[index];
  if (stopping_ || c.state == State::starting || c.state == State::running) return;
  if (attempt != 0 && attempt <= c.attempt) return;  // of a daemon that did not live to see it carried out
  ++c.attempt;
  c.stop_wanted = false;
  if (const Trouble t = mount_image_volumes()) return start_failed(index, t.what);
  if (const Trouble t = mount_root_once(index)) return start_failed(index, t.what);
  Fd outputs[2];
  if (const int error = c.log.begin(plan.log, log_writer_id(plan_.task_id, plan.name), logs_by_threads_, &outputs)) {
    return start_failed(index, trouble(error, "log " + plan.log.directory).what);
  }
  const std::string bundle = directory_ + "/" + taskdir::container_directory(plan.name);
  const std::string pid_file = bundle + "/pid";
  const std::string log_file = bundle + "/runtime.log";
  unlink(pid_file.c_str());
  unlink(log_file.c_str());
  c.oom_kills = taskdir::oom_kills(plan_.cgroup_root, plan_.cgroup_mode, container_cgroup(index));
  std::vector<std::string> command = runtime_command();
  for (const std::string& argument :
       {std::string("--log"), log_file, std::string("run"), std::string("--detach"), std::string("--bundle"), bundle,
        std::string("--pid-file"), pid_file, runtime_id(index)}) {
    command.push_back(argument);
  }
  if (const int error = spawn(command, outputs[0].get(), outputs[1].get(), &c.runtime_pid)) {
    c.runtime_pid = 0;
    return start_failed(index, trouble(error, "start " + plan_.runtime_path).what);
  }
  c.state = State::starting;
  settle();
  watch_output(index);
}

void Task::watch_output(uint32_t index) {
  const ContainerLog& log = containers_[index].log;
  for (uint32_t pipe : {0u, 1u}) {
    if (const int fd = log.read_fd(static_cast<int>(pipe)); fd >= 0) watch(fd, Source::output, index * 2 + pipe);
  }
  if (log.progress_fd() >= 0) watch(log.progress_fd(), Source::log_progress, index);  // refused where it is already
}

// What waits for RCU grace periods and need not stand between the first start command and the runtime: a move between
// cgroups, for which the kernel first stops forks everywhere, and umount(2).
void Task::settle() {
  if (settled_) return;
  settled_ = true;
  std::string where;
  if (const int error = taskdir::enter_supervisors_cgroup(plan_, &where)) {
    begin_stop(taskdir::kNoContainer, trouble(error, "enter cgroup " + where).what);
  }
  let_go_of_other_network_namespaces(directory_);
}

void Task::start_failed(uint32_t index, std::string reason) {
  Container& c = containers_[index];
  c.log.finish();
  c.state = State::stopped;
  c.runtime_pid = 0;
  forget_runtime_state(index);
  journal_.append(
      {.kind = FactKind::start_failed, .container = index, .attempt = c.attempt, .reason = std::move(reason)});
  if (plan_.containers[index].stops_task && !stopping_) begin_stop(index, {});
  if (stopping_) advance_stop();
}

void Task::runtime_ended(uint32_t index, int status) {
  Container& c = containers_[index];
  c.runtime_pid = 0;
  const std::string bundle = directory_ + "/" + taskdir::container_directory(plan_.containers[index].name);
  const pid_t pid = static_cast<pid_t>(strtol(read_whole_file((bundle + "/pid").c_str(), 32).c_str(), nullptr, 10));
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || pid <= 1) {
    std::string reason = runtime_words(index);
    if (reason.empty()) reason = plan_.runtime_path + " ended without a reason";
    taskdir::kill_cgroup(plan_.cgroup_root, plan_.cgroup_mode, container_cgroup(index));
    return start_failed(index, std::move(reason));
  }
  c.state = State::running;
  c.running_since_ms = monotonic_ms();
  c.pid = pid;
  journal_.append({.kind = FactKind::container_started,
                   .container = index,
                   .pid = static_cast<uint32_t>(pid),
                   .attempt = c.attempt});
  for (size_t i = 0; i < early_exits_.size(); ++i) {
    if (early_exits_[i].pid != pid) continue;
    const int early = early_exits_[i].status;
    early_exits_.erase(early_exits_.begin() + static_cast<ptrdiff_t>(i));
    return container_ended(index, early);
  }
  if (stopping_) advance_stop();
}

void Task::container_ended(uint32_t index, int status) {
  Container& c = containers_[index];
  c.log.finish();
  if (c.log.is_stalled() && log_retry_ms_ == kNever) log_retry_ms_ = monotonic_ms() + kLogRetryMs;
  report_drops(index, c.log.take_dropped_at_end());
  c.state = State::stopped;
  c.kill_at_ms = kNever;
  c.signal_at_ms = kNever;
  Fact fact{.kind = FactKind::container_exited,
            .container = index,
            .pid = static_cast<uint32_t>(c.pid),
            .attempt = c.attempt};
  c.pid = 0;
  if (WIFSIGNALED(status)) fact.signal = static_cast<uint32_t>(WTERMSIG(status));
  fact.exit_code = fact.signal != 0 ? 128 + fact.signal : static_cast<uint32_t>(WEXITSTATUS(status));
  const std::string cgroup = container_cgroup(index);
  fact.oom = taskdir::oom_kills(plan_.cgroup_root, plan_.cgroup_mode, cgroup) > c.oom_kills;
  taskdir::kill_cgroup(plan_.cgroup_root, plan_.cgroup_mode, cgroup);  // what an execution left, if anything
  taskdir::remove_cgroup(plan_.cgroup_root, plan_.cgroup_mode, cgroup);
  forget_runtime_state(index);
  journal_.append(std::move(fact));
  if (plan_.containers[index].stops_task && !stopping_) begin_stop(index, {});
  if (stopping_) advance_stop();
}

// `runtime delete` would be a process that removes a directory and a cgroup; both are known here.
void Task::forget_runtime_state(uint32_t index) {
  const Fd root(::open(plan_.runtime_root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (root) taskdir::remove_tree(root.get(), runtime_id(index).c_str());
}

void Task::read_output(uint32_t number) {
  const uint32_t index = number / 2;
  Container& c = containers_[index];
  const int fd = c.log.read_fd(static_cast<int>(number % 2));
  if (fd < 0) return;
  c.log.read_available(static_cast<int>(number % 2));
  hold_back(index);
}

// Where the log's disk does not keep up.
void Task::hold_back(uint32_t index) {
  Container& c = containers_[index];
  report_drops(index, c.log.take_dropped());
  if (!c.log.holds_back()) return;
  for (int pipe : {0, 1}) {
    if (c.log.read_fd(pipe) >= 0) epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, c.log.read_fd(pipe), nullptr);
  }
  if (c.log.is_stalled() && log_retry_ms_ == kNever) log_retry_ms_ = monotonic_ms() + kLogRetryMs;
}

void Task::resume_log(uint32_t index) {
  Container& c = containers_[index];
  const bool held_back = c.log.holds_back();
  c.log.resume();
  report_drops(index, c.log.take_dropped());
  if (!held_back || c.log.holds_back()) return;
  if (c.state == State::starting || c.state == State::running) {
    watch_output(index);
  } else {
    c.log.finish();
  }
}

void Task::report_drops(uint32_t index, uint64_t dropped) {
  if (dropped > 0) journal_.append({.kind = FactKind::lines_dropped, .container = index, .count = dropped});
}

}  // namespace berth::supervisor
