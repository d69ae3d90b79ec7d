// A log segment, its name, and the event ids and positions that clients hand back in tokens.
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "logstore/event.h"
#include "logstore/segment.h"

namespace {

using namespace berth::logstore;

std::vector<RecordView> walk(std::string_view bytes, bool verify) {
  std::vector<RecordView> records;
  RecordWalk walker(bytes, verify);
  RecordView record;
  size_t end = 0;
  while (walker.next(record)) {
    if (record.offset != end || walker.consumed() > bytes.size()) abort();
    end = walker.consumed();
    records.push_back(record);
  }
  if (walker.consumed() != end || walker.next(record)) abort();
  return records;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  parse_segment_name(bytes);
  parse_segment_header(bytes);
  if (const auto id = EventId::parse(bytes); id && id->to_string() != bytes) abort();
  if (const auto position = Position::parse(bytes); position && Position::parse(position->to_string()) != position) {
    abort();
  }
  // What verification lets through, indexing has seen too.
  const auto all = walk(bytes, false);
  if (walk(bytes, true).size() > all.size()) abort();
  // Chance does not find a checksum: with right ones, both see the same.
  std::string right(bytes);
  for (const RecordView& record : all) {
    const uint32_t crc = crc_of_record(right.data() + record.offset, record.message.size());
    memcpy(right.data() + record.offset, &crc, sizeof crc);
  }
  if (walk(right, true).size() != all.size()) abort();
  return 0;
}
