// Appends events to a stream's segments. Tiny, for the supervisor: no exceptions, no RTTI, nothing of the
// standard library but its C part. One thread. Every call answers 0 or an errno.
//
//   LogWriter writer;
//   writer.open("/…/<group uid>/<stream uid>", id, {});
//   writer.append(now, now, line, length);   // as often as there is something to read from the pipe
//   writer.flush();                          // then once: one write(2), after which readers see it
//
// When the disk is full, append() refuses once the buffer is full too, and takes the event whole when called
// again after space has come back; nothing that it took is lost or written twice. When the stream has been
// deleted, nobody will ever read it: append() takes what comes and keeps nothing, so that its caller goes on.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace berth::logstore {

struct LogWriterLimits {
  uint32_t segment_bytes = 4 * 1024 * 1024;
  // A segment also ends when its events span this much, so that retention, which deletes whole segments, can
  // work.
  int64_t segment_span_ms = 24 * 60 * 60 * 1000;
  // Not 0: the oldest of this writer's segments are deleted as long as at least this much remains.
  uint64_t total_bytes = 0;
  // Readers may count on ascending times within a segment: a clock set back a little is held, one set back by
  // more than ten seconds begins another segment. False: the caller's times are kept as they are
  // (PutLogEvents).
  bool monotonic = true;
};

// Where park() let go of a segment. A sequence of 0: there was none.
struct LogWriterPlace {
  uint32_t sequence = 0;
  uint32_t length = 0;
  int64_t first_timestamp = 0;
  int64_t last_timestamp = 0;
  int64_t last_ingestion = 0;
};

class LogWriter {
 public:
  LogWriter() = default;
  ~LogWriter() { close(); }
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  // Makes the stream's directory where missing (its parent, the group's, must be there). `writer_id`: below
  // 2^48; the same id may be used again by a later process, which continues the numbering with a segment of
  // its own.
  [[nodiscard]] int open(const char* directory, uint64_t writer_id, const LogWriterLimits& limits);
  bool is_open() const { return directory_ >= 0; }
  // Lets go of its descriptors for a while, where nothing is buffered; and, in the same process, goes on where it
  // was: the next append continues the segment if it is as it was left, and begins another otherwise. Readers take a
  // parked segment for one that has ended, and must be told before resume()'s first append.
  LogWriterPlace park();
  [[nodiscard]] int resume(const char* directory, uint64_t writer_id, const LogWriterLimits& limits,
                           const LogWriterPlace& place);

  // EMSGSIZE beyond kMessageBytesMax; otherwise an error means that nothing of the event was taken.
  [[nodiscard]] int append(int64_t timestamp_ms, int64_t ingestion_ms, const void* message, size_t length,
                           bool partial = false);
  // On an error the rest stays buffered for the next call.
  [[nodiscard]] int flush();
  // The same, and what was appended survives power loss; once used, a segment that ends is synced too.
  [[nodiscard]] int sync();
  size_t buffered() const { return filled_; }
  // For a batch that must be there whole or not at all: begins another segment if `bytes` (messages and 24
  // bytes each) do not fit into this one, or would stretch it too far in time.
  [[nodiscard]] int reserve(size_t bytes, int64_t last_timestamp_ms);
  // Takes back what was appended since the last sync(), and lets go of the segment.
  void abandon();
  // True: the stream's directory was found deleted, and what was appended since is lost.
  bool is_deleted() const { return deleted_; }
  // Flushes if it can, and lets go of the segment. The next append would begin another one.
  void close();

 private:
  int begin_segment();
  int end_segment();
  int make_room(size_t bytes);
  void drop_oldest();
  void scan(uint32_t* first, uint32_t* last, uint64_t* bytes) const;
  void tell_readers() const;

  int directory_ = -1;
  int segment_ = -1;
  uint64_t writer_id_ = 0;
  uint32_t sequence_ = 0;  // of the next segment
  LogWriterLimits limits_;
  uint32_t segment_length_ = 0;  // written and buffered
  uint32_t synced_length_ = 0;
  int64_t first_timestamp_ = 0;  // of the segment; valid when it has an event
  int64_t last_timestamp_ = 0;
  int64_t last_ingestion_ = 0;
  bool unsynced_ = false;
  bool durable_ = false;  // the caller uses sync()
  bool deleted_ = false;
  bool unnamed_ = false;  // the segment's directory entry is not synced
  char* buffer_ = nullptr;
  size_t capacity_ = 0;
  size_t filled_ = 0;
};

}  // namespace berth::logstore
