// An event's place in a stream, and in the order in which readers see events.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace berth::logstore {

// Where an event lies: stable for as long as the event exists, across restarts.
struct EventId {
  uint64_t stream = 0;    // the stream's uid, 16 hex digits as a number
  uint64_t writer = 0;    // below 2^48
  uint32_t sequence = 0;  // of the segment
  uint32_t offset = 0;    // of the record in it

  auto operator<=>(const EventId&) const = default;
  // 56 digits as CloudWatch Logs' own: a 3, then 20 + 15 + 10 + 10.
  std::string to_string() const;
  static std::optional<EventId> parse(std::string_view text);
};

// Readers see events ordered by time, then by when they came in, then by where they lie.
struct Position {
  TimeMs timestamp_ms = 0;
  TimeMs ingestion_ms = 0;
  EventId id;

  auto operator<=>(const Position&) const = default;
  std::string to_string() const;  // for tokens: letters, digits, '-' and '.'
  static std::optional<Position> parse(std::string_view text);
  // Before and after everything at `timestamp_ms`.
  static Position before_all(TimeMs timestamp_ms);
  static Position after_all(TimeMs timestamp_ms);
};

struct Event {
  Position position;
  bool partial = false;  // the line goes on in the writer's next event
  std::string message;
};

// "00c0ffee00c0ffee" and back; nothing where it is not 16 lower-case hex digits.
std::optional<uint64_t> parse_uid(std::string_view uid);
std::string uid_to_string(uint64_t uid);

}  // namespace berth::logstore
