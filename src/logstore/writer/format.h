// A log segment on disk, shared by the one process that writes it and the daemon that reads it.
//
//   <logs root>/<group uid>/<stream uid>/<writer id: 12 hex>-<sequence: 8 hex>.seg
//
//   segment  ┌─────────────── 32 bytes ───────────────┬────────┬────────┬───
//            │ "berthlog" version flags writer seq crc │ record │ record │ …
//            └─────────────────────────────────────────┴────────┴────────┴───
//   record   ┌─────┬───────────────────┬──────────────┬──────────────┬─────────┐
//            │ crc │ length 24, flags 8│ timestamp ms │ ingestion ms │ message │   all little-endian
//            └─4───┴─4─────────────────┴─8────────────┴─8────────────┴─length──┘
//
// A segment has exactly one writing process ever: it is created with O_EXCL and opened for writing by no
// other, so what a crash leaves at its end (part of a record, or zeroes after power loss) is never followed
// by anything. While its writer lives, it holds an flock on the segment it writes. The CRC-32C covers all of
// the record after itself.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

namespace berth::logstore {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the layout is little-endian");

inline constexpr char kSegmentMagic[8] = {'b', 'e', 'r', 't', 'h', 'l', 'o', 'g'};
inline constexpr uint32_t kSegmentVersion = 1;
inline constexpr uint32_t kSegmentMonotonic = 1;  // flags: timestamps never decrease
inline constexpr uint64_t kWriterIdMax = (uint64_t{1} << 48) - 1;

struct SegmentHeader {
  char magic[8];
  uint32_t version;
  uint32_t flags;
  uint64_t writer_id;
  uint32_t sequence;
  uint32_t crc;  // of the bytes before it
};
static_assert(sizeof(SegmentHeader) == 32);

struct RecordHeader {
  uint32_t crc;
  uint32_t length_and_flags;
  int64_t timestamp_ms;
  int64_t ingestion_ms;

  uint32_t length() const { return length_and_flags & 0xffffff; }
  uint8_t flags() const { return static_cast<uint8_t>(length_and_flags >> 24); }
};
static_assert(sizeof(RecordHeader) == 24);

inline constexpr uint8_t kRecordPresent = 1;  // always set, so that zeroes are not a record
inline constexpr uint8_t kRecordPartial = 2;  // the line goes on in the next record
// CloudWatch Logs' own bound on an event.
inline constexpr uint32_t kMessageBytesMax = 1024 * 1024;

uint32_t crc32c(uint32_t crc, const void* bytes, size_t length);

inline uint32_t crc_of(const SegmentHeader& header) { return crc32c(0, &header, offsetof(SegmentHeader, crc)); }
// `record` is the header with its message right behind it.
inline uint32_t crc_of_record(const void* record, size_t message_length) {
  return crc32c(0, static_cast<const char*>(record) + sizeof(uint32_t),
                sizeof(RecordHeader) - sizeof(uint32_t) + message_length);
}

}  // namespace berth::logstore
