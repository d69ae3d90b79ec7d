// The encoding under every structure of this folder: little-endian integers and length-prefixed bytes, appended in the
// order of the members. A member added later goes to the end: an older reader ignores what follows the members it
// knows, a newer one reads the default from text that ends early. So daemon and supervisor of different ages agree
// without a negotiation; kVersion grows only when that is not enough.
//
// No exceptions, no RTTI: the supervisor is compiled without either.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace berth::taskdir {

inline constexpr uint32_t kVersion = 1;
inline constexpr size_t kListItemsMax = 4096;  // of any list in any structure; caps what a hostile length allocates

class Encoder {
 public:
  explicit Encoder(std::string& out) : out_(out) {}

  void u8(uint8_t value) { out_ += static_cast<char>(value); }
  void u32(uint32_t value) { integer(value, 4); }
  void u64(uint64_t value) { integer(value, 8); }
  void i64(int64_t value) { integer(static_cast<uint64_t>(value), 8); }
  void boolean(bool value) { u8(value ? 1 : 0); }
  void text(std::string_view value) {
    u32(static_cast<uint32_t>(value.size()));
    out_.append(value);
  }
  void texts(const std::vector<std::string>& values) {
    u32(static_cast<uint32_t>(values.size()));
    for (const std::string& value : values) text(value);
  }
  void u32s(const std::vector<uint32_t>& values) {
    u32(static_cast<uint32_t>(values.size()));
    for (uint32_t value : values) u32(value);
  }

 private:
  void integer(uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) out_ += static_cast<char>(value >> (8 * i));
  }

  std::string& out_;
};

// Reads what Encoder wrote. At the end of the input every getter gives its default and at_end() is true; input that
// breaks inside a value, or a length that cannot be, makes ok() false for good and every getter give its default.
class Decoder {
 public:
  explicit Decoder(std::string_view in) : in_(in) {}

  bool ok() const { return ok_; }
  bool at_end() const { return in_.empty(); }

  uint8_t u8() { return static_cast<uint8_t>(integer(1)); }
  uint32_t u32() { return static_cast<uint32_t>(integer(4)); }
  uint64_t u64() { return integer(8); }
  int64_t i64() { return static_cast<int64_t>(integer(8)); }
  bool boolean() { return u8() != 0; }
  std::string text() { return std::string(view()); }
  std::string_view view() {
    if (in_.empty() || !ok_) return {};
    const uint32_t size = u32();
    if (!ok_ || size > in_.size()) return stop();
    const std::string_view value = in_.substr(0, size);
    in_.remove_prefix(size);
    return value;
  }
  // The number of items that follow; each takes at least one byte.
  uint32_t count() {
    const uint32_t value = u32();
    if (value > kListItemsMax || value > in_.size()) {
      stop();
      return 0;
    }
    return value;
  }
  std::vector<std::string> texts() {
    std::vector<std::string> values(count());
    for (std::string& value : values) value = text();
    return values;
  }
  std::vector<uint32_t> u32s() {
    std::vector<uint32_t> values(count());
    for (uint32_t& value : values) value = u32();
    return values;
  }

 private:
  std::string_view stop() {
    ok_ = false;
    in_ = {};
    return {};
  }
  uint64_t integer(size_t bytes) {
    if (in_.empty() || !ok_) return 0;
    if (in_.size() < bytes) {
      stop();
      return 0;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; ++i) value |= uint64_t{static_cast<unsigned char>(in_[i])} << (8 * i);
    in_.remove_prefix(bytes);
    return value;
  }

  std::string_view in_;
  bool ok_ = true;
};

}  // namespace berth::taskdir
