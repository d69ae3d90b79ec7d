// Lines on their way to a disk that may be slow: a thread of its own writes them, so that whoever reads a container's
// output never waits for the disk.
//
//   the supervisor's thread ── put() ──▶ [waiting] ──▶ this thread ── append(), flush() ──▶ segments
//            ▲                                              │
//            └──────────── progress_fd() ◀── written ───────┘
//
// The thread is there from the first line on. It is never joined: a queue is made once a container and lives as long as the
// process, whose end does not wait for the disk either.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "logstore/writer/log_writer.h"

namespace berth::supervisor {

class LogQueue {
 public:
  // `writer` is borrowed, and from the first put() on the thread's alone. 0 or an errno.
  int open(logstore::LogWriter* writer);

  // What a line takes of the room.
  static size_t bytes_of(std::string_view line);
  // Takes the line in any case: the caller looks at used_bytes() before.
  void put(int64_t time_ms, std::string_view line, bool partial);
  // Of all lines that are not written yet.
  size_t used_bytes() const { return used_bytes_; }
  // Readable when used_bytes() has become less, until take_progress().
  int progress_fd() const { return progress_.get(); }
  void take_progress() const;
  // Gives up on what is not written and says how many lines that are. Nothing may be put afterwards.
  uint64_t discard();

 private:
  static void* run(void* self);
  void work();
  bool take(std::string* batch);
  void write_batch(const std::string& batch);
  void wrote(size_t bytes, uint64_t lines);
  void wake() const;

  logstore::LogWriter* writer_ = nullptr;
  Fd wake_;
  Fd progress_;
  bool running_ = false;
  pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;  // of waiting_; held for copying one line, or for a swap
  std::string waiting_;                                // records: header, bytes
  std::atomic<size_t> used_bytes_ = 0;
  std::atomic<uint64_t> lines_ = 0;
  std::atomic<bool> discarded_ = false;
};

}  // namespace berth::supervisor
