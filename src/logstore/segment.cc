#include "logstore/segment.h"

#include <charconv>
#include <cstring>

namespace berth::logstore {
namespace {

template <class T>
bool parse_hex(std::string_view text, T& value) {
  if (text.find_first_not_of("0123456789abcdef") != text.npos) return false;
  return std::from_chars(text.data(), text.data() + text.size(), value, 16).ec == std::errc();
}

}  // namespace

std::optional<SegmentName> parse_segment_name(std::string_view file_name) {
  SegmentName name;
  if (file_name.size() != 25 || file_name[12] != '-' || file_name.substr(21) != ".seg") return std::nullopt;
  if (!parse_hex(file_name.substr(0, 12), name.writer) || !parse_hex(file_name.substr(13, 8), name.sequence)) {
    return std::nullopt;
  }
  return name;
}

std::optional<SegmentHeader> parse_segment_header(std::string_view bytes) {
  SegmentHeader header;
  if (bytes.size() < sizeof header) return std::nullopt;
  memcpy(&header, bytes.data(), sizeof header);
  if (memcmp(header.magic, kSegmentMagic, sizeof header.magic) != 0 || header.version != kSegmentVersion ||
      header.crc != crc_of(header)) {
    return std::nullopt;
  }
  return header;
}

bool RecordWalk::next(RecordView& record) {
  if (damaged_) return false;
  RecordHeader header;
  const std::string_view rest = bytes_.substr(at_);
  if (rest.size() < sizeof header) return false;
  memcpy(&header, rest.data(), sizeof header);
  if ((header.flags() & kRecordPresent) == 0 || header.length() > kMessageBytesMax) {
    damaged_ = true;
    return false;
  }
  const size_t whole = sizeof header + header.length();
  if (rest.size() < whole) {
    needed_ = whole;
    return false;
  }
  if (verify_ && header.crc != crc_of_record(rest.data(), header.length())) {
    damaged_ = true;
    return false;
  }
  record.offset = at_;
  record.timestamp_ms = header.timestamp_ms;
  record.ingestion_ms = header.ingestion_ms;
  record.partial = (header.flags() & kRecordPartial) != 0;
  record.message = rest.substr(sizeof header, header.length());
  at_ += whole;
  return true;
}

}  // namespace berth::logstore
