// The daemon's side of the logs: reads what supervisors and PutLogEvents have appended, straight from the
// segments, so that an event is seen as soon as it is written; writes PutLogEvents' segments; deletes what
// has expired.
//
// Thread: any; calls block on the disk, so not the state thread. Groups and streams go by their uids (16 hex
// digits); names are records' business.
#pragma once

#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "logstore/event.h"

namespace berth::logstore {

class GroupIndex;

struct Query {
  std::string group_uid;
  std::optional<std::vector<std::string>> stream_uids = {};  // none: all of the group's
  TimeMs start_ms = std::numeric_limits<TimeMs>::min();      // inclusive
  TimeMs end_ms = std::numeric_limits<TimeMs>::max();        // inclusive
  bool forward = true;
  // Go on from here, exclusive: what comes after it when forward, before it when backward.
  std::optional<Position> from = {};
  size_t events_max = 10'000;
  size_t bytes_max = 1024 * 1024;     // of messages and 26 bytes each, as CloudWatch counts
  size_t scan_bytes_max = 64u << 20;  // a page with fewer events, perhaps none, rather than more reading than this
  std::function<bool(std::string_view message)> matches = {};
};

struct Page {
  std::vector<Event> events;       // ascending, in either direction
  std::optional<Position> resume;  // for the next query's `from`; none: there was no more
};

struct NewEvent {
  TimeMs timestamp_ms = 0;
  std::string_view message;
};

struct StreamFacts {
  std::string uid;
  std::optional<TimeMs> first_event_ms, last_event_ms, last_ingestion_ms;
  uint64_t bytes = 0;
};

class LogStore {
 public:
  // `settle_ns`: see index.h.
  explicit LogStore(std::string root, std::optional<int64_t> settle_ns = {});
  ~LogStore();

  // The directories, so that a supervisor's LogWriter can open the stream. Being there already is no error.
  Result<std::string> make_stream(const std::string& group_uid, const std::string& stream_uid);

  Result<Page> read(const Query& query);
  // PutLogEvents: sorted events, on the disk for good when this returns. On failure some may have been
  // written.
  Result<void> put(const std::string& group_uid, const std::string& stream_uid, const std::vector<NewEvent>& events,
                   TimeMs ingestion_ms);
  // One for each asked for; of streams without events only the uid is set.
  std::vector<StreamFacts> facts(const std::string& group_uid, const std::vector<std::string>& stream_uids);
  uint64_t stored_bytes(const std::string& group_uid);

  // Deletes whole segments whose events are all older and whose writers have gone. Remembers which streams are
  // without segments then, which streams_without_events() tells, without waiting, until the group's next expire().
  size_t expire(const std::string& group_uid, TimeMs older_than_ms);
  std::set<std::string> streams_without_events(const std::string& group_uid) const;
  Result<void> remove_group(const std::string& group_uid);
  Result<void> remove_stream(const std::string& group_uid, const std::string& stream_uid);
  // Those that have a directory.
  std::set<std::string> group_uids() const;

  uint64_t bytes_read() const;         // from segments, since the start
  uint64_t streams_looked_at() const;  // by their directories

 private:
  struct PutStream;
  struct Scan;
  std::shared_ptr<GroupIndex> group(const std::string& uid);
  std::shared_ptr<PutStream> put_stream(const std::string& group_uid, const std::string& stream_uid);
  void park_one();
  Result<void> open_put_stream(PutStream& stream, const std::string& group_uid, const std::string& stream_uid);

  std::string root_;
  const std::optional<int64_t> settle_ns_;
  mutable std::mutex mutex_;
  std::map<std::string, std::set<std::string>> without_events_;  // by group
  std::map<std::string, std::shared_ptr<GroupIndex>> groups_;
  std::map<std::string, std::shared_ptr<PutStream>> put_streams_;  // by "<group>/<stream>"
  std::vector<std::shared_ptr<PutStream>> open_put_streams_;
  uint64_t put_clock_ = 0;  // for the least recently used
};

}  // namespace berth::logstore
