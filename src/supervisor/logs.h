// One container's output: two pipes, cut into lines, into one stream of the log store.
//
// A line is an event, with the time at which it was read; where the plan has an event_pattern, so are all lines from one that
// matches to the next, or to those of kEventAgeMaxMs later, each with its newline, as Docker's driver has it. Lines over kLineBytesMax go on in a further event; empty
// lines are none (CloudWatch Logs has no empty events). When the disk is full or slow, `blocking` leaves the rest in the
// pipe, so that the container waits in write(2); `non_blocking` keeps up to buffer_bytes_max, then drops and counts, and
// says in the log itself how many once there is room again. Drops are for disks that do not keep up, not for moments in
// which the processors are busy elsewhere:
//
//               more than half of the buffer is used              kPatienceMs later
//     patient ──────────────────────────────────────▶ held back ────────────────────▶ impatient
//        ▲    all is kept                                │    nothing is read             │   kept as far as it fits
//        └────────────────── a quarter or less is used ──┴────────────────────────────────┘
//
//                        the disk            lines go                       what waits is told by
//   directly             is waited for       to the writer                  the full disk: a timer, is_stalled()
//   by a thread          is not waited for   to a queue (log_queue.h)       the queue: progress_fd()
//
// A task all of whose logs are blocking writes directly: there is nobody whom the wait could hurt. As soon as one of them
// is not, all are written by threads, since one thread reads them all.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "logstore/writer/line_pattern.h"
#include "logstore/writer/log_writer.h"
#include "supervisor/journal_file.h"
#include "supervisor/log_queue.h"
#include "taskdir/plan.h"

namespace berth::supervisor {

inline constexpr size_t kLineBytesMax = 256 * 1024;
inline constexpr size_t kHeldBytes = 64 * 1024;  // so much may wait for a thread in blocking mode before reading stops
inline constexpr int64_t kEventAgeMaxMs = 5000;  // from an event's first line on, in which more lines may join it
inline constexpr int64_t kPatienceMs = 100;      // how long, in a row, a non-blocking container may have to wait

class ContainerLog {
 public:
  // Begins another run of the container: closes what is left of the one before. 0 or an errno; *write_ends are the
  // runtime's to inherit and the caller's to close.
  int begin(const taskdir::LogPlan& plan, uint64_t writer_id, bool by_thread, Fd (*write_ends)[2]);

  int read_fd(int pipe) const { return pipes_[pipe].fd.get(); }
  // Takes what is in the pipe. False: it is at its end, and closed.
  bool read_available(int pipe);
  // Empties both pipes after the container's end, the last unfinished lines included; where reading stops, the rest is
  // for the call after resume().
  void finish();
  // True: the pipes must not be read, and need not be watched, until resume() says otherwise.
  bool holds_back() const { return stalled_ || held_; }
  // True: nothing of it waits to be written.
  bool is_settled() const;
  // True where a full disk is to be tried again from time to time.
  bool is_stalled() const { return stalled_; }
  // When resume() should be called even if there was no progress; monotonic.
  int64_t patient_until_ms() const { return patient_until_ms_; }
  // When end_event() should be called; monotonic.
  int64_t event_due_ms() const { return event_due_ms_; }
  // Writes the event whose lines were waited for, then.
  void end_event();
  // Readable when resume() should be called; -1: never.
  int progress_fd() const { return queue_ ? queue_->progress_fd() : -1; }
  // Tries again what waits.
  void resume();
  // Gives up on what waits: the task is over and its disk still full.
  void abandon();
  // Lines dropped since the last call; while dropping goes on, none yet.
  uint64_t take_dropped();
  // Dropping does not end by itself any more: the container has ended.
  uint64_t take_dropped_at_end();

 private:
  struct Pipe {
    Fd fd;
    std::string unfinished;  // the beginning of a line
  };
  bool read_once(Pipe& pipe, bool* at_end);
  void take(Pipe& pipe, std::string_view bytes);
  void end_line(Pipe& pipe);
  void gather(std::string_view line, bool partial);
  void emit_event();
  void emit(int64_t time_ms, std::string_view line, bool partial);
  void enqueue(int64_t time_ms, std::string_view line, bool partial);
  bool has_room(size_t bytes) const;
  void say_dropped();
  void settle_reads();
  bool is_non_blocking() const;
  size_t few_bytes() const;
  void let_go();
  bool append(int64_t time_ms, std::string_view line, bool partial);
  bool write_waiting();

  taskdir::LogPlan plan_;
  logstore::LogWriter writer_;
  LogQueue* queue_ = nullptr;  // by a thread; for the life of the process
  Pipe pipes_[2];
  logstore::LinePattern pattern_;
  std::string event_;  // lines so far, while more may join them
  int64_t event_time_ms_ = 0;
  int64_t event_due_ms_ = kNever;
  int64_t now_ms_ = 0;
  bool stalled_ = false;  // directly: the disk is full
  bool held_ = false;     // by a thread: enough waits
  bool impatient_ = false;
  int64_t patient_until_ms_ = kNever;
  bool abandoned_ = false;
  std::string waiting_;          // while stalled, what the last read brought: u32 length, u32 partial, i64 time, bytes
  uint64_t dropped_ = 0;         // not yet told to the journal
  uint64_t dropped_unsaid_ = 0;  // not yet told in the log
};

}  // namespace berth::supervisor
