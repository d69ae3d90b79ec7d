// The supervisor's one task: a single thread (but for log_queue.h) that waits in epoll for commands, children, output and
// timers.
//
//             start                     the runtime ends with 0                    its process ends
//   idle ───────────────▶ starting ───────────────────────────────▶ running ───────────────────────────▶ stopped
//                            │ the runtime fails: start_failed                                             │ start
//                            └──────────────────────────────────────────────────────▶ stopped ◀────────────┘ (again)
//
// The task itself runs, then stops (a command, or the exit of a container that stops it), and is finished when no
// container is left. Stopping is final: a start that comes afterwards is passed over.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/fd.h"
#include "supervisor/host.h"
#include "supervisor/journal_file.h"
#include "supervisor/logs.h"
#include "taskdir/message.h"
#include "taskdir/plan.h"

namespace berth::supervisor {

inline constexpr size_t kConnectionsMax = 8;
inline constexpr size_t kExecutionsMax = 32;
inline constexpr size_t kEarlyExitsMax = 64;
inline constexpr int64_t kLogRetryMs = 1000;       // while the disk is full
inline constexpr int64_t kLogPatienceMs = 10'000;  // after the task's end, before what cannot be written is dropped
inline constexpr int64_t kSignalRetryMs = 10;  // while a process that has just begun would not notice its stop signal
inline constexpr int64_t kYouthMs = 1000;      // after that the signal is sent whatever comes of it

class Task {
 public:
  Task(std::string directory, Fd directory_fd, taskdir::Plan plan);
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;

  // Opens the journal and the socket, makes the cgroups. An empty text, or what went wrong. `daemon`: a connection that
  // exists already, or none.
  std::string open(Fd daemon);
  // Until the task is finished.
  void run();

 private:
  enum class State { idle, starting, running, stopped };
  struct Container {
    State state = State::idle;
    bool mounted = false;
    pid_t runtime_pid = 0;  // while starting
    pid_t pid = 0;          // while running
    uint32_t attempt = 0;
    uint64_t oom_kills = 0;  // seen in its cgroup before this attempt
    bool stop_wanted = false;
    int64_t running_since_ms = 0;   // monotonic, as those below
    int64_t signal_at_ms = kNever;  // when the stop signal, which is owed, is tried again
    uint32_t signal_owed = 0;
    int64_t kill_at_ms = kNever;
    ContainerLog log;
  };
  struct Execution {
    uint64_t id = 0;
    uint32_t container = 0;
    int connection = -1;  // -1: it has closed, nobody waits any more
    pid_t pid = 0;        // of the runtime's exec
    Fd output_fd;
    std::string output;
    int64_t deadline_ms = kNever;
    bool timed_out = false;
  };
  struct EarlyExit {
    pid_t pid;
    int status;
  };
  // What an epoll event is about; the number beside it in the event's data.
  enum class Source : uint32_t { signal, listener, connection, output, log_progress, execution };

  // task.cc
  bool watch(int fd, Source source, uint32_t number);
  void dispatch(Source source, uint32_t number);
  int64_t next_timer_ms() const;
  void run_timers();
  void reap();
  void child_ended(pid_t pid, int status);
  void accept_connection();
  void read_connection(int fd);
  void close_connection(int fd);
  void obey(const taskdir::Command& command, int connection);
  void ring();
  void start(uint32_t index, uint64_t attempt);
  void runtime_ended(uint32_t index, int status);
  void settle();
  void start_failed(uint32_t index, std::string reason);
  void container_ended(uint32_t index, int status);
  void read_output(uint32_t number);
  Trouble mount_image_volumes();
  Trouble mount_root_once(uint32_t index);
  void watch_output(uint32_t index);
  void hold_back(uint32_t index);
  void resume_log(uint32_t index);
  void report_drops(uint32_t index, uint64_t dropped);
  std::vector<std::string> runtime_command() const;
  std::string container_cgroup(uint32_t index) const;
  std::string runtime_id(uint32_t index) const;
  std::string runtime_words(uint32_t index) const;
  void forget_runtime_state(uint32_t index);

  // task_stop.cc
  void begin_stop(uint32_t cause, std::string reason);
  void advance_stop();
  void stop_container(uint32_t index, uint32_t signal, uint32_t timeout_ms);
  void signal_when_noticed(uint32_t index);
  bool is_over() const;
  void finish();

  // execute.cc
  void execute(const taskdir::Command& command, int connection);
  void read_execution(uint32_t number);
  void execution_ended(size_t at, int status);
  void execution_timed_out(Execution& execution);
  void answer(Execution& execution, uint32_t exit_code);

  const std::string directory_;
  const Fd directory_fd_;
  const taskdir::Plan plan_;
  JournalFile journal_;
  uint64_t rung_bytes_ = 0;
  Fd epoll_;
  Fd signals_;
  Fd listener_;
  std::vector<int> connections_;  // owned
  Container* containers_;         // as many as the plan has; for the life of the process
  std::vector<Execution> executions_;
  std::vector<EarlyExit> early_exits_;
  bool stopping_ = false;
  bool settled_ = false;
  bool logs_by_threads_ = false;
  bool image_volumes_mounted_ = false;
  int64_t log_retry_ms_ = kNever;
  int64_t log_give_up_ms_ = kNever;
};

}  // namespace berth::supervisor
