#include "model/error_body.h"

#include <algorithm>
#include <charconv>

#include "base/json.h"
#include "model/cbor_format.h"

namespace berth::model {
namespace {

const ErrorShape* shape_of(const Operation* operation, const ApiError& error) {
  return operation ? find_error(*operation, error.type) : nullptr;
}

Kind kind_of(const ErrorShape* shape, std::string_view member) {
  if (!shape) return Kind::list;
  const auto found = std::ranges::find(shape->members, member, &ErrorMember::name);
  return found == shape->members.end() ? Kind::list : found->kind;
}

bool parse_int(const std::string& text, int64_t& out) {
  const auto result = std::from_chars(text.data(), text.data() + text.size(), out);
  return result.ec == std::errc{} && result.ptr == text.data() + text.size();
}

}  // namespace

int error_status(const Operation* operation, const ApiError& error) {
  const ErrorShape* shape = shape_of(operation, error);
  return shape && error.status == 400 ? shape->status : error.status;
}

void append_json_error(std::string& out, const Operation* operation, const ApiError& error) {
  const ErrorShape* shape = shape_of(operation, error);
  json::Writer writer(out);
  writer.begin_object().member("__type", error.type);
  writer.member(shape ? shape->message_key : "message", error.message);
  for (const auto& [name, values] : error.list_members) {
    writer.key(name);
    const Kind kind = kind_of(shape, name);
    if (kind == Kind::list) {
      writer.begin_array();
      for (const std::string& value : values) writer.string(value);
      writer.end_array();
    } else if (values.empty()) {
      writer.null();
    } else if (int64_t number = 0;
               (kind == Kind::integer || kind == Kind::long_integer) && parse_int(values.front(), number)) {
      writer.number(number);
    } else {
      writer.string(values.front());
    }
  }
  writer.end_object();
}

void append_cbor_error(std::string& out, const Operation* operation, const ApiError& error) {
  using cbor::Major;
  const ErrorShape* shape = shape_of(operation, error);
  cbor::append_head(out, Major::map, 2 + error.list_members.size());
  cbor::append_text(out, "__type");
  cbor::append_text(out, error.type);
  cbor::append_text(out, shape ? shape->message_key : "message");
  cbor::append_text(out, error.message);
  for (const auto& [name, values] : error.list_members) {
    cbor::append_text(out, name);
    const Kind kind = kind_of(shape, name);
    int64_t number = 0;
    if (kind == Kind::list) {
      cbor::append_head(out, Major::array, values.size());
      for (const std::string& value : values) cbor::append_text(out, value);
    } else if (values.empty()) {
      cbor::append_simple(out, cbor::kNull);
    } else if ((kind == Kind::integer || kind == Kind::long_integer) && parse_int(values.front(), number)) {
      cbor::append_int(out, number);
    } else {
      cbor::append_text(out, values.front());
    }
  }
}

}  // namespace berth::model
