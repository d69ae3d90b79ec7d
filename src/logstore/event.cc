#include "logstore/event.h"

#include <fmt/format.h>

#include <charconv>
#include <limits>

#include "logstore/writer/format.h"

namespace berth::logstore {
namespace {

constexpr size_t kIdDigits = 56;

template <class T>
std::optional<T> parse_number(std::string_view text, int base = 10) {
  T value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

}  // namespace

std::string EventId::to_string() const {
  return fmt::format("3{:020}{:015}{:010}{:010}", stream, writer, sequence, offset);
}

std::optional<EventId> EventId::parse(std::string_view text) {
  if (text.size() != kIdDigits || text[0] != '3') return std::nullopt;
  const auto stream = parse_number<uint64_t>(text.substr(1, 20));
  const auto writer = parse_number<uint64_t>(text.substr(21, 15));
  const auto sequence = parse_number<uint32_t>(text.substr(36, 10));
  const auto offset = parse_number<uint32_t>(text.substr(46, 10));
  if (!stream || !writer || *writer > kWriterIdMax || !sequence || !offset) return std::nullopt;
  return EventId{*stream, *writer, *sequence, *offset};
}

std::string Position::to_string() const { return fmt::format("{}.{}.{}", timestamp_ms, ingestion_ms, id.to_string()); }

std::optional<Position> Position::parse(std::string_view text) {
  const size_t first = text.find('.');
  const size_t second = first == text.npos ? text.npos : text.find('.', first + 1);
  if (second == text.npos) return std::nullopt;
  const auto timestamp = parse_number<TimeMs>(text.substr(0, first));
  const auto ingestion = parse_number<TimeMs>(text.substr(first + 1, second - first - 1));
  const auto id = EventId::parse(text.substr(second + 1));
  if (!timestamp || !ingestion || !id) return std::nullopt;
  return Position{*timestamp, *ingestion, *id};
}

Position Position::before_all(TimeMs timestamp_ms) {
  return {timestamp_ms, std::numeric_limits<TimeMs>::min(), EventId{}};
}

Position Position::after_all(TimeMs timestamp_ms) {
  return {timestamp_ms, std::numeric_limits<TimeMs>::max(), EventId{UINT64_MAX, kWriterIdMax, UINT32_MAX, UINT32_MAX}};
}

std::optional<uint64_t> parse_uid(std::string_view uid) {
  if (uid.size() != 16 || uid.find_first_not_of("0123456789abcdef") != uid.npos) return std::nullopt;
  return parse_number<uint64_t>(uid, 16);
}

std::string uid_to_string(uint64_t uid) { return fmt::format("{:016x}", uid); }

}  // namespace berth::logstore
