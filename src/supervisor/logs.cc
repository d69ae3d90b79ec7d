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

struct WaitingHeader {
  uint32_t length;
  uint32_t partial;
  int64_t time_ms;
};

}  // namespace

int ContainerLog::begin(const taskdir::LogPlan& plan, uint64_t writer_id, Fd (*write_ends)[2]) {
  plan_ = plan;
  if (!writer_.is_open() && !plan_.directory.empty()) {
    logstore::LogWriterLimits limits;
    limits.total_bytes = plan_.bytes_max;
    if (const int error = writer_.open(plan_.directory.c_str(), writer_id, limits)) return error;
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

bool ContainerLog::append(std::string_view line, bool partial) {
  if (plan_.directory.empty()) return true;
  return writer_.append(now_ms_, now_ms_, line.data(), line.size(), partial) == 0;
}

void ContainerLog::emit(std::string_view line, bool partial) {
  if (line.empty()) return;
  if (!stalled_ && append(line, partial)) return;
  stalled_ = true;
  // In blocking mode reading stops now, so what waits is at most what one read brought.
  const bool bounded = plan_.mode == taskdir::LogMode::non_blocking;
  if (bounded && waiting_.size() + sizeof(WaitingHeader) + line.size() > plan_.buffer_bytes_max) {
    ++dropped_;
    ++dropped_unsaid_;
    return;
  }
  const WaitingHeader header{static_cast<uint32_t>(line.size()), partial ? 1u : 0u, now_ms_};
  waiting_.append(reinterpret_cast<const char*>(&header), sizeof header);
  waiting_.append(line);
}

void ContainerLog::end_line(Pipe& pipe) {
  if (pipe.unfinished.empty()) return;
  emit(pipe.unfinished, false);
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
      bytes.remove_prefix(room);
      emit(pipe.unfinished, true);
      pipe.unfinished.clear();
      continue;
    }
    if (newline == nullptr) {
      pipe.unfinished.append(bytes);
      return;
    }
    if (pipe.unfinished.empty()) {
      emit(bytes.substr(0, length), false);
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
  if (!(stalled_ && plan_.mode == taskdir::LogMode::blocking)) read_once(pipe, &at_end);
  if (at_end) {
    now_ms_ = wall_clock_ms();
    end_line(pipe);
    pipe.fd.reset();
  }
  if (writer_.is_open() && writer_.flush() != 0) stalled_ = true;
  return !at_end;
}

void ContainerLog::finish() {
  for (Pipe& pipe : pipes_) {
    if (!pipe.fd) continue;
    bool at_end = false;
    while (!(stalled_ && plan_.mode == taskdir::LogMode::blocking) && read_once(pipe, &at_end)) {
    }
    if (stalled_ && plan_.mode == taskdir::LogMode::blocking) continue;  // retry() comes back here
    now_ms_ = wall_clock_ms();
    end_line(pipe);
    pipe.fd.reset();
  }
  if (writer_.is_open() && writer_.flush() != 0) stalled_ = true;
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

bool ContainerLog::retry() {
  if (!stalled_) return true;
  if (writer_.flush() != 0 || !write_waiting()) return false;
  now_ms_ = wall_clock_ms();
  if (dropped_unsaid_ > 0) {
    char line[128];
    const int length = snprintf(line, sizeof line, "berth: %llu lines dropped: the log could not be written in time",
                                static_cast<unsigned long long>(dropped_unsaid_));
    if (!append(std::string_view(line, static_cast<size_t>(length)), false)) return false;
    dropped_unsaid_ = 0;
  }
  stalled_ = writer_.flush() != 0;
  return !stalled_;
}

void ContainerLog::abandon() {
  for (size_t at = 0; at < waiting_.size(); ++dropped_) {
    WaitingHeader header;
    memcpy(&header, waiting_.data() + at, sizeof header);
    at += sizeof header + header.length;
  }
  waiting_.clear();
  stalled_ = false;
  for (Pipe& pipe : pipes_) {
    ssize_t got;
    while (pipe.fd && (got = read(pipe.fd.get(), read_buffer, sizeof read_buffer)) > 0) {
      for (ssize_t i = 0; i < got; ++i) dropped_ += read_buffer[i] == '\n';
    }
    pipe.fd.reset();
  }
}

uint64_t ContainerLog::take_dropped() {
  const uint64_t dropped = dropped_;
  dropped_ = 0;
  return dropped;
}

}  // namespace berth::supervisor
