// Two ways to write events into a stream: AWS's own (application/vnd.amazon.eventstream) and server-sent events.
//
//   AWS:  total length │ length of headers │ CRC of these two │ headers │ payload │ CRC of all before      (big-endian)
// https://smithy.io/2.0/aws/amazon-eventstream.html
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "wire/stream.h"

namespace berth::wire {

inline constexpr std::string_view kEventStreamType = "application/vnd.amazon.eventstream";
inline constexpr std::string_view kServerSentEventsType = "text/event-stream";

struct EventHeader {
  std::string_view name, value;  // at most 255 and 65,535 bytes
};
void append_event(std::string& out, std::span<const EventHeader> headers, std::string_view payload);

// `data` may have several lines; `event` has none, and may be empty.
void append_server_sent_event(std::string& out, std::string_view event, std::string_view data);

// What an operation with an event stream in its output writes: JSON protocols' events. One thread at a time.
class EventWriter {
 public:
  explicit EventWriter(Stream stream) : stream_(std::move(stream)) {}
  // `type`: the union's member. `json`: the event's struct.
  Wrote event(std::string_view type, std::string_view json);
  Wrote exception(const ApiError& error);  // the last
  void end() { stream_.end(); }

 private:
  Stream stream_;
};

}  // namespace berth::wire
