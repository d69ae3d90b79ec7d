#include "services/ecs/kept.h"

#include <cmath>

#include "base/assert.h"
#include "base/json.h"

namespace berth::services::ecs {
namespace {

using model::Kind;
using model::Shape;

void write(json::Writer& out, const Shape& shape, const void* value);

void write_members(json::Writer& out, const Shape& shape, const void* value) {
  out.begin_object();
  for (const auto& member : shape.members) {
    const void* at = static_cast<const char*>(value) + member.offset;
    if (member.presence != nullptr) at = member.presence->get(at);
    if (at == nullptr) continue;
    out.key(member.name);
    write(out, *member.shape, at);
  }
  out.end_object();
}

void write_elements(json::Writer& out, const Shape& shape, const void* value) {
  out.begin_array();
  const char* at = static_cast<const char*>(shape.vector->data(value));
  for (size_t i = 0; i < shape.vector->size(value); ++i, at += shape.vector->stride) write(out, *shape.element, at);
  out.end_array();
}

void write_map(json::Writer& out, const void* value) {
  out.begin_object();
  for (const auto& [key, item] : *static_cast<const model::StringMap*>(value)) out.member(key, item);
  out.end_object();
}

// Seconds, with as many decimals as there are milliseconds.
void write_moment(json::Writer& out, TimeMs moment) {
  if (moment % 1000 == 0)
    out.number(int64_t{moment / 1000});
  else
    out.number(static_cast<double>(moment) / 1000.0);
}

void write(json::Writer& out, const Shape& shape, const void* value) {
  switch (shape.kind) {
    case Kind::string:
    case Kind::blob: out.string(*static_cast<const std::string*>(value)); break;
    case Kind::integer: out.number(int64_t{*static_cast<const int32_t*>(value)}); break;
    case Kind::long_integer: out.number(*static_cast<const int64_t*>(value)); break;
    case Kind::real: out.number(*static_cast<const double*>(value)); break;
    case Kind::boolean: out.boolean(*static_cast<const bool*>(value)); break;
    case Kind::timestamp: write_moment(out, *static_cast<const TimeMs*>(value)); break;
    case Kind::document: out.raw(static_cast<const model::Document*>(value)->json); break;
    case Kind::structure: write_members(out, shape, value); break;
    case Kind::list: write_elements(out, shape, value); break;
    case Kind::map: write_map(out, value); break;
  }
}

void read(const json::Value& from, const Shape& shape, void* value);

void read_members(const json::Value& from, const Shape& shape, void* value) {
  for (const auto& member : shape.members) {
    const json::Value* found = from.find(member.name);
    if (found == nullptr || found->is_null()) continue;
    void* at = static_cast<char*>(value) + member.offset;
    read(*found, *member.shape, member.presence != nullptr ? member.presence->emplace(at) : at);
  }
}

void read_map(const json::Value& from, void* value) {
  auto& map = *static_cast<model::StringMap*>(value);
  for (const auto& [key, item] : from.object_or_empty()) map[key] = item.string_or("");
}

void read(const json::Value& from, const Shape& shape, void* value) {
  switch (shape.kind) {
    case Kind::string:
    case Kind::blob: *static_cast<std::string*>(value) = from.string_or(""); break;
    case Kind::integer: *static_cast<int32_t*>(value) = static_cast<int32_t>(from.int_or(0)); break;
    case Kind::long_integer: *static_cast<int64_t*>(value) = from.int_or(0); break;
    case Kind::real: *static_cast<double*>(value) = from.double_or(0); break;
    case Kind::boolean: *static_cast<bool*>(value) = from.bool_or(false); break;
    case Kind::timestamp: *static_cast<TimeMs*>(value) = std::llround(from.double_or(0) * 1000.0); break;
    case Kind::document: static_cast<model::Document*>(value)->json = json::to_string(from); break;
    case Kind::structure: read_members(from, shape, value); break;
    case Kind::list:
      for (const json::Value& item : from.array_or_empty()) read(item, *shape.element, shape.vector->append(value));
      break;
    case Kind::map: read_map(from, value); break;
  }
}

}  // namespace

std::string shape_to_json(const Shape& shape, const void* value) {
  std::string text;
  json::Writer out(text);
  write(out, shape, value);
  return text;
}

void shape_from_json(const Shape& shape, void* value, std::string_view text) {
  const auto parsed = json::parse(text);
  BERTH_ASSERT(parsed.has_value());
  read(*parsed, shape, value);
}

}  // namespace berth::services::ecs
