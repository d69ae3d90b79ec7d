// Reading a segment's bytes: pure, and safe on any bytes whatever.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/clock.h"
#include "logstore/writer/format.h"

namespace berth::logstore {

struct SegmentName {
  uint64_t writer = 0;
  uint32_t sequence = 0;
};
std::optional<SegmentName> parse_segment_name(std::string_view file_name);

// Nothing where the bytes are too few, damaged, or of a version that we do not know.
std::optional<SegmentHeader> parse_segment_header(std::string_view bytes);

struct RecordView {
  size_t offset = 0;  // in the bytes walked over
  TimeMs timestamp_ms = 0;
  TimeMs ingestion_ms = 0;
  bool partial = false;
  std::string_view message;
};

// Walks over whole records, one behind the other. Ends at the first that is not whole (more may come, if the
// writer lives) or not a record (nothing behind it can be trusted).
class RecordWalk {
 public:
  // `verify`: check the CRC too. Without, only lengths are looked at: for indexing, where a wrong time costs
  // a needless look at worst.
  RecordWalk(std::string_view bytes, bool verify) : bytes_(bytes), verify_(verify) {}
  bool next(RecordView& record);
  size_t consumed() const { return at_; }
  bool damaged() const { return damaged_; }  // ended at something that is not a record
  // How much the record that next() stopped at needs in all; 0: not known yet.
  size_t needed() const { return needed_; }

 private:
  std::string_view bytes_;
  bool verify_;
  size_t at_ = 0;
  size_t needed_ = 0;
  bool damaged_ = false;
};

}  // namespace berth::logstore
