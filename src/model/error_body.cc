#include "model/error_body.h"

#include <algorithm>

#include "base/json.h"

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
    } else if (kind == Kind::string) {
      writer.string(values.front());
    } else {
      writer.raw(values.front());  // a number or a boolean
    }
  }
  writer.end_object();
}

}  // namespace berth::model
