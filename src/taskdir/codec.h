// The encoding under every structure of this folder: little-endian integers and length-prefixed bytes, appended in the
// order of the members. A structure lists its members once, in `fields(archive)`. A member added later goes to the end: an
// older reader ignores what follows the members it knows, a newer one leaves the members at their defaults that text which
// ends early does not have. So daemon and supervisor of different ages agree without a negotiation; kVersion grows only when
// that is not enough.
//
//   integers, enumerations, bool   their own width
//   text                           u32 length | bytes
//   list                           u32 count | items; a structure in a list is a text, so that it too can grow at its end
//
// No exceptions, no RTTI: the supervisor is compiled without either.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace berth::taskdir {

inline constexpr uint32_t kVersion = 1;
inline constexpr size_t kListItemsMax = 4096;  // of any list in any structure; caps what a hostile length allocates

template <class T>
concept Number = std::is_integral_v<T> || std::is_enum_v<T>;

class Encoder {
 public:
  explicit Encoder(std::string& out) : out_(out) {}

  template <class... T>
  void operator()(const T&... values) {
    (write(values), ...);
  }
  template <class T>
  void structure(const T& value) {
    const_cast<T&>(value).fields(*this);  // fields() serves both directions; encoding changes nothing
  }

 private:
  template <class T>
  void write(const T& value) {
    if constexpr (Number<T>) {
      for (size_t i = 0; i < sizeof value; ++i) out_ += static_cast<char>(static_cast<uint64_t>(value) >> (8 * i));
    } else if constexpr (std::is_same_v<T, std::string>) {
      write(static_cast<uint32_t>(value.size()));
      out_ += value;
    } else {
      write(static_cast<uint32_t>(value.size()));
      for (const auto& item : value) write_item(item);
    }
  }
  template <class T>
  void write_item(const T& item) {
    if constexpr (Number<T> || std::is_same_v<T, std::string>) {
      write(item);
    } else {
      std::string text;
      Encoder(text).structure(item);
      write(text);
    }
  }

  std::string& out_;
};

// Reads what Encoder wrote. Members behind the end of the input stay as they are; input that breaks inside a value, or a
// length that cannot be, makes ok() false for good.
class Decoder {
 public:
  explicit Decoder(std::string_view in) : in_(in) {}

  bool ok() const { return ok_; }

  template <class... T>
  void operator()(T&... values) {
    ((in_.empty() ? void() : read(values)), ...);
  }

 private:
  template <class T>
  void read(T& value) {
    if constexpr (Number<T>) {
      if (in_.size() < sizeof value) return stop();
      uint64_t number = 0;
      for (size_t i = 0; i < sizeof value; ++i) number |= uint64_t{static_cast<unsigned char>(in_[i])} << (8 * i);
      in_.remove_prefix(sizeof value);
      value = static_cast<T>(number);
    } else if constexpr (std::is_same_v<T, std::string>) {
      value = view();
    } else {
      uint32_t count = 0;
      read(count);
      if (count > kListItemsMax || count > in_.size()) return stop();  // each item takes at least one byte
      value.resize(count);
      for (auto& item : value) read_item(item);
    }
  }
  template <class T>
  void read_item(T& item) {
    if constexpr (Number<T> || std::is_same_v<T, std::string>) {
      read(item);
    } else {
      Decoder inner(view());
      item.fields(inner);
      if (!inner.ok()) stop();
    }
  }
  std::string_view view() {
    uint32_t size = 0;
    read(size);
    if (size > in_.size()) {
      stop();
      return {};
    }
    const std::string_view value = in_.substr(0, size);
    in_.remove_prefix(size);
    return value;
  }
  void stop() {
    ok_ = false;
    in_ = {};
  }

  std::string_view in_;
  bool ok_ = true;
};

}  // namespace berth::taskdir
