#include "logstore/log_store.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <queue>
#include <unordered_set>
#include <utility>

#include "base/fd.h"
#include "logstore/index.h"
#include "logstore/segment.h"
#include "logstore/writer/log_writer.h"

namespace berth::logstore {
namespace {

constexpr uint64_t kPutWriterId = 1;
// Streams whose segment is kept open between two PutLogEvents; each holds a descriptor or two. The others are parked.
constexpr size_t kPutStreamsOpenMax = 64;
constexpr size_t kPutStreamsMax = 16'384;
constexpr size_t kEventOverheadBytes = 26;

}  // namespace

struct LogStore::PutStream {
  std::mutex mutex;
  LogWriter writer;
  LogWriterPlace place;  // while it is parked
  // Under the store's mutex.
  std::string key;
  uint64_t used = 0;
  bool open = false;  // in open_put_streams_
};

LogStore::LogStore(std::string root, std::optional<int64_t> settle_ns)
    : root_(std::move(root)), settle_ns_(settle_ns) {}
LogStore::~LogStore() = default;

std::shared_ptr<GroupIndex> LogStore::group(const std::string& uid) {
  std::lock_guard guard(mutex_);
  auto& found = groups_[uid];
  if (!found) found = std::make_shared<GroupIndex>(root_ + "/" + uid, settle_ns_.value_or(kSettleNs));
  return found;
}

Result<std::string> LogStore::make_stream(const std::string& group_uid, const std::string& stream_uid) {
  std::string path = root_;
  for (const std::string& part : {std::string(), "/" + group_uid, "/" + stream_uid}) {
    path += part;
    if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return fail(errno, "mkdir " + path);
  }
  return path;
}

// One query's way through the blocks. They are taken in the order of their least time (greatest, when
// backward), each read once; the best events so far are held, so memory is a page and a block however many
// streams there are, and the scan ends with the first block that can no longer better the page.
struct LogStore::Scan {
  const Query& query;
  GroupIndex& group;

  struct Cursor {
    TimeMs key;  // bound of everything that this cursor can still give
    std::shared_ptr<Segment> segment;
    bool opened = false;
    std::vector<Block> blocks;  // those left, the next one last
  };
  std::vector<Cursor> heap;
  std::vector<Event> events;  // a heap too, the one furthest along in front
  size_t bytes = 0;
  bool limited = false;  // events have been left out: those from the furthest along on
  std::optional<Position> bound;
  size_t scanned = 0;

  // True: `a` comes before `b` in the query's direction.
  template <class T>
  bool earlier(const T& a, const T& b) const {
    return query.forward ? a < b : b < a;
  }
  bool nearer(const Event& a, const Event& b) const { return earlier(a.position, b.position); }

  TimeMs low() const {
    return query.forward && query.from ? std::max(query.start_ms, query.from->timestamp_ms) : query.start_ms;
  }
  TimeMs high() const {
    return !query.forward && query.from ? std::min(query.end_ms, query.from->timestamp_ms) : query.end_ms;
  }
  TimeMs key_of(const Block& block) const { return query.forward ? block.first_ms : block.last_ms; }

  void push(Cursor cursor) {
    heap.push_back(std::move(cursor));
    std::push_heap(heap.begin(), heap.end(),
                   [this](const Cursor& a, const Cursor& b) { return earlier(b.key, a.key); });
  }
  Cursor pop() {
    std::pop_heap(heap.begin(), heap.end(), [this](const Cursor& a, const Cursor& b) { return earlier(b.key, a.key); });
    Cursor cursor = std::move(heap.back());
    heap.pop_back();
    return cursor;
  }

  void gather() {
    std::unordered_set<uint64_t> wanted;
    if (query.stream_uids) {
      for (const std::string& uid : *query.stream_uids) {
        if (const auto number = parse_uid(uid)) wanted.insert(*number);
      }
    }
    std::lock_guard guard(group.mutex);
    group.refresh();
    const auto add = [this](const GroupIndex::Stream& stream) {
      for (const auto& [key, segment] : stream.segments) {
        const TimeMs earliest = segment->earliest_ms(), latest = segment->latest_ms();
        if (!segment->readable || earliest > high() || latest < low()) continue;
        push({query.forward ? std::max(earliest, low()) : std::min(latest, high()), segment, false, {}});
      }
    };
    if (query.stream_uids) {
      for (const uint64_t uid : wanted) {
        const auto found = group.streams().find(uid);
        if (found != group.streams().end()) add(found->second);
      }
    } else {
      for (const auto& [uid, stream] : group.streams()) add(stream);
    }
  }

  void open(Cursor cursor) {
    {
      std::lock_guard guard(group.mutex);
      group.index(*cursor.segment);
      for (const Block& block : cursor.segment->blocks) {
        if (block.first_ms <= high() && block.last_ms >= low()) cursor.blocks.push_back(block);
      }
    }
    std::stable_sort(cursor.blocks.begin(), cursor.blocks.end(),
                     [this](const Block& a, const Block& b) { return earlier(key_of(b), key_of(a)); });
    cursor.opened = true;
    advance(std::move(cursor));
  }

  void advance(Cursor cursor) {
    if (cursor.blocks.empty()) return;
    cursor.key = key_of(cursor.blocks.back());
    push(std::move(cursor));
  }

  void take_block(Cursor& cursor, std::string& buffer) {
    const Block block = cursor.blocks.back();
    cursor.blocks.pop_back();
    const Fd file(::open(cursor.segment->path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return;  // expired meanwhile
    buffer.resize(block.length);
    const ssize_t got = pread(file.get(), buffer.data(), buffer.size(), block.offset);
    if (got <= 0) return;
    scanned += static_cast<size_t>(got);
    group.bytes_read += static_cast<uint64_t>(got);
    RecordWalk walk({buffer.data(), static_cast<size_t>(got)}, true);
    EventId id = cursor.segment->id;
    for (RecordView record; walk.next(record);) {
      if (record.timestamp_ms < query.start_ms || record.timestamp_ms > query.end_ms) continue;
      id.offset = block.offset + static_cast<uint32_t>(record.offset);
      take({record.timestamp_ms, record.ingestion_ms, id}, record);
    }
  }

  void take(const Position& position, const RecordView& record) {
    if (query.from && !earlier(*query.from, position)) return;
    if (bound && !earlier(position, *bound)) return;
    if (query.matches && !query.matches(record.message)) return;
    const auto order = [this](const Event& a, const Event& b) { return nearer(a, b); };
    events.push_back({position, record.partial, std::string(record.message)});
    std::push_heap(events.begin(), events.end(), order);
    bytes += record.message.size() + kEventOverheadBytes;
    while (events.size() > query.events_max || (bytes > query.bytes_max && events.size() > 1)) {
      std::pop_heap(events.begin(), events.end(), order);
      bytes -= events.back().message.size() + kEventOverheadBytes;
      bound = events.back().position;
      events.pop_back();
    }
  }

  Page run() {
    gather();
    std::string buffer;
    std::optional<Position> stopped;  // everything before it has been looked at
    const TimeMs begin = query.forward ? low() : high();
    while (!heap.empty()) {
      Cursor cursor = pop();
      if (bound && earlier(bound->timestamp_ms, cursor.key)) break;
      if (scanned >= query.scan_bytes_max && earlier(begin, cursor.key)) {
        stopped = query.forward ? Position::before_all(cursor.key) : Position::after_all(cursor.key);
        break;
      }
      if (!cursor.opened) {
        open(std::move(cursor));
      } else {
        take_block(cursor, buffer);
        advance(std::move(cursor));
      }
    }
    Page page;
    if (stopped) std::erase_if(events, [&](const Event& event) { return !earlier(event.position, *stopped); });
    std::sort(events.begin(), events.end(), [](const Event& a, const Event& b) { return a.position < b.position; });
    page.events = std::move(events);
    if (bound && (!stopped || earlier(*bound, *stopped))) {
      // At least one event was kept, because what goes first is what is furthest along.
      page.resume = query.forward ? page.events.back().position : page.events.front().position;
    } else {
      page.resume = stopped;
    }
    return page;
  }
};

Result<Page> LogStore::read(const Query& query) {
  if (query.events_max == 0) return fail("a page of no events");
  const auto index = group(query.group_uid);
  Scan scan{query, *index};
  return scan.run();
}

std::shared_ptr<LogStore::PutStream> LogStore::put_stream(const std::string& group_uid, const std::string& stream_uid) {
  std::lock_guard guard(mutex_);
  std::string key = group_uid + "/" + stream_uid;
  if (put_streams_.size() >= kPutStreamsMax && !put_streams_.contains(key))
    std::erase_if(put_streams_, [](const auto& entry) { return !entry.second->open; });
  auto& found = put_streams_[key];
  if (!found) found = std::make_shared<PutStream>();
  found->key = std::move(key);
  found->used = ++put_clock_;
  if (!found->open) open_put_streams_.push_back(found);
  found->open = true;
  if (open_put_streams_.size() > kPutStreamsOpenMax) park_one();
  return found;
}

// The least recently used one; those in use stay.
void LogStore::park_one() {
  std::sort(open_put_streams_.begin(), open_put_streams_.end(),
            [](const auto& a, const auto& b) { return a->used < b->used; });
  for (auto stream = open_put_streams_.begin(); stream != open_put_streams_.end(); ++stream) {
    std::unique_lock lock((*stream)->mutex, std::try_to_lock);
    if (!lock) continue;
    (*stream)->place = (*stream)->writer.park();
    (*stream)->open = false;
    lock.unlock();
    open_put_streams_.erase(stream);
    return;
  }
}

Result<void> LogStore::open_put_stream(PutStream& stream, const std::string& group_uid, const std::string& stream_uid) {
  const auto path = make_stream(group_uid, stream_uid);
  if (!path) return tl::unexpected(path.error());
  LogWriterLimits limits;
  limits.monotonic = false;
  const LogWriterPlace place = std::exchange(stream.place, {});
  const auto index = group(group_uid);
  std::lock_guard guard(index->mutex);  // who looks now sees the segment locked, or not at all
  if (const int error = stream.writer.resume(path->c_str(), kPutWriterId, limits, place))
    return fail(error, "open " + *path);
  const auto number = parse_uid(stream_uid);
  if (number && place.sequence != 0) index->goes_on({*number, kPutWriterId, place.sequence, 0});
  return {};
}

Result<void> LogStore::put(const std::string& group_uid, const std::string& stream_uid,
                           const std::vector<NewEvent>& events, TimeMs ingestion_ms) {
  const auto stream = put_stream(group_uid, stream_uid);
  std::lock_guard guard(stream->mutex);
  LogWriter& writer = stream->writer;
  if (!writer.is_open()) {
    if (auto opened = open_put_stream(*stream, group_uid, stream_uid); !opened) return opened;
  }
  if (const auto number = parse_uid(stream_uid)) {
    const auto index = group(group_uid);
    const std::lock_guard indexing(index->mutex);
    index->unsettle(*number);
  }
  size_t bytes = 0;
  for (const NewEvent& event : events) bytes += event.message.size() + sizeof(RecordHeader);
  int error = events.empty() ? 0 : writer.reserve(bytes, events.back().timestamp_ms);
  for (size_t i = 0; i < events.size() && error == 0; ++i) {
    error = writer.append(events[i].timestamp_ms, ingestion_ms, events[i].message.data(), events[i].message.size());
  }
  if (error == 0) error = writer.is_deleted() ? ENOENT : writer.sync();
  if (error == 0) return {};
  writer.abandon();  // the caller is told that it failed, and will come again with the same events
  return fail(error, fmt::format("write to {}/{}/{}", root_, group_uid, stream_uid));
}

namespace {

// Reads only where the answer is not known without: the first record's time and the file's own do for all segments but
// those of the newest events.
void add_facts(GroupIndex& index, Segment& segment, StreamFacts& facts) {
  facts.bytes += segment.size;
  if (!segment.readable) return;
  const bool may_be_last = !facts.last_event_ms || segment.latest_ms() > *facts.last_event_ms;
  if (!segment.monotonic || segment.begun_ms == 0 || may_be_last) index.index(segment);
  const bool is_known = segment.fully_indexed();
  if (is_known ? segment.blocks.empty() : segment.begun_ms == 0) return;
  facts.first_event_ms = std::min(facts.first_event_ms.value_or(INT64_MAX), segment.earliest_ms());
  if (is_known) facts.last_event_ms = std::max(facts.last_event_ms.value_or(0), segment.latest_ms());
  // A file's time moves in steps of the kernel's tick: it may be a little before that of what was written.
  const TimeMs written_ms = !segment.monotonic ? 0 : is_known ? segment.latest_ms() : segment.begun_ms;
  facts.last_ingestion_ms = std::max({facts.last_ingestion_ms.value_or(0), segment.modified_ms, written_ms});
}

}  // namespace

std::vector<StreamFacts> LogStore::facts(const std::string& group_uid, const std::vector<std::string>& stream_uids) {
  const auto index = group(group_uid);
  std::lock_guard guard(index->mutex);
  index->refresh();
  std::vector<StreamFacts> all;
  for (const std::string& uid : stream_uids) {
    StreamFacts facts;
    facts.uid = uid;
    const auto number = parse_uid(uid);
    const auto found = number ? index->streams().find(*number) : index->streams().end();
    if (found != index->streams().end()) {
      // The newest first: older ones are then known to end before it.
      for (auto segment = found->second.segments.rbegin(); segment != found->second.segments.rend(); ++segment)
        add_facts(*index, *segment->second, facts);
    }
    all.push_back(std::move(facts));
  }
  return all;
}

uint64_t LogStore::stored_bytes(const std::string& group_uid) {
  const auto index = group(group_uid);
  std::lock_guard guard(index->mutex);
  index->refresh();
  uint64_t bytes = 0;
  for (const auto& [uid, stream] : index->streams()) {
    for (const auto& [key, segment] : stream.segments) bytes += segment->size;
  }
  return bytes;
}

size_t LogStore::expire(const std::string& group_uid, TimeMs older_than_ms) {
  const auto index = group(group_uid);
  size_t gone = 0;
  std::set<std::string> without_events;
  {
    std::lock_guard guard(index->mutex);
    gone = index->expire(older_than_ms);
    for (const uint64_t uid : index->streams_without_segments()) without_events.insert(uid_to_string(uid));
  }
  std::lock_guard guard(mutex_);
  without_events_[group_uid] = std::move(without_events);
  return gone;
}

std::set<std::string> LogStore::streams_without_events(const std::string& group_uid) const {
  std::lock_guard guard(mutex_);
  const auto found = without_events_.find(group_uid);
  return found == without_events_.end() ? std::set<std::string>() : found->second;
}

uint64_t LogStore::bytes_read() const {
  std::lock_guard guard(mutex_);
  uint64_t bytes = 0;
  for (const auto& [uid, index] : groups_) bytes += index->bytes_read;
  return bytes;
}

uint64_t LogStore::streams_looked_at() const {
  std::lock_guard guard(mutex_);
  uint64_t streams = 0;
  for (const auto& [uid, index] : groups_) streams += index->streams_looked_at;
  return streams;
}

std::set<std::string> LogStore::group_uids() const {
  std::set<std::string> uids;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(root_, error)) {
    const std::string name = entry.path().filename().string();
    if (parse_uid(name)) uids.insert(name);
  }
  return uids;
}

namespace {

Result<void> remove_all(const std::string& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error) return fail(error.value(), "remove " + path);
  return {};
}

}  // namespace

Result<void> LogStore::remove_group(const std::string& group_uid) {
  {
    std::lock_guard guard(mutex_);
    groups_.erase(group_uid);
    without_events_.erase(group_uid);
    std::erase_if(put_streams_, [&](const auto& entry) { return entry.first.starts_with(group_uid + "/"); });
    std::erase_if(open_put_streams_, [&](const auto& stream) { return stream->key.starts_with(group_uid + "/"); });
  }
  return remove_all(root_ + "/" + group_uid);
}

Result<void> LogStore::remove_stream(const std::string& group_uid, const std::string& stream_uid) {
  const std::string key = group_uid + "/" + stream_uid;
  {
    std::lock_guard guard(mutex_);
    put_streams_.erase(key);
    std::erase_if(open_put_streams_, [&](const auto& stream) { return stream->key == key; });
  }
  return remove_all(root_ + "/" + key);
}

}  // namespace berth::logstore
