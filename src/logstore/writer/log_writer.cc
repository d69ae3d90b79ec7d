#include "logstore/writer/log_writer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "logstore/writer/format.h"

namespace berth::logstore {
namespace {

// Pages of it that are not used are not paid for; what a pipe holds fits in.
constexpr size_t kBufferBytes = 128 * 1024;
constexpr int64_t kClockHeldMaxMs = 10 * 1000;
constexpr size_t kNameLength = 12 + 1 + 8 + 4;

// Waits for a reader that is just trying the lock, at most.
void lock(int segment) {
  while (flock(segment, LOCK_EX) != 0 && errno == EINTR) {
  }
}

void name_segment(char (&name)[kNameLength + 1], uint64_t writer_id, uint32_t sequence) {
  snprintf(name, sizeof name, "%012llx-%08x.seg", static_cast<unsigned long long>(writer_id), sequence);
}

}  // namespace

int LogWriter::open(const char* directory, uint64_t writer_id, const LogWriterLimits& limits) {
  close();
  if (writer_id > kWriterIdMax || limits.segment_bytes < sizeof(SegmentHeader)) return EINVAL;
  if (mkdir(directory, 0700) != 0 && errno != EEXIST) return errno;
  directory_ = ::open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory_ < 0) return errno;
  writer_id_ = writer_id;
  limits_ = limits;
  if (limits_.total_bytes != 0) {
    // Eight segments or more, so that what is kept is the total and little beyond.
    const uint64_t eighth = limits_.total_bytes / 8;
    if (eighth < limits_.segment_bytes) limits_.segment_bytes = static_cast<uint32_t>(eighth);
    if (limits_.segment_bytes < 4096) limits_.segment_bytes = 4096;
  }
  uint32_t first = 0, last = 0;
  uint64_t bytes = 0;
  scan(&first, &last, &bytes);
  sequence_ = last + 1;
  return 0;
}

LogWriterPlace LogWriter::park() {
  LogWriterPlace place;
  if (segment_ >= 0 && filled_ == 0) {
    place = {sequence_ - 1, segment_length_, first_timestamp_, last_timestamp_, last_ingestion_};
  }
  close();
  return place;
}

int LogWriter::resume(const char* directory, uint64_t writer_id, const LogWriterLimits& limits,
                      const LogWriterPlace& place) {
  if (const int error = open(directory, writer_id, limits)) return error;
  if (place.sequence == 0) return 0;
  char name[kNameLength + 1];
  name_segment(name, writer_id_, place.sequence);
  const int segment = openat(directory_, name, O_WRONLY | O_APPEND | O_CLOEXEC);
  if (segment < 0) return 0;  // its events have expired
  lock(segment);
  struct stat status;
  if (fstat(segment, &status) != 0 || status.st_size != static_cast<off_t>(place.length)) {
    ::close(segment);
    return 0;
  }
  segment_ = segment;
  segment_length_ = synced_length_ = place.length;
  first_timestamp_ = place.first_timestamp;
  last_timestamp_ = place.last_timestamp;
  last_ingestion_ = place.last_ingestion;
  return 0;
}

// This writer id's segments: numbers (0: none) and their total size.
void LogWriter::scan(uint32_t* first, uint32_t* last, uint64_t* bytes) const {
  *first = *last = 0;
  *bytes = 0;
  const int copy = openat(directory_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* listing = copy < 0 ? nullptr : fdopendir(copy);
  if (!listing) {
    if (copy >= 0) ::close(copy);
    return;
  }
  char prefix[kNameLength + 1];
  name_segment(prefix, writer_id_, 0);
  prefix[13] = 0;  // the id and its dash
  while (const dirent* entry = readdir(listing)) {
    if (strncmp(entry->d_name, prefix, 13) != 0 || strlen(entry->d_name) != kNameLength) continue;
    const uint32_t sequence = static_cast<uint32_t>(strtoul(entry->d_name + 13, nullptr, 16));
    if (*first == 0 || sequence < *first) *first = sequence;
    if (sequence > *last) *last = sequence;
    struct stat status;
    if (limits_.total_bytes != 0 && fstatat(directory_, entry->d_name, &status, 0) == 0) {
      *bytes += static_cast<uint64_t>(status.st_size);
    }
  }
  closedir(listing);
}

void LogWriter::drop_oldest() {
  uint32_t first = 0, last = 0;
  uint64_t bytes = 0;
  scan(&first, &last, &bytes);
  for (; first != 0 && first <= last; ++first) {
    char name[kNameLength + 1];
    name_segment(name, writer_id_, first);
    struct stat status;
    if (fstatat(directory_, name, &status, 0) != 0) continue;
    const uint64_t size = static_cast<uint64_t>(status.st_size);
    if (bytes - size < limits_.total_bytes) return;
    if (unlinkat(directory_, name, 0) != 0) return;
    bytes -= size;
  }
}

// Readers that have seen a stream to its end look at it again only when its group's directory has changed.
void LogWriter::tell_readers() const { (void)utimensat(directory_, "..", nullptr, 0); }

int LogWriter::begin_segment() {
  if (directory_ < 0) return EBADF;
  char name[kNameLength + 1];
  do {
    name_segment(name, writer_id_, sequence_++);
    segment_ = openat(directory_, name, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
  } while (segment_ < 0 && errno == EEXIST);
  if (segment_ < 0) {
    --sequence_;
    deleted_ = errno == ENOENT;  // a file that is to be made is missing only where its directory is
    return errno;
  }
  // Until the header is written, after this, readers take the segment for one whose writer lives.
  lock(segment_);
  unnamed_ = true;
  tell_readers();
  if (limits_.total_bytes != 0) drop_oldest();

  SegmentHeader header = {};
  memcpy(header.magic, kSegmentMagic, sizeof header.magic);
  header.version = kSegmentVersion;
  header.flags = limits_.monotonic ? kSegmentMonotonic : 0;
  header.writer_id = writer_id_;
  header.sequence = sequence_ - 1;
  header.crc = crc_of(header);
  memcpy(buffer_, &header, sizeof header);
  filled_ = sizeof header;
  segment_length_ = sizeof header;
  synced_length_ = 0;
  return 0;
}

int LogWriter::end_segment() {
  if (const int error = durable_ ? sync() : flush()) return error;
  ::close(segment_);
  segment_ = -1;
  segment_length_ = 0;
  return 0;
}

// For `bytes` more in the buffer, the segment's own header included.
int LogWriter::make_room(size_t bytes) {
  if (filled_ + bytes <= capacity_) return 0;
  if (filled_ > 0) {
    if (const int error = flush()) return error;
  }
  if (bytes <= capacity_) return 0;
  const size_t wanted = bytes > kBufferBytes ? bytes : kBufferBytes;
  char* larger = static_cast<char*>(realloc(buffer_, wanted));
  if (!larger) return ENOMEM;
  buffer_ = larger;
  capacity_ = wanted;
  return 0;
}

int LogWriter::append(int64_t timestamp_ms, int64_t ingestion_ms, const void* message, size_t length, bool partial) {
  if (length > kMessageBytesMax) return EMSGSIZE;
  if (deleted_) return 0;
  const size_t bytes = sizeof(RecordHeader) + length;
  if (segment_ >= 0 && segment_length_ > sizeof(SegmentHeader)) {
    if (limits_.monotonic && timestamp_ms < last_timestamp_ && timestamp_ms >= last_timestamp_ - kClockHeldMaxMs) {
      timestamp_ms = last_timestamp_;
    }
    const bool full = segment_length_ + bytes > limits_.segment_bytes;
    const bool spans = limits_.monotonic && timestamp_ms - first_timestamp_ > limits_.segment_span_ms;
    const bool back = limits_.monotonic && timestamp_ms < last_timestamp_;
    if (full || spans || back) {
      if (const int error = end_segment()) return error;
    }
  }
  if (const int error = make_room(bytes + (segment_ < 0 ? sizeof(SegmentHeader) : 0))) return error;
  if (segment_ < 0) {
    if (const int error = begin_segment()) return deleted_ ? 0 : error;
  }

  if (segment_length_ == sizeof(SegmentHeader)) first_timestamp_ = timestamp_ms;
  // So that events of one time stay in the order in which they were written.
  if (limits_.monotonic && segment_length_ > sizeof(SegmentHeader) && ingestion_ms < last_ingestion_) {
    ingestion_ms = last_ingestion_;
  }
  last_timestamp_ = timestamp_ms;
  last_ingestion_ = ingestion_ms;
  RecordHeader header;
  header.length_and_flags =
      static_cast<uint32_t>(length) | static_cast<uint32_t>(kRecordPresent | (partial ? kRecordPartial : 0)) << 24;
  header.timestamp_ms = timestamp_ms;
  header.ingestion_ms = ingestion_ms;
  char* const record = buffer_ + filled_;
  memcpy(record, &header, sizeof header);
  if (length > 0) memcpy(record + sizeof header, message, length);
  header.crc = crc_of_record(record, length);
  memcpy(record, &header.crc, sizeof header.crc);
  filled_ += bytes;
  segment_length_ += static_cast<uint32_t>(bytes);
  return 0;
}

int LogWriter::flush() {
  size_t written = 0;
  int error = 0;
  while (written < filled_ && error == 0) {
    const ssize_t now = write(segment_, buffer_ + written, filled_ - written);
    if (now >= 0) {
      written += static_cast<size_t>(now);
    } else if (errno != EINTR) {
      error = errno;
    }
  }
  // A record that was written in part is completed by the next call: nobody else appends here.
  if (written < filled_) memmove(buffer_, buffer_ + written, filled_ - written);
  filled_ -= written;
  unsynced_ = unsynced_ || written > 0;
  if (filled_ == 0 && capacity_ > kBufferBytes) {
    free(buffer_);
    buffer_ = nullptr;
    capacity_ = 0;
  }
  return error;
}

int LogWriter::sync() {
  durable_ = true;
  if (const int error = flush()) return error;
  if (!unsynced_ || segment_ < 0) return 0;
  if (fdatasync(segment_) != 0) return errno;
  if (unnamed_ && fsync(directory_) != 0) return errno;
  unsynced_ = unnamed_ = false;
  synced_length_ = segment_length_;
  return 0;
}

int LogWriter::reserve(size_t bytes, int64_t last_timestamp_ms) {
  if (segment_ < 0 || segment_length_ == sizeof(SegmentHeader)) return 0;
  const bool full = segment_length_ + bytes > limits_.segment_bytes;
  const bool spans = last_timestamp_ms - first_timestamp_ > limits_.segment_span_ms;
  return full || spans ? end_segment() : 0;
}

void LogWriter::abandon() {
  filled_ = 0;
  // Truncating cannot fail for want of space; if it fails all the same, the events stay, whole.
  if (segment_ >= 0) (void)!ftruncate(segment_, synced_length_);
  close();
}

void LogWriter::close() {
  if (segment_ >= 0) {
    (void)flush();
    ::close(segment_);
  }
  if (directory_ >= 0) {
    tell_readers();
    ::close(directory_);
  }
  free(buffer_);
  buffer_ = nullptr;
  capacity_ = filled_ = 0;
  directory_ = segment_ = -1;
  segment_length_ = 0;
  unsynced_ = durable_ = unnamed_ = deleted_ = false;
}

}  // namespace berth::logstore
