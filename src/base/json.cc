#include "base/json.h"

#include <fmt/format.h>

#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/src.hpp>
#include <charconv>
#include <cmath>

#include "base/assert.h"

namespace berth::json {
namespace {

// Boost's event parser calls this; the tree grows on a stack of open containers.
class TreeBuilder {
 public:
  static constexpr size_t max_object_size = SIZE_MAX;
  static constexpr size_t max_array_size = SIZE_MAX;
  static constexpr size_t max_key_size = SIZE_MAX;
  static constexpr size_t max_string_size = SIZE_MAX;

  Value take() { return std::move(root_); }

  bool on_document_begin(boost::json::error_code&) { return true; }
  bool on_document_end(boost::json::error_code&) { return true; }
  bool on_object_begin(boost::json::error_code&) { return open(Object{}); }
  bool on_object_end(size_t, boost::json::error_code&) { return close(); }
  bool on_array_begin(boost::json::error_code&) { return open(Array{}); }
  bool on_array_end(size_t, boost::json::error_code&) { return close(); }
  bool on_key_part(boost::json::string_view part, size_t, boost::json::error_code&) {
    open_.back().key.append(part.data(), part.size());
    return true;
  }
  bool on_key(boost::json::string_view part, size_t, boost::json::error_code&) {
    open_.back().key.append(part.data(), part.size());
    return true;
  }
  bool on_string_part(boost::json::string_view part, size_t, boost::json::error_code&) {
    text_.append(part.data(), part.size());
    return true;
  }
  bool on_string(boost::json::string_view part, size_t, boost::json::error_code&) {
    text_.append(part.data(), part.size());
    add(Value(std::move(text_)));
    text_.clear();
    return true;
  }
  bool on_number_part(boost::json::string_view, boost::json::error_code&) { return true; }
  bool on_int64(int64_t value, boost::json::string_view, boost::json::error_code&) { return add(Value(value)); }
  bool on_uint64(uint64_t value, boost::json::string_view, boost::json::error_code&) {
    return add(Value(static_cast<double>(value)));  // on_int64 takes all that fits
  }
  bool on_double(double value, boost::json::string_view, boost::json::error_code&) { return add(Value(value)); }
  bool on_bool(bool value, boost::json::error_code&) { return add(Value(value)); }
  bool on_null(boost::json::error_code&) { return add(Value()); }
  bool on_comment_part(boost::json::string_view, boost::json::error_code&) { return true; }
  bool on_comment(boost::json::string_view, boost::json::error_code&) { return true; }

 private:
  struct Open {
    Value container;
    std::string key;
  };

  bool open(Value container) {
    open_.push_back({std::move(container), {}});
    return true;
  }
  bool close() {
    Value done = std::move(open_.back().container);
    open_.pop_back();
    return add(std::move(done));
  }
  bool add(Value value) {
    if (open_.empty()) {
      root_ = std::move(value);
    } else if (Array* array = open_.back().container.if_array()) {
      array->push_back(std::move(value));
    } else {
      open_.back().container.if_object()->emplace_back(std::move(open_.back().key), std::move(value));
      open_.back().key.clear();
    }
    return true;
  }

  Value root_;
  std::vector<Open> open_;
  std::string text_;
};

const Value& null_value() {
  static const Value null;
  return null;
}

void append_pretty(std::string& out, const Value& value, int indent) {
  const auto line = [&](int depth) { out.append("\n").append(static_cast<size_t>(depth) * 2, ' '); };
  if (const Array* array = value.if_array(); array && !array->empty()) {
    out += '[';
    for (size_t i = 0; i < array->size(); ++i) {
      if (i) out += ',';
      line(indent + 1);
      append_pretty(out, (*array)[i], indent + 1);
    }
    line(indent);
    out += ']';
  } else if (const Object* object = value.if_object(); object && !object->empty()) {
    out += '{';
    for (size_t i = 0; i < object->size(); ++i) {
      if (i) out += ',';
      line(indent + 1);
      append_quoted(out, (*object)[i].first);
      out += ": ";
      append_pretty(out, (*object)[i].second, indent + 1);
    }
    line(indent);
    out += '}';
  } else {
    append(out, value);
  }
}

}  // namespace

double Value::double_or(double otherwise) const {
  if (if_double()) return *if_double();
  return if_int() ? static_cast<double>(*if_int()) : otherwise;
}

std::string Value::string_or(std::string_view otherwise) const {
  return if_string() ? *if_string() : std::string(otherwise);
}

const Array& Value::array_or_empty() const {
  static const Array empty;
  return if_array() ? *if_array() : empty;
}

const Object& Value::object_or_empty() const {
  static const Object empty;
  return if_object() ? *if_object() : empty;
}

const Value* Value::find(std::string_view name) const {
  const Object& object = object_or_empty();
  for (auto member = object.rbegin(); member != object.rend(); ++member) {
    if (member->first == name) return &member->second;
  }
  return nullptr;
}

const Value& Value::operator[](std::string_view name) const {
  const Value* found = find(name);
  return found ? *found : null_value();
}

void Value::set(std::string_view name, Value value) {
  if (is_null()) data_ = Object{};
  Object* object = if_object();
  BERTH_ASSERT(object != nullptr);
  for (auto member = object->rbegin(); member != object->rend(); ++member) {
    if (member->first == name) {
      member->second = std::move(value);
      return;
    }
  }
  object->emplace_back(std::string(name), std::move(value));
}

Result<Value> parse(std::string_view text, int depth_max) {
  boost::json::parse_options options;
  options.max_depth = static_cast<size_t>(depth_max);
  boost::json::basic_parser<TreeBuilder> parser(options);
  boost::json::error_code error;
  const size_t used = parser.write_some(false, text.data(), text.size(), error);
  if (!error && used < text.size()) return fail(fmt::format("JSON: more text after the value, at byte {}", used));
  if (error) return fail(fmt::format("JSON: {} at byte {}", error.message(), used));
  return parser.handler().take();
}

size_t utf8_length(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const auto continues = [&](size_t i) { return (byte(i) & 0xc0) == 0x80; };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return continues(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    const bool wrong = (first == 0xe0 && byte(1) < 0xa0) || (first == 0xed && byte(1) > 0x9f);
    return !wrong && continues(1) && continues(2) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const bool wrong = (first == 0xf0 && byte(1) < 0x90) || (first == 0xf4 && byte(1) > 0x8f);
    return !wrong && continues(1) && continues(2) && continues(3) ? 4 : 0;
  }
  return 0;
}

void append_quoted(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  size_t plain = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const unsigned char c = static_cast<unsigned char>(text[i]);
    if (c >= 0x80) [[unlikely]] {
      if (const size_t length = utf8_length(text.substr(i))) {
        i += length - 1;
        continue;
      }
      out.append(text, plain, i - plain);
      out += "\\ufffd";
      plain = i + 1;
      continue;
    }
    if (c >= 0x20 && c != '"' && c != '\\') [[likely]]
      continue;
    out.append(text, plain, i - plain);
    plain = i + 1;
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      case '\b': out += "\\b"; break;
      case '\f': out += "\\f"; break;
      default: {
        const char escape[] = {'\\', 'u', '0', '0', kHex[c >> 4], kHex[c & 15]};
        out.append(escape, sizeof escape);
      }
    }
  }
  out.append(text, plain, text.size() - plain);
  out += '"';
}

void append_int(std::string& out, int64_t value) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  out.append(digits, end);
}

void append_double(std::string& out, double value) {
  if (!std::isfinite(value)) {
    out += "null";
    return;
  }
  char digits[40];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  const std::string_view text(digits, static_cast<size_t>(end - digits));
  out += text;
  // "2" would read back as an integer.
  if (text.find_first_of(".e") == text.npos) out += ".0";
}

void append(std::string& out, const Value& value) { Writer(out).value(value); }

std::string to_string(const Value& value) {
  std::string out;
  append(out, value);
  return out;
}

std::string to_pretty_string(const Value& value) {
  std::string out;
  append_pretty(out, value, 0);
  return out;
}

void Writer::separate() {
  if (comma_) *out_ += ',';
  comma_ = true;
}

Writer& Writer::begin_object() {
  separate();
  *out_ += '{';
  comma_ = false;
  return *this;
}

Writer& Writer::end_object() {
  *out_ += '}';
  comma_ = true;
  return *this;
}

Writer& Writer::begin_array() {
  separate();
  *out_ += '[';
  comma_ = false;
  return *this;
}

Writer& Writer::end_array() {
  *out_ += ']';
  comma_ = true;
  return *this;
}

Writer& Writer::key(std::string_view name) {
  separate();
  append_quoted(*out_, name);
  *out_ += ':';
  comma_ = false;
  return *this;
}

Writer& Writer::string(std::string_view text) {
  separate();
  append_quoted(*out_, text);
  return *this;
}

Writer& Writer::number(int64_t value) {
  separate();
  append_int(*out_, value);
  return *this;
}

Writer& Writer::number(double value) {
  separate();
  append_double(*out_, value);
  return *this;
}

Writer& Writer::boolean(bool value) {
  separate();
  *out_ += value ? "true" : "false";
  return *this;
}

Writer& Writer::null() {
  separate();
  *out_ += "null";
  return *this;
}

Writer& Writer::raw(std::string_view json) {
  separate();
  *out_ += json;
  return *this;
}

Writer& Writer::value(const Value& value) {
  if (const bool* boolean_value = value.if_bool()) return boolean(*boolean_value);
  if (const int64_t* int_value = value.if_int()) return number(*int_value);
  if (const double* double_value = value.if_double()) return number(*double_value);
  if (const std::string* text = value.if_string()) return string(*text);
  if (const Array* array = value.if_array()) {
    begin_array();
    for (const Value& element : *array) this->value(element);
    return end_array();
  }
  if (const Object* object = value.if_object()) {
    begin_object();
    for (const Member& member : *object) key(member.first).value(member.second);
    return end_object();
  }
  return null();
}

}  // namespace berth::json
