#include "wire/query/time.h"

#include <ctime>

namespace berth::wire {
namespace {

// Takes `digits` digits off the front; -1 where they are none.
int take_number(std::string_view& text, size_t digits) {
  if (text.size() < digits) return -1;
  int value = 0;
  for (size_t i = 0; i < digits; ++i) {
    if (text[i] < '0' || text[i] > '9') return -1;
    value = value * 10 + (text[i] - '0');
  }
  text.remove_prefix(digits);
  return value;
}

bool take(std::string_view& text, char c) {
  if (text.empty() || text[0] != c) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

void append_iso8601(std::string& out, TimeMs time_ms) {
  int64_t milliseconds = time_ms % 1000;
  std::time_t seconds = time_ms / 1000;
  if (milliseconds < 0) {
    milliseconds += 1000;
    --seconds;
  }
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[64];
  out.append(text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts));
  const char rest[] = {'.', static_cast<char>('0' + milliseconds / 100),
                       static_cast<char>('0' + milliseconds / 10 % 10), static_cast<char>('0' + milliseconds % 10),
                       'Z'};
  out.append(rest, sizeof rest);
}

std::optional<TimeMs> parse_iso8601(std::string_view text) {
  std::tm parts{};
  const int year = take_number(text, 4);
  if (year < 0 || !take(text, '-')) return std::nullopt;
  const int month = take_number(text, 2);
  if (month < 1 || month > 12 || !take(text, '-')) return std::nullopt;
  const int day = take_number(text, 2);
  if (day < 1 || day > 31) return std::nullopt;
  parts.tm_year = year - 1900;
  parts.tm_mon = month - 1;
  parts.tm_mday = day;
  int64_t milliseconds = 0;
  int64_t offset_minutes = 0;
  if (take(text, 'T')) {
    parts.tm_hour = take_number(text, 2);
    if (parts.tm_hour < 0 || parts.tm_hour > 23 || !take(text, ':')) return std::nullopt;
    parts.tm_min = take_number(text, 2);
    if (parts.tm_min < 0 || parts.tm_min > 59 || !take(text, ':')) return std::nullopt;
    parts.tm_sec = take_number(text, 2);
    if (parts.tm_sec < 0 || parts.tm_sec > 60) return std::nullopt;
    if (take(text, '.')) {
      int64_t unit = 100;
      size_t digits = 0;
      for (; !text.empty() && text[0] >= '0' && text[0] <= '9'; text.remove_prefix(1), ++digits) {
        milliseconds += (text[0] - '0') * unit;
        unit /= 10;
      }
      if (digits == 0) return std::nullopt;
    }
    if (!take(text, 'Z')) {
      const bool west = !text.empty() && text[0] == '-';
      if (!west && (text.empty() || text[0] != '+')) return std::nullopt;
      text.remove_prefix(1);
      const int hours = take_number(text, 2);
      take(text, ':');
      const int minutes = take_number(text, 2);
      if (hours < 0 || minutes < 0) return std::nullopt;
      offset_minutes = (west ? -1 : 1) * (hours * 60 + minutes);
    }
  }
  if (!text.empty()) return std::nullopt;
  return (static_cast<TimeMs>(::timegm(&parts)) - offset_minutes * 60) * 1000 + milliseconds;
}

}  // namespace berth::wire
