#include <nettle/base64.h>

#include <cmath>

#include "base/clock.h"
#include "base/json.h"
#include "model/json_codec.h"

namespace berth::model {
namespace {

void append_seconds(std::string& out, TimeMs time) {
  if (time < 0) {
    out += '-';
    time = -time;
  }
  json::append_int(out, time / 1000);
  if (const int64_t rest = time % 1000) {
    const char digits[] = {'.', static_cast<char>('0' + rest / 100), static_cast<char>('0' + rest / 10 % 10),
                           static_cast<char>('0' + rest % 10)};
    out.append(digits, sizeof digits);
  }
}

void append_base64(std::string& out, const std::string& bytes) {
  const size_t start = out.size();
  out += '"';
  out.resize(out.size() + BASE64_ENCODE_RAW_LENGTH(bytes.size()));
  base64_encode_raw(out.data() + start + 1, bytes.size(), reinterpret_cast<const uint8_t*>(bytes.data()));
  out += '"';
}

void append_structure(std::string& out, const Shape& shape, const void* object) {
  out += '{';
  bool comma = false;
  for (const Member& member : shape.members) {
    const void* place = static_cast<const char*>(object) + member.offset;
    const std::string* ready = nullptr;
    const void* value = place;
    if (member.presence) {
      if (member.presence->json) ready = member.presence->json(place);
      if (!ready && !(value = member.presence->get(place))) continue;
    }
    if (comma) out += ',';
    comma = true;
    out += member.json_key;
    if (ready) {
      out += *ready;
    } else {
      append_json(out, *member.shape, value);
    }
  }
  out += '}';
}

void append_list(std::string& out, const Shape& shape, const void* object) {
  const VectorOps& vector = *shape.vector;
  const size_t size = vector.size(object);
  const char* element = static_cast<const char*>(vector.data(object));
  out += '[';
  for (size_t i = 0; i < size; ++i, element += vector.stride) {
    if (i) out += ',';
    append_json(out, *shape.element, element);
  }
  out += ']';
}

void append_map(std::string& out, const Shape& shape, const void* object) {
  out += '{';
  bool comma = false;
  for_each_entry(shape, object, [&](const std::string& key, const void* value) {
    if (comma) out += ',';
    comma = true;
    json::append_quoted(out, key);
    out += ':';
    append_json(out, *shape.element, value);
  });
  out += '}';
}

}  // namespace

void append_json(std::string& out, const Shape& shape, const void* object) {
  switch (shape.kind) {
    case Kind::string: json::append_quoted(out, *static_cast<const std::string*>(object)); break;
    case Kind::blob: append_base64(out, *static_cast<const std::string*>(object)); break;
    case Kind::integer: json::append_int(out, *static_cast<const int32_t*>(object)); break;
    case Kind::long_integer: json::append_int(out, *static_cast<const int64_t*>(object)); break;
    case Kind::real: {
      const double value = *static_cast<const double*>(object);
      if (std::isfinite(value)) {
        json::append_double(out, value);
      } else {
        out += std::isnan(value) ? "\"NaN\"" : value > 0 ? "\"Infinity\"" : "\"-Infinity\"";
      }
      break;
    }
    case Kind::boolean: out += *static_cast<const bool*>(object) ? "true" : "false"; break;
    case Kind::timestamp: append_seconds(out, *static_cast<const TimeMs*>(object)); break;
    case Kind::document: {
      const std::string& text = static_cast<const Document*>(object)->json;
      out += text.empty() ? "null" : text;
      break;
    }
    case Kind::structure: append_structure(out, shape, object); break;
    case Kind::list: append_list(out, shape, object); break;
    case Kind::map: append_map(out, shape, object); break;
  }
}

}  // namespace berth::model
