#include "logstore/index.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "logstore/segment.h"

namespace berth::logstore {
namespace {

constexpr size_t kChunkBytes = 256 * 1024;
// A directory's mtime moves in steps of the kernel's tick (4 ms, or 10): one younger than this when it was
// listed may hide a later change with the same mtime, so the listing is repeated next time.
constexpr int64_t kUnsettledNs = 50'000'000;
constexpr int64_t kHeaderlessNs = 60'000'000'000;
// Events are at most this much newer than the write that brought them: our own clock's jumps, and the two
// hours that PutLogEvents allows.
constexpr TimeMs kAheadMonotonicMs = 60 * 1000;
constexpr TimeMs kAheadMs = 2 * 60 * 60 * 1000 + 60 * 1000;

int64_t nanoseconds(const timespec& time) { return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec; }

int64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return nanoseconds(now);
}

// The mtime to remember: 0, which never matches, where it may still hide changes.
int64_t settled(int64_t mtime_ns, int64_t before_ns) { return before_ns - mtime_ns > kUnsettledNs ? mtime_ns : 0; }

template <class F>
void each_entry(const std::string& directory, F&& function) {
  DIR* listing = opendir(directory.c_str());
  if (!listing) return;
  while (const dirent* entry = readdir(listing)) function(std::string_view(entry->d_name));
  closedir(listing);
}

void add_to_blocks(std::vector<Block>& blocks, uint32_t offset, uint32_t length, TimeMs timestamp) {
  if (!blocks.empty() && blocks.back().length + length <= kBlockBytes) {
    Block& last = blocks.back();
    last.length += length;
    last.first_ms = std::min(last.first_ms, timestamp);
    last.last_ms = std::max(last.last_ms, timestamp);
  } else {
    blocks.push_back({offset, length, timestamp, timestamp});
  }
}

}  // namespace

TimeMs Segment::earliest_ms() const {
  if (monotonic && begun_ms != 0) return begun_ms;
  if (!fully_indexed()) return std::numeric_limits<TimeMs>::min();
  TimeMs earliest = std::numeric_limits<TimeMs>::max();
  for (const Block& block : blocks) earliest = std::min(earliest, block.first_ms);
  return earliest;
}

TimeMs Segment::latest_ms() const {
  if (!fully_indexed()) return modified_ms + (monotonic ? kAheadMonotonicMs : kAheadMs);
  TimeMs latest = std::numeric_limits<TimeMs>::min();
  if (monotonic && !blocks.empty()) return blocks.back().last_ms;
  for (const Block& block : blocks) latest = std::max(latest, block.last_ms);
  return latest;
}

void Segment::look(bool try_lock) {
  struct stat status {};
  if (header_read && !try_lock) {
    if (stat(path.c_str(), &status) != 0) return;
  } else {
    const Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return;
    // The lock first: what its last holder wrote is then within the size. One without a header yet has a live
    // writer.
    const bool free = try_lock && flock(file.get(), LOCK_SH | LOCK_NB) == 0;
    if (fstat(file.get(), &status) != 0) return;
    char first[sizeof(SegmentHeader) + sizeof(RecordHeader)];
    const ssize_t got = header_read ? 0 : pread(file.get(), first, sizeof first, 0);
    if (got >= static_cast<ssize_t>(sizeof(SegmentHeader))) {
      const auto header = parse_segment_header({first, static_cast<size_t>(got)});
      header_read = true;
      readable = header && header->writer_id == id.writer && header->sequence == id.sequence;
      monotonic = header && (header->flags & kSegmentMonotonic) != 0;
      indexed = sizeof(SegmentHeader);
      if (got == sizeof first) {
        RecordHeader record;
        memcpy(&record, first + sizeof(SegmentHeader), sizeof record);
        begun_ms = record.timestamp_ms;
      }
    }
    // Without a header it may be a writer's that has made the file and not locked it yet; not for long.
    const bool forgotten = now_ns() - nanoseconds(status.st_mtim) > kHeaderlessNs;
    sealed = sealed || (free && (header_read || forgotten));
  }
  size = static_cast<uint32_t>(std::min<off_t>(status.st_size, std::numeric_limits<uint32_t>::max()));
  modified_ms = nanoseconds(status.st_mtim) / 1'000'000;
}

uint64_t Segment::index() {
  if (!header_read || !readable || fully_indexed()) return 0;
  const Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return 0;
  std::string chunk;
  size_t wanted = kChunkBytes;
  uint64_t bytes_read = 0;
  while (indexed < size) {
    chunk.resize(std::min<size_t>(wanted, size - indexed));
    const ssize_t got = pread(file.get(), chunk.data(), chunk.size(), indexed);
    if (got <= 0) break;
    bytes_read += static_cast<uint64_t>(got);
    RecordWalk walk({chunk.data(), static_cast<size_t>(got)}, false);
    RecordView record;
    while (walk.next(record)) {
      add_to_blocks(blocks, indexed + static_cast<uint32_t>(record.offset),
                    static_cast<uint32_t>(sizeof(RecordHeader) + record.message.size()), record.timestamp_ms);
    }
    indexed += static_cast<uint32_t>(walk.consumed());
    damaged = walk.damaged();
    const bool at_end = static_cast<size_t>(got) + indexed - walk.consumed() >= size;
    if (damaged || (walk.consumed() == 0 && (at_end || walk.needed() <= wanted))) break;
    wanted = std::max(kChunkBytes, walk.needed());
  }
  // What a dead writer left unfinished stays so.
  if (sealed && indexed < size) damaged = true;
  if (begun_ms == 0 && !blocks.empty()) begun_ms = blocks.front().first_ms;
  return bytes_read;
}

void GroupIndex::refresh() {
  const int64_t before = now_ns();
  struct stat status {};
  if (stat(path_.c_str(), &status) != 0) {
    streams_.clear();
    active_.clear();
    listed_ns_ = 0;
    return;
  }
  const int64_t mtime = nanoseconds(status.st_mtim);
  if (mtime == listed_ns_) {
    for (const auto& segment : active_) segment->look(false);
    return;
  }
  listed_ns_ = settled(mtime, before);
  list_streams();
}

void GroupIndex::list_streams() {
  std::set<uint64_t> present;
  active_.clear();
  each_entry(path_, [&](std::string_view name) {
    if (const auto uid = parse_uid(name)) present.insert(*uid);
  });
  std::erase_if(streams_, [&](const auto& stream) { return !present.contains(stream.first); });
  const int64_t now = now_ns();
  for (const uint64_t uid : present) {
    Stream& stream = streams_[uid];
    if (is_settled(stream, now)) continue;
    ++streams_looked_at;
    list_segments(uid, stream);
    bool all_ended = !stream.segments.empty();
    for (const auto& [key, segment] : stream.segments) {
      if (segment->sealed) continue;
      segment->look(true);
      if (segment->sealed) continue;
      all_ended = false;
      active_.push_back(segment);
    }
    stream.looked_ns = now;
    if (!all_ended)
      stream.all_ended_ns = 0;
    else if (stream.all_ended_ns == 0)
      stream.all_ended_ns = now;
  }
}

bool GroupIndex::is_settled(const Stream& stream, int64_t now_ns) const {
  return stream.all_ended_ns != 0 && stream.looked_ns >= stream.all_ended_ns + settle_ns_ &&
         now_ns >= stream.looked_ns && now_ns < stream.looked_ns + kSettledLookNs;
}

void GroupIndex::unsettle(uint64_t stream) {
  if (const auto found = streams_.find(stream); found != streams_.end()) found->second.all_ended_ns = 0;
}

std::vector<uint64_t> GroupIndex::streams_without_segments() const {
  std::vector<uint64_t> uids;
  for (const auto& [uid, stream] : streams_)
    if (stream.segments.empty()) uids.push_back(uid);
  return uids;
}

void GroupIndex::list_segments(uint64_t uid, Stream& stream) {
  const std::string directory = path_ + "/" + uid_to_string(uid);
  const int64_t before = now_ns();
  struct stat status {};
  if (stat(directory.c_str(), &status) != 0 || nanoseconds(status.st_mtim) == stream.listed_ns) return;
  stream.listed_ns = settled(nanoseconds(status.st_mtim), before);
  auto old = std::exchange(stream.segments, {});
  each_entry(directory, [&](std::string_view file) {
    const auto name = parse_segment_name(file);
    if (!name) return;
    auto& segment = stream.segments[{name->writer, name->sequence}];
    const auto known = old.find({name->writer, name->sequence});
    if (known != old.end()) {
      segment = known->second;
    } else {
      segment = std::make_shared<Segment>();
      segment->path = directory + "/" + std::string(file);
      segment->id = {uid, name->writer, name->sequence, 0};
    }
  });
}

void GroupIndex::goes_on(const EventId& segment) {
  const auto stream = streams_.find(segment.stream);
  if (stream == streams_.end()) return;
  const auto found = stream->second.segments.find({segment.writer, segment.sequence});
  if (found == stream->second.segments.end() || !found->second->sealed) return;
  found->second->sealed = false;
  active_.push_back(found->second);
}

size_t GroupIndex::expire(TimeMs older_than_ms) {
  size_t gone = 0;
  refresh();
  for (auto& [uid, stream] : streams_) {
    gone += std::erase_if(stream.segments, [&](const auto& entry) {
      Segment& segment = *entry.second;
      if (!segment.sealed) return false;
      if (segment.earliest_ms() >= older_than_ms) return false;
      if (segment.latest_ms() >= older_than_ms) segment.index();  // by the file's own time it might be too young
      if (segment.latest_ms() >= older_than_ms) return false;
      return unlink(segment.path.c_str()) == 0 || errno == ENOENT;
    });
  }
  return gone;
}

}  // namespace berth::logstore
