// CBOR's own words (RFC 8949): heads of values, for cbor_reader.cc and cbor_writer.cc. Any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace berth::model::cbor {

enum class Major : uint8_t { unsigned_integer, negative_integer, bytes, text, array, map, tag, simple };

inline constexpr uint8_t kIndefinite = 31;
inline constexpr uint8_t kBreak = 0xff;
inline constexpr uint64_t kEpochTag = 1;
inline constexpr uint64_t kSelfDescribedTag = 55799;
// Values of Major::simple in Head::info.
inline constexpr uint8_t kFalse = 20, kTrue = 21, kNull = 22, kUndefined = 23, kHalf = 25, kFloat = 26, kDouble = 27;

// What a value begins with: its type, and a number that is the value, the length or the bits of a float.
struct Head {
  Major major;
  uint8_t info;
  uint64_t number;

  bool indefinite() const { return info == kIndefinite; }
  bool is_null() const { return major == Major::simple && (info == kNull || info == kUndefined); }
  bool is_float() const { return major == Major::simple && info >= kHalf && info <= kDouble; }
};

// Takes a head off the front. Nothing where the bytes end within it or it is not well-formed; a break is not a head.
std::optional<Head> take_head(std::string_view& bytes);
double to_double(const Head& head);  // of a float

void append_head(std::string& out, Major major, uint64_t number);  // as short as it can be
void append_int(std::string& out, int64_t value);
void append_double(std::string& out, double value);  // as a float where that is the same number
void append_text(std::string& out, std::string_view text);
void append_bytes(std::string& out, std::string_view bytes);
void append_simple(std::string& out, uint8_t value);

}  // namespace berth::model::cbor
