// One container's output: two pipes, cut into lines, into one stream of the log store.
//
// A line is an event, with the time at which it was read. Lines over kLineBytesMax go on in a further event; empty
// lines are none (CloudWatch Logs has no empty events). When the disk is full, `blocking` leaves the rest in the pipe,
// so that the container waits in write(2); `non_blocking` keeps up to buffer_bytes_max, then drops and counts, and says
// in the log itself how many once there is room again.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "logstore/writer/log_writer.h"
#include "taskdir/plan.h"

namespace berth::supervisor {

inline constexpr size_t kLineBytesMax = 256 * 1024;

class ContainerLog {
 public:
  // Begins another run of the container: closes what is left of the one before. 0 or an errno; *write_ends are the
  // runtime's to inherit and the caller's to close.
  int begin(const taskdir::LogPlan& plan, uint64_t writer_id, Fd (*write_ends)[2]);

  int read_fd(int pipe) const { return pipes_[pipe].fd.get(); }
  // Takes what is in the pipe. False: it is at its end, and closed.
  bool read_available(int pipe);
  // Empties both pipes after the container's end, the last unfinished lines included.
  void finish();
  // True where the disk is full: the pipes need not be watched (blocking), or lines wait in memory (non-blocking).
  bool is_stalled() const { return stalled_; }
  // Tries again. True: no longer stalled.
  bool retry();
  // Gives up on what waits: the task is over and its disk still full.
  void abandon();
  // Lines dropped since the last call.
  uint64_t take_dropped();

 private:
  struct Pipe {
    Fd fd;
    std::string unfinished;  // the beginning of a line
  };
  bool read_once(Pipe& pipe, bool* at_end);
  void take(Pipe& pipe, std::string_view bytes);
  void end_line(Pipe& pipe);
  void emit(std::string_view line, bool partial);
  bool append(std::string_view line, bool partial);
  bool write_waiting();

  taskdir::LogPlan plan_;
  logstore::LogWriter writer_;
  Pipe pipes_[2];
  int64_t now_ms_ = 0;
  bool stalled_ = false;
  std::string waiting_;          // records: u32 length, u8 partial, i64 time, bytes
  uint64_t dropped_ = 0;         // not yet told to the journal
  uint64_t dropped_unsaid_ = 0;  // not yet told in the log
};

}  // namespace berth::supervisor
