// Records ↔ bytes. The text is JSON: members that a reader does not know are ignored, members that a writer did not know
// keep their default, so a newer and an older Berth read each other's state. A record lists its members once, in
// `fields(archive)`; enums are kept by name. Bytes that are no JSON are a broken invariant: only we write them.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/json.h"
#include "records/names.h"

namespace berth::records {

namespace kinds {
template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;
template <class T>
inline constexpr bool is_vector = false;
template <class T>
inline constexpr bool is_vector<std::vector<T>> = true;
template <class T>
inline constexpr bool is_pair = false;
template <class A, class B>
inline constexpr bool is_pair<std::pair<A, B>> = true;
template <class T>
inline constexpr bool is_string_map = false;
template <class T>
inline constexpr bool is_string_map<std::map<std::string, T>> = true;
template <class T>
inline constexpr bool is_absent_when_empty = is_vector<T> || is_string_map<T>;
}  // namespace kinds

class Encoder {
 public:
  explicit Encoder(std::string& out) : writer_(out) {}

  template <class T>
  void operator()(const char* name, const T& value) {
    if constexpr (kinds::is_absent_when_empty<T>) {
      if (value.empty()) return;
    } else if constexpr (kinds::is_optional<T>) {
      if (!value) return;
    }
    writer_.key(name);
    write(value);
  }

  template <class T>
  void write(const T& value) {
    if constexpr (std::is_same_v<T, std::string>) {
      writer_.string(value);
    } else if constexpr (std::is_same_v<T, bool>) {
      writer_.boolean(value);
    } else if constexpr (std::is_enum_v<T>) {
      writer_.string(name_of(value));
    } else if constexpr (std::is_integral_v<T>) {
      writer_.number(int64_t{value});
    } else if constexpr (kinds::is_optional<T>) {
      write(*value);
    } else if constexpr (kinds::is_pair<T>) {
      writer_.begin_array();
      write(value.first);
      write(value.second);
      writer_.end_array();
    } else if constexpr (kinds::is_string_map<T>) {
      writer_.begin_object();
      for (const auto& [key, item] : value) writer_.key(key), write(item);
      writer_.end_object();
    } else if constexpr (kinds::is_vector<T>) {
      writer_.begin_array();
      for (const auto& item : value) write(item);
      writer_.end_array();
    } else {
      writer_.begin_object();
      const_cast<T&>(value).fields(*this);  // fields() serves both directions; encoding changes nothing
      writer_.end_object();
    }
  }

 private:
  json::Writer writer_;
};

class Decoder {
 public:
  explicit Decoder(const json::Value& object) : object_(object) {}

  template <class T>
  void operator()(const char* name, T& value) {
    if (const json::Value* found = object_.find(name)) read(*found, value);
  }

  template <class T>
  static void read(const json::Value& from, T& value) {
    if constexpr (std::is_same_v<T, std::string>) {
      value = from.string_or(value);
    } else if constexpr (std::is_same_v<T, bool>) {
      value = from.bool_or(value);
    } else if constexpr (std::is_enum_v<T>) {
      value = value_of<T>(from.string_or(name_of(value)));
    } else if constexpr (std::is_integral_v<T>) {
      value = static_cast<T>(from.int_or(value));
    } else if constexpr (kinds::is_optional<T>) {
      value.emplace();
      read(from, *value);
    } else if constexpr (kinds::is_pair<T>) {
      const json::Array& two = from.array_or_empty();
      if (two.size() == 2) read(two[0], value.first), read(two[1], value.second);
    } else if constexpr (kinds::is_string_map<T>) {
      value.clear();
      for (const auto& [key, item] : from.object_or_empty()) read(item, value[key]);
    } else if constexpr (kinds::is_vector<T>) {
      value.clear();
      value.reserve(from.array_or_empty().size());
      for (const json::Value& item : from.array_or_empty()) read(item, value.emplace_back());
    } else {
      Decoder nested(from);
      value.fields(nested);
    }
  }

 private:
  const json::Value& object_;
};

template <class T>
std::string encode(const T& record) {
  std::string out;
  Encoder(out).write(record);
  return out;
}

template <class T>
T decode(std::string_view bytes) {
  const auto value = json::parse(bytes);
  BERTH_ASSERT(value.has_value());
  T record;
  Decoder::read(*value, record);
  return record;
}

// Of bytes that may be damaged: nothing where they are no record at all. Members that are missing have their defaults.
template <class T>
std::optional<T> decode_if_whole(std::string_view bytes) {
  const auto value = json::parse(bytes);
  if (!value.has_value()) return std::nullopt;
  T record;
  Decoder::read(*value, record);
  return record;
}

}  // namespace berth::records
