#include "wire/event_stream.h"

#include <zlib.h>

#include "base/assert.h"
#include "base/json.h"

namespace berth::wire {
namespace {

constexpr char kTextHeader = 7;

void append_number(std::string& out, uint32_t number, int bytes) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) out += static_cast<char>(number >> shift & 0xff);
}

void append_crc(std::string& out, size_t from) {
  const auto* begin = reinterpret_cast<const Bytef*>(out.data() + from);
  append_number(out, static_cast<uint32_t>(::crc32(0, begin, static_cast<uInt>(out.size() - from))), 4);
}

}  // namespace

void append_event(std::string& out, std::span<const EventHeader> headers, std::string_view payload) {
  constexpr size_t kPreludeAndCrcs = 16;
  size_t header_bytes = 0;
  for (const EventHeader& header : headers) {
    BERTH_ASSERT(header.name.size() <= 255 && header.value.size() <= 65'535);
    header_bytes += 4 + header.name.size() + header.value.size();
  }
  const size_t begin = out.size();
  append_number(out, static_cast<uint32_t>(kPreludeAndCrcs + header_bytes + payload.size()), 4);
  append_number(out, static_cast<uint32_t>(header_bytes), 4);
  append_crc(out, begin);
  for (const EventHeader& header : headers) {
    append_number(out, static_cast<uint32_t>(header.name.size()), 1);
    out += header.name;
    out += kTextHeader;
    append_number(out, static_cast<uint32_t>(header.value.size()), 2);
    out += header.value;
  }
  out += payload;
  append_crc(out, begin);
}

void append_server_sent_event(std::string& out, std::string_view event, std::string_view data) {
  if (!event.empty()) out.append("event: ").append(event).append("\n");
  do {
    const std::string_view line = data.substr(0, data.find('\n'));
    out.append("data: ").append(line).append("\n");
    data.remove_prefix(std::min(line.size() + 1, data.size()));
  } while (!data.empty());
  out += '\n';
}

Wrote EventWriter::event(std::string_view type, std::string_view json) {
  const EventHeader headers[] = {
      {":event-type", type}, {":content-type", "application/json"}, {":message-type", "event"}};
  std::string message;
  append_event(message, headers, json);
  return stream_.write(message);
}

Wrote EventWriter::exception(const ApiError& error) {
  const EventHeader headers[] = {
      {":exception-type", error.type}, {":content-type", "application/json"}, {":message-type", "exception"}};
  std::string payload, message;
  json::Writer(payload).begin_object().member("message", error.message).end_object();
  append_event(message, headers, payload);
  return stream_.write(message);
}

}  // namespace berth::wire
