// What the daemon knows of one log group's segments: where each block of about 64 KiB lies and which times it
// spans. 24 bytes a block, nothing a line; brought up to date by reading only what has been appended since.
//
// Finding what is new costs one stat(2) of the group's directory and one for each segment that has a live
// writer: a writer stamps the group's directory when it begins a segment or ends, and a segment whose writer
// has gone (its flock can be had) never changes again, unless this process wrote it and says so.
//
// A stamp does not say of which stream it is, so all are looked at, but for the settled ones: a stream whose last
// writer has been gone for a while. Its task has ended, and only PutLogEvents, in this process, begins a segment in
// it again. A writer that a full disk keeps from beginning its next segment looks as if it had gone: for its sake
// settled streams are looked at now and then.
//
// Thread: any, under the group's mutex.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/fd.h"
#include "logstore/event.h"

namespace berth::logstore {

inline constexpr uint32_t kBlockBytes = 64 * 1024;
inline constexpr int64_t kSettleNs = 10'000'000'000;
inline constexpr int64_t kSettledLookNs = 5 * 60 * int64_t{1'000'000'000};

struct Block {
  uint32_t offset = 0;
  uint32_t length = 0;
  TimeMs first_ms = 0;  // the least time in it
  TimeMs last_ms = 0;   // the greatest
};

struct Segment {
  std::string path;
  EventId id;  // of its events, but for the offset
  bool header_read = false;
  bool readable = true;  // false: a damaged header, or a version that we do not know
  bool monotonic = false;
  bool sealed = false;   // no writer any more: `size` is final
  bool damaged = false;  // something that is not a record at `indexed`: nothing behind it can be read
  uint32_t size = 0;
  uint32_t indexed = 0;  // up to here in `blocks`
  TimeMs modified_ms = 0;
  TimeMs begun_ms = 0;  // the first record's time; 0: not known
  std::vector<Block> blocks;

  // Bounds of the times in it, without reading: what is known, and what cannot be otherwise.
  TimeMs earliest_ms() const;
  TimeMs latest_ms() const;
  bool fully_indexed() const { return damaged || indexed >= size; }
  // Reads what has been appended since.
  uint64_t index();  // returns the bytes read
  // Without a live writer, and so never written again? Also reads size and header.
  void look(bool try_lock);
};

class GroupIndex {
 public:
  // `settle_ns`: how long a writer must have been gone.
  explicit GroupIndex(std::string path, int64_t settle_ns = kSettleNs)
      : path_(std::move(path)), settle_ns_(settle_ns) {}

  struct Stream {
    int64_t listed_ns = 0;     // the directory's mtime when it was listed; 0: list again
    int64_t looked_ns = 0;     // when it was looked at
    int64_t all_ended_ns = 0;  // since when no segment of it has had a writer; 0: one has, or there is no segment
    std::map<std::pair<uint64_t, uint32_t>, std::shared_ptr<Segment>> segments;  // by writer and sequence
  };

  std::mutex mutex;
  // Under the mutex: everything below.
  void refresh();
  const std::map<uint64_t, Stream>& streams() const { return streams_; }
  // Takes segments away whose events are all older, if their writer has gone. Returns how many.
  size_t expire(TimeMs older_than_ms);
  // A segment of this process, whose lock is held again.
  void goes_on(const EventId& segment);
  // This process may begin a segment in it.
  void unsettle(uint64_t stream);
  std::vector<uint64_t> streams_without_segments() const;
  void index(Segment& segment) { bytes_read += segment.index(); }

  std::atomic<uint64_t> bytes_read{0};  // without the mutex too
  std::atomic<uint64_t> streams_looked_at{0};

 private:
  void list_streams();
  void list_segments(uint64_t uid, Stream& stream);

  bool is_settled(const Stream& stream, int64_t now_ns) const;

  std::string path_;
  const int64_t settle_ns_;
  int64_t listed_ns_ = 0;
  std::map<uint64_t, Stream> streams_;
  std::vector<std::shared_ptr<Segment>> active_;  // those that may have a live writer
};

}  // namespace berth::logstore
