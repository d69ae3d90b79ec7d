#include "base/assert.h"
#include "base/clock.h"
#include "base/json.h"
#include "model/cbor_codec.h"
#include "model/cbor_format.h"
#include "model/error_body.h"

namespace berth::model {
namespace {

using cbor::Major;

void append_timestamp(std::string& out, TimeMs time) {
  cbor::append_head(out, Major::tag, cbor::kEpochTag);
  if (time % 1000 == 0) {
    cbor::append_int(out, time / 1000);
  } else {
    cbor::append_double(out, static_cast<double>(time) / 1000);
  }
}

void append_structure(std::string& out, const Shape& shape, const void* object) {
  const auto value_of = [object](const Member& member) {
    const void* place = static_cast<const char*>(object) + member.offset;
    return member.presence ? member.presence->get(place) : place;
  };
  uint64_t present = 0;
  for (const Member& member : shape.members) present += value_of(member) != nullptr;
  cbor::append_head(out, Major::map, present);
  for (const Member& member : shape.members) {
    const void* value = value_of(member);
    if (!value) continue;
    cbor::append_text(out, member.name);
    append_cbor(out, *member.shape, value);
  }
}

void append_list(std::string& out, const Shape& shape, const void* object) {
  const size_t size = shape.vector->size(object);
  cbor::append_head(out, Major::array, size);
  const char* element = static_cast<const char*>(shape.vector->data(object));
  for (size_t i = 0; i < size; ++i, element += shape.vector->stride) append_cbor(out, *shape.element, element);
}

void append_map(std::string& out, const Shape& shape, const void* object) {
  cbor::append_head(out, Major::map, shape.map->size(object));
  for_each_entry(shape, object, [&](const std::string& key, const void* value) {
    cbor::append_text(out, key);
    append_cbor(out, *shape.element, value);
  });
}

void append_document(std::string& out, const json::Value& value) {
  if (const bool* boolean = value.if_bool()) {
    cbor::append_simple(out, *boolean ? cbor::kTrue : cbor::kFalse);
  } else if (const int64_t* integer = value.if_int()) {
    cbor::append_int(out, *integer);
  } else if (const double* real = value.if_double()) {
    cbor::append_double(out, *real);
  } else if (const std::string* text = value.if_string()) {
    cbor::append_text(out, *text);
  } else if (const json::Array* array = value.if_array()) {
    cbor::append_head(out, Major::array, array->size());
    for (const json::Value& element : *array) append_document(out, element);
  } else if (const json::Object* object = value.if_object()) {
    cbor::append_head(out, Major::map, object->size());
    for (const auto& [key, content] : *object) {
      cbor::append_text(out, key);
      append_document(out, content);
    }
  } else {
    cbor::append_simple(out, cbor::kNull);
  }
}

}  // namespace

void append_cbor(std::string& out, const Shape& shape, const void* object) {
  switch (shape.kind) {
    case Kind::string: cbor::append_text(out, *static_cast<const std::string*>(object)); break;
    case Kind::blob: cbor::append_bytes(out, *static_cast<const std::string*>(object)); break;
    case Kind::integer: cbor::append_int(out, *static_cast<const int32_t*>(object)); break;
    case Kind::long_integer: cbor::append_int(out, *static_cast<const int64_t*>(object)); break;
    case Kind::real: cbor::append_double(out, *static_cast<const double*>(object)); break;
    case Kind::boolean: cbor::append_simple(out, *static_cast<const bool*>(object) ? cbor::kTrue : cbor::kFalse); break;
    case Kind::timestamp: append_timestamp(out, *static_cast<const TimeMs*>(object)); break;
    case Kind::document: {
      const auto value = json::parse(static_cast<const Document*>(object)->json);
      append_document(out, value ? *value : json::Value());
      break;
    }
    case Kind::structure: append_structure(out, shape, object); break;
    case Kind::list: append_list(out, shape, object); break;
    case Kind::map: append_map(out, shape, object); break;
  }
}

}  // namespace berth::model
