#include "model/cbor_format.h"

#include <bit>
#include <cmath>
#include <limits>

#include "base/json.h"

namespace berth::model::cbor {
namespace {

void append_big_endian(std::string& out, uint64_t number, int width) {
  for (int shift = (width - 1) * 8; shift >= 0; shift -= 8) out += static_cast<char>(number >> shift);
}

double half_to_double(uint16_t bits) {
  const int exponent = bits >> 10 & 0x1f;
  const int fraction = bits & 0x3ff;
  double value = 0;
  if (exponent == 0) {
    value = std::ldexp(fraction, -24);
  } else if (exponent < 31) {
    value = std::ldexp(fraction + 1024, exponent - 25);
  } else {
    value = fraction ? std::numeric_limits<double>::quiet_NaN() : std::numeric_limits<double>::infinity();
  }
  return bits & 0x8000 ? -value : value;
}

}  // namespace

std::optional<Head> take_head(std::string_view& bytes) {
  if (bytes.empty()) return std::nullopt;
  const auto first = static_cast<uint8_t>(bytes.front());
  Head head{static_cast<Major>(first >> 5), static_cast<uint8_t>(first & 0x1f), 0};
  size_t width = 0;
  if (head.info < 24) {
    head.number = head.info;
  } else if (head.info < 28) {
    width = size_t{1} << (head.info - 24);
  } else if (head.info != kIndefinite) {
    return std::nullopt;
  }
  // Only strings, arrays and maps have no length; a simple value without one is the break.
  if (head.indefinite() && (head.major < Major::bytes || head.major > Major::map)) return std::nullopt;
  if (bytes.size() < 1 + width) return std::nullopt;
  for (size_t i = 1; i <= width; ++i) head.number = head.number << 8 | static_cast<uint8_t>(bytes[i]);
  bytes.remove_prefix(1 + width);
  return head;
}

double to_double(const Head& head) {
  if (head.info == kHalf) return half_to_double(static_cast<uint16_t>(head.number));
  if (head.info == kFloat) return static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(head.number)));
  return std::bit_cast<double>(head.number);
}

void append_head(std::string& out, Major major, uint64_t number) {
  const auto type = static_cast<uint8_t>(static_cast<uint8_t>(major) << 5);
  if (number < 24) {
    out += static_cast<char>(type | number);
    return;
  }
  const int step = number <= UINT8_MAX ? 0 : number <= UINT16_MAX ? 1 : number <= UINT32_MAX ? 2 : 3;
  out += static_cast<char>(type | (24 + step));
  append_big_endian(out, number, 1 << step);
}

void append_int(std::string& out, int64_t value) {
  if (value < 0) {
    append_head(out, Major::negative_integer, static_cast<uint64_t>(-1 - value));
  } else {
    append_head(out, Major::unsigned_integer, static_cast<uint64_t>(value));
  }
}

void append_double(std::string& out, double value) {
  // Out of float's range the conversion is undefined, hence the order.
  const bool fits =
      !std::isfinite(value) || (std::abs(value) <= static_cast<double>(std::numeric_limits<float>::max()) &&
                                static_cast<double>(static_cast<float>(value)) == value);
  if (fits) {
    out += static_cast<char>(0xe0 | kFloat);
    append_big_endian(out, std::bit_cast<uint32_t>(static_cast<float>(value)), 4);
  } else {
    out += static_cast<char>(0xe0 | kDouble);
    append_big_endian(out, std::bit_cast<uint64_t>(value), 8);
  }
}

void append_text(std::string& out, std::string_view text) {
  size_t valid = 0;
  while (valid < text.size()) {
    const size_t length = json::utf8_length(text.substr(valid));
    if (length == 0) break;
    valid += length;
  }
  if (valid == text.size()) {
    append_head(out, Major::text, text.size());
    out += text;
    return;
  }
  std::string mended;
  for (size_t i = 0; i < text.size();) {
    const size_t length = json::utf8_length(text.substr(i));
    mended += length ? text.substr(i, length) : std::string_view("\xef\xbf\xbd");
    i += length ? length : 1;
  }
  append_head(out, Major::text, mended.size());
  out += mended;
}

void append_bytes(std::string& out, std::string_view bytes) {
  append_head(out, Major::bytes, bytes.size());
  out += bytes;
}

void append_simple(std::string& out, uint8_t value) { out += static_cast<char>(0xe0 | value); }

}  // namespace berth::model::cbor
