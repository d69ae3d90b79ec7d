#include "supervisor/logs.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cerrno>

#include "supervisor/journal_file.h"

namespace berth::supervisor {
namespace {

constexpr size_t kReadBytes = 64 * 1024;  // what a pipe holds
char read_buffer[kReadBytes];             // one thread: one buffer for all pipes of the task

// Up to where `text`, which `next` follows, is cut without parting a UTF-8 character.
size_t whole_characters(std::string_view text, char next) {
  constexpr size_t kContinuedMax = 3;
  const auto continues = [](char c) { return (c & 0xc0) == 0x80; };
  if (!continues(next)) return text.size();
  for (size_t i = 1; i <= kContinuedMax && i < text.size(); ++i) {
    const char c = text[text.size() - i];
    if (!continues(c)) return (c & 0xc0) == 0xc0 ? text.size() - i : text.size();
  }
  return text.size();
}

struct WaitingHeader {
  uint32_t length;
  uint32_t partial;
  int64_t time_ms;
};

}  // namespace

int ContainerLog::begin(const taskdir::LogPlan& plan, uint64_t writer_id, bool by_thread, Fd (*write_ends)[2]) {
  if (queue_ != nullptr) {
    // What is left in the pipes is little, and lost otherwise: it is taken whatever waits already.
    impatient_ = is_non_blocking();
    while (pipes_[0].fd || pipes_[1].fd) {
      let_go();
      finish();
    }
    impatient_ = dropped_unsaid_ > 0;
  }
  plan_ = plan;
  let_go();
  // The daemon has compiled it before, so it does here; if not, each line is an event.
  if (!plan_.event_pattern.empty()) (void)pattern_.compile(plan_.event_pattern);
  if (!writer_.is_open() && !plan_.directory.empty()) {
    logstore::LogWriterLimits limits;
    limits.total_bytes = plan_.bytes_max;
    if (const int error = writer_.open(plan_.directory.c_str(), writer_id, limits)) return error;
    if (by_thread) {
      LogQueue* queue = new LogQueue;
      if (const int error = queue->open(&writer_)) {
        delete queue;
        writer_.close();
        return error;
      }
      queue_ = queue;
    }
  }
  for (int i = 0; i < 2; ++i) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return errno;
    pipes_[i] = Pipe{Fd(ends[0]), {}};
    (*write_ends)[i].reset(ends[1]);
    if (fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) return errno;
  }
  return 0;
}

bool ContainerLog::append(int64_t time_ms, std::string_view line, bool partial) {
  if (plan_.directory.empty()) return true;
  return writer_.append(time_ms, now_ms_, line.data(), line.size(), partial) == 0;
}

void ContainerLog::gather(std::string_view line, bool partial) {
  if (!pattern_.is_set()) return emit(now_ms_, line, partial);
  const size_t bytes = line.size() + (partial ? 0 : 1);
  if (pattern_.matches(line) || event_.size() + bytes > kLineBytesMax) emit_event();
  if (event_.empty()) {
    if (line.empty()) return;
    event_time_ms_ = now_ms_;
    event_due_ms_ = monotonic_ms() + kEventAgeMaxMs;
  }
  event_.append(line);
  if (!partial && event_.size() < kLineBytesMax) event_.push_back('\n');
}

void ContainerLog::end_event() {
  emit_event();
  settle_reads();
}

void ContainerLog::emit_event() {
  event_due_ms_ = kNever;
  if (event_.empty()) return;
  now_ms_ = wall_clock_ms();
  emit(event_time_ms_, event_, false);
  event_.clear();
  if (event_.capacity() > kReadBytes) event_.shrink_to_fit();
}

void ContainerLog::emit(int64_t time_ms, std::string_view line, bool partial) {
  if (line.empty()) return;
  if (queue_ != nullptr) return enqueue(time_ms, line, partial);
  if (!stalled_ && append(time_ms, line, partial)) return;
  // Reading stops now, so what waits is at most what one read brought.
  stalled_ = true;
  const WaitingHeader header{static_cast<uint32_t>(line.size()), partial ? 1u : 0u, time_ms};
  waiting_.append(reinterpret_cast<const char*>(&header), sizeof header);
  waiting_.append(line);
}

void ContainerLog::enqueue(int64_t time_ms, std::string_view line, bool partial) {
  if (impatient_ && !has_room(LogQueue::bytes_of(line))) {
    ++dropped_;
    ++dropped_unsaid_;
    return;
  }
  say_dropped();
  queue_->put(time_ms, line, partial);
}

// Once it drops, it goes on until most of the room is there again: few long gaps tell more than many short ones.
bool ContainerLog::has_room(size_t bytes) const {
  const size_t used = queue_->used_bytes();
  if (used == 0) return true;  // a line that is longer than the buffer, too
  return used + bytes <= (dropped_unsaid_ > 0 ? few_bytes() : plan_.buffer_bytes_max);
}

void ContainerLog::say_dropped() {
  if (dropped_unsaid_ == 0) return;
  char line[128];
  const int length = snprintf(line, sizeof line, "berth: %llu lines dropped: the log could not be written in time",
                              static_cast<unsigned long long>(dropped_unsaid_));
  queue_->put(now_ms_, std::string_view(line, static_cast<size_t>(length)), false);
  dropped_unsaid_ = 0;
}

void ContainerLog::end_line(Pipe& pipe) {
  if (pipe.unfinished.empty()) return;
  gather(pipe.unfinished, false);
  pipe.unfinished.clear();
  if (pipe.unfinished.capacity() > kReadBytes) pipe.unfinished.shrink_to_fit();
}

void ContainerLog::take(Pipe& pipe, std::string_view bytes) {
  while (!bytes.empty()) {
    const void* newline = memchr(bytes.data(), '\n', bytes.size());
    const size_t length =
        newline == nullptr ? bytes.size() : static_cast<size_t>(static_cast<const char*>(newline) - bytes.data());
    const size_t room = kLineBytesMax - pipe.unfinished.size();
    if (length > room) {  // the line goes on: this event is full
      pipe.unfinished.append(bytes.substr(0, room));
      const size_t whole = whole_characters(pipe.unfinished, bytes[room]);
      bytes.remove_prefix(room);
      gather(std::string_view(pipe.unfinished).substr(0, whole), true);
      pipe.unfinished.erase(0, whole);
      continue;
    }
    if (newline == nullptr) {
      pipe.unfinished.append(bytes);
      return;
    }
    if (pipe.unfinished.empty()) {
      gather(bytes.substr(0, length), false);
    } else {
      pipe.unfinished.append(bytes.substr(0, length));
      end_line(pipe);
    }
    bytes.remove_prefix(length + 1);
  }
}

// True: something was read, and there may be more.
bool ContainerLog::read_once(Pipe& pipe, bool* at_end) {
  const ssize_t got = read(pipe.fd.get(), read_buffer, sizeof read_buffer);
  if (got < 0 && errno == EINTR) return true;
  if (got <= 0) {
    *at_end = got == 0 || errno != EAGAIN;
    return false;
  }
  now_ms_ = wall_clock_ms();
  take(pipe, std::string_view(read_buffer, static_cast<size_t>(got)));
  return true;
}

bool ContainerLog::read_available(int index) {
  Pipe& pipe = pipes_[index];
  if (!pipe.fd) return false;
  bool at_end = false;
  // One read a turn, so that a container that never stops talking does not keep the loop from the others.
  if (!holds_back()) read_once(pipe, &at_end);
  if (at_end) {
    now_ms_ = wall_clock_ms();
    end_line(pipe);
    pipe.fd.reset();
    if (!pipes_[0].fd && !pipes_[1].fd) emit_event();
  }
  settle_reads();
  return !at_end;
}

// After reading: what was read is written, or known to wait.
void ContainerLog::settle_reads() {
  if (queue_ != nullptr) {
    const size_t many = is_non_blocking() ? plan_.buffer_bytes_max / 2 : kHeldBytes;
    if (held_ || impatient_ || queue_->used_bytes() <= many) return;
    held_ = true;
    if (is_non_blocking()) patient_until_ms_ = monotonic_ms() + kPatienceMs;
  } else if (writer_.is_open() && writer_.flush() != 0) {
    stalled_ = true;
  }
}

void ContainerLog::finish() {
  for (Pipe& pipe : pipes_) {
    bool at_end = false;
    while (pipe.fd && !holds_back() && read_once(pipe, &at_end)) {
      if (queue_ != nullptr) settle_reads();
    }
    if (!pipe.fd || holds_back()) continue;  // whoever resumes comes back here
    now_ms_ = wall_clock_ms();
    end_line(pipe);
    pipe.fd.reset();
  }
  if (!pipes_[0].fd && !pipes_[1].fd) emit_event();
  settle_reads();
}

bool ContainerLog::is_settled() const {
  if (!event_.empty()) return false;
  if (queue_ == nullptr || abandoned_) return !stalled_;
  return queue_->used_bytes() == 0 && dropped_unsaid_ == 0 && !held_;
}

bool ContainerLog::write_waiting() {
  size_t at = 0;
  while (at < waiting_.size()) {
    WaitingHeader header;
    memcpy(&header, waiting_.data() + at, sizeof header);
    const char* line = waiting_.data() + at + sizeof header;
    if (writer_.append(header.time_ms, header.time_ms, line, header.length, header.partial != 0) != 0) break;
    at += sizeof header + header.length;
  }
  waiting_.erase(0, at);
  if (waiting_.empty()) waiting_.shrink_to_fit();
  return waiting_.empty();
}

void ContainerLog::resume() {
  now_ms_ = wall_clock_ms();
  if (queue_ != nullptr) {
    queue_->take_progress();
    if (queue_->used_bytes() <= few_bytes()) {
      say_dropped();
      let_go();
      impatient_ = false;
    } else if (held_ && patient_until_ms_ <= monotonic_ms()) {
      let_go();
      impatient_ = true;
    }
  } else if (stalled_ && writer_.flush() == 0 && write_waiting()) {
    stalled_ = writer_.flush() != 0;
  }
}

bool ContainerLog::is_non_blocking() const { return plan_.mode == taskdir::LogMode::non_blocking; }

// So little waits that whoever was held back may go on.
size_t ContainerLog::few_bytes() const { return is_non_blocking() ? plan_.buffer_bytes_max / 4 : kHeldBytes / 2; }

void ContainerLog::let_go() {
  held_ = false;
  patient_until_ms_ = kNever;
}

void ContainerLog::abandon() {
  if (queue_ != nullptr) dropped_ += queue_->discard();
  for (size_t at = 0; at < waiting_.size(); ++dropped_) {
    WaitingHeader header;
    memcpy(&header, waiting_.data() + at, sizeof header);
    at += sizeof header + header.length;
  }
  waiting_.clear();
  stalled_ = false;
  if (!event_.empty()) ++dropped_;
  event_.clear();
  event_due_ms_ = kNever;
  let_go();
  abandoned_ = true;
  dropped_unsaid_ = 0;
  for (Pipe& pipe : pipes_) {
    ssize_t got;
    while (pipe.fd && (got = read(pipe.fd.get(), read_buffer, sizeof read_buffer)) > 0) {
      for (ssize_t i = 0; i < got; ++i) dropped_ += read_buffer[i] == '\n';
    }
    pipe.fd.reset();
  }
}

uint64_t ContainerLog::take_dropped() { return dropped_unsaid_ > 0 ? 0 : take_dropped_at_end(); }

uint64_t ContainerLog::take_dropped_at_end() {
  const uint64_t dropped = dropped_;
  dropped_ = 0;
  return dropped;
}

}  // namespace berth::supervisor
