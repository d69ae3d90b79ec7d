#include "supervisor/log_queue.h"

#include <malloc.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>

namespace berth::supervisor {
namespace {

constexpr size_t kStackBytes = 64 * 1024;     // of which two pages are used
constexpr size_t kProgressBytes = 64 * 1024;  // room is told of in such steps while a long batch is written
constexpr size_t kKeptBytes = 16 * 1024;      // a larger buffer is given back when it is empty
constexpr timespec kRetryInterval = {1, 0};   // no event: a full disk does not tell of new room

struct RecordHeader {
  uint32_t length;
  uint32_t partial;
  int64_t time_ms;
};

void empty(std::string* text) {
  text->clear();
  if (text->capacity() > kKeptBytes) text->shrink_to_fit();
}

}  // namespace

int LogQueue::open(logstore::LogWriter* writer) {
  writer_ = writer;
  wake_.reset(eventfd(0, EFD_CLOEXEC));
  progress_.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  return wake_ && progress_ ? 0 : errno;
}

size_t LogQueue::bytes_of(std::string_view line) { return sizeof(RecordHeader) + line.size(); }

void LogQueue::put(int64_t time_ms, std::string_view line, bool partial) {
  const RecordHeader header{static_cast<uint32_t>(line.size()), partial ? 1u : 0u, time_ms};
  used_bytes_ += bytes_of(line);
  ++lines_;
  pthread_mutex_lock(&mutex_);
  const bool first = waiting_.empty();
  waiting_.append(reinterpret_cast<const char*>(&header), sizeof header);
  waiting_.append(line);
  pthread_mutex_unlock(&mutex_);
  if (!running_) {
    mallopt(M_ARENA_MAX, 1);  // a second arena would cost more than the thread
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, kStackBytes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_t thread;
    // Where it fails, the lines wait for the next one to try again.
    running_ = pthread_create(&thread, &attributes, run, this) == 0;
    pthread_attr_destroy(&attributes);
  }
  if (first) wake();
}

void LogQueue::wake() const {
  const uint64_t one = 1;
  (void)!write(wake_.get(), &one, sizeof one);
}

void LogQueue::take_progress() const {
  uint64_t ignored;
  (void)!read(progress_.get(), &ignored, sizeof ignored);
}

uint64_t LogQueue::discard() {
  discarded_ = true;
  pthread_mutex_lock(&mutex_);
  empty(&waiting_);
  pthread_mutex_unlock(&mutex_);
  return lines_;
}

void* LogQueue::run(void* self) {
  prctl(PR_SET_NAME, "log-writer");
  static_cast<LogQueue*>(self)->work();
  return nullptr;
}

void LogQueue::work() {
  std::string batch;
  uint64_t ignored;
  while (!discarded_) {
    if (read(wake_.get(), &ignored, sizeof ignored) < 0 && errno != EINTR) return;
    while (take(&batch)) write_batch(batch);
  }
}

bool LogQueue::take(std::string* batch) {
  empty(batch);
  pthread_mutex_lock(&mutex_);
  batch->swap(waiting_);
  pthread_mutex_unlock(&mutex_);
  return !batch->empty();
}

void LogQueue::write_batch(const std::string& batch) {
  size_t at = 0, told = 0;
  uint64_t lines = 0;
  while (at < batch.size() && !discarded_) {
    RecordHeader header;
    memcpy(&header, batch.data() + at, sizeof header);
    const char* line = batch.data() + at + sizeof header;
    if (writer_->append(header.time_ms, header.time_ms, line, header.length, header.partial != 0) != 0) {
      nanosleep(&kRetryInterval, nullptr);
      continue;
    }
    at += sizeof header + header.length;
    ++lines;
    if (at - told < kProgressBytes || at == batch.size()) continue;
    wrote(at - told, lines);
    told = at;
    lines = 0;
  }
  while (!discarded_ && writer_->flush() != 0) nanosleep(&kRetryInterval, nullptr);
  wrote(batch.size() - told, lines);
}

void LogQueue::wrote(size_t bytes, uint64_t lines) {
  used_bytes_ -= bytes;
  lines_ -= lines;
  const uint64_t one = 1;
  (void)!write(progress_.get(), &one, sizeof one);
}

}  // namespace berth::supervisor
