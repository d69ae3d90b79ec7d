// The journal on disk. Space for the usual facts is reserved when it is opened, so that a full disk does not make a
// task's end unknown; what still cannot be written waits in memory and is tried again.
#pragma once

#include <cstdint>
#include <string>

#include "base/fd.h"
#include "taskdir/journal.h"
#include "taskdir/paths.h"

namespace berth::supervisor {

inline constexpr int64_t kNever = INT64_MAX;
int64_t wall_clock_ms();
int64_t monotonic_ms();

class JournalFile {
 public:
  int open(int directory);  // 0 or an errno
  // Sets the fact's time and appends it.
  void append(taskdir::Fact fact);
  // Tries again what could not be written. True: nothing waits.
  bool settle();
  uint64_t size() const { return size_; }

 private:
  Fd fd_;
  uint64_t size_ = 0;  // of whole records on disk
  std::string waiting_;
};

}  // namespace berth::supervisor
