#include "supervisor/journal_file.h"

#include <fcntl.h>
#include <time.h>

#include <cerrno>

namespace berth::supervisor {
namespace {
constexpr off_t kReservedBytes = 16 * 1024;

int64_t read_clock_ms(clockid_t id) {
  timespec t{};
  clock_gettime(id, &t);
  return int64_t{t.tv_sec} * 1000 + t.tv_nsec / 1'000'000;
}
}  // namespace

int64_t wall_clock_ms() { return read_clock_ms(CLOCK_REALTIME); }
int64_t monotonic_ms() { return read_clock_ms(CLOCK_MONOTONIC); }

int JournalFile::open(int directory) {
  fd_.reset(openat(directory, taskdir::kJournalFile, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd_) return errno;
  // Not every file system can reserve; then a full disk delays facts, which is all that is lost.
  (void)fallocate(fd_.get(), FALLOC_FL_KEEP_SIZE, 0, kReservedBytes);
  return 0;
}

void JournalFile::append(taskdir::Fact fact) {
  fact.time_ms = wall_clock_ms();
  taskdir::append_fact(waiting_, fact);
  settle();
}

// pwrite at the end of the last whole record: one that was cut short by a full disk is written over.
bool JournalFile::settle() {
  while (!waiting_.empty()) {
    const ssize_t put = pwrite(fd_.get(), waiting_.data(), waiting_.size(), static_cast<off_t>(size_));
    if (put < 0 && errno == EINTR) continue;
    if (put != static_cast<ssize_t>(waiting_.size())) return false;
    size_ += waiting_.size();
    waiting_.clear();
    waiting_.shrink_to_fit();
  }
  return true;
}

}  // namespace berth::supervisor
