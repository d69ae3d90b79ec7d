// JSON for records, the command line and the admin API: a value tree and an appending writer. The API's own bodies do
// not pass here (wire/ reads them straight into structs). Boost.JSON parses, inside json.cc only.
//
// Values are plain: they copy, compare and may travel between threads.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/limits.h"
#include "base/result.h"

namespace berth::json {

class Value;
using Array = std::vector<Value>;
using Member = std::pair<std::string, Value>;
using Object = std::vector<Member>;  // in the order of the text; of equal names the last one counts

class Value {
 public:
  Value() = default;
  Value(std::nullptr_t) {}
  Value(bool value) : data_(value) {}
  Value(int value) : data_(int64_t{value}) {}
  Value(int64_t value) : data_(value) {}
  Value(double value) : data_(value) {}
  Value(std::string value) : data_(std::move(value)) {}
  Value(std::string_view value) : data_(std::string(value)) {}
  Value(const char* value) : data_(std::string(value)) {}
  Value(Array value) : data_(std::move(value)) {}
  Value(Object value) : data_(std::move(value)) {}

  bool is_null() const { return std::holds_alternative<std::monostate>(data_); }
  // Null where the value is of another type. Integers are int64; what does not fit, and fractions, are double.
  const bool* if_bool() const { return std::get_if<bool>(&data_); }
  const int64_t* if_int() const { return std::get_if<int64_t>(&data_); }
  const double* if_double() const { return std::get_if<double>(&data_); }
  const std::string* if_string() const { return std::get_if<std::string>(&data_); }
  const Array* if_array() const { return std::get_if<Array>(&data_); }
  const Object* if_object() const { return std::get_if<Object>(&data_); }
  Array* if_array() { return std::get_if<Array>(&data_); }
  Object* if_object() { return std::get_if<Object>(&data_); }

  // Reading with a default, for text that we wrote ourselves and may have written in an older version.
  bool bool_or(bool otherwise) const { return if_bool() ? *if_bool() : otherwise; }
  int64_t int_or(int64_t otherwise) const { return if_int() ? *if_int() : otherwise; }
  double double_or(double otherwise) const;  // an integer counts as one
  std::string string_or(std::string_view otherwise) const;
  const Array& array_or_empty() const;
  const Object& object_or_empty() const;

  // The member's value; null where this is no object or has no such member.
  const Value* find(std::string_view name) const;
  // The same as a value, so that value["a"]["b"].string_or("") reads a path.
  const Value& operator[](std::string_view name) const;
  // Adds or replaces; makes an object of a null.
  void set(std::string_view name, Value value);

  bool operator==(const Value&) const = default;

 private:
  std::variant<std::monostate, bool, int64_t, double, std::string, Array, Object> data_;
};

// The whole text is one value; white space around it is allowed. The error's context tells what is wrong and where.
Result<Value> parse(std::string_view text, int depth_max = limits::kJsonDepthMax);

std::string to_string(const Value& value);         // on one line
std::string to_pretty_string(const Value& value);  // indented by two, for people

// Length of the UTF-8 sequence that `text` begins with, 0 where it begins with none (overlong forms and surrogates are
// none).
size_t utf8_length(std::string_view text);

// Appends "…" with the escapes that JSON asks for; control characters as \u00xx. Bytes that are not
// UTF-8 (a container's log line may have them) become U+FFFD.
void append_quoted(std::string& out, std::string_view text);
void append_int(std::string& out, int64_t value);
// The shortest text that reads back to the same number; null for what JSON cannot say (NaN, infinities).
void append_double(std::string& out, double value);
void append(std::string& out, const Value& value);

// Appends to a string of the caller's, placing the commas. In an object, key() comes before each value.
class Writer {
 public:
  explicit Writer(std::string& out) : out_(&out) {}

  Writer& begin_object();
  Writer& end_object();
  Writer& begin_array();
  Writer& end_array();
  Writer& key(std::string_view name);
  Writer& string(std::string_view text);
  Writer& number(int64_t value);
  Writer& number(double value);
  Writer& boolean(bool value);
  Writer& null();
  Writer& value(const Value& value);
  Writer& raw(std::string_view json);  // one complete value, already rendered

  Writer& member(std::string_view name, std::string_view text) { return key(name).string(text); }
  Writer& member(std::string_view name, const char* text) { return key(name).string(text); }
  Writer& member(std::string_view name, const std::string& text) { return key(name).string(text); }
  Writer& member(std::string_view name, bool value) { return key(name).boolean(value); }
  Writer& member(std::string_view name, int value) { return key(name).number(int64_t{value}); }
  Writer& member(std::string_view name, int64_t value) { return key(name).number(value); }
  Writer& member(std::string_view name, double value) { return key(name).number(value); }
  Writer& member(std::string_view name, const Value& content) { return key(name).value(content); }

 private:
  void separate();

  std::string* out_;
  bool comma_ = false;  // a value has been written in the innermost container
};

}  // namespace berth::json
