#include "wire/query/xml.h"

#include <nettle/base64.h>

#include "base/json.h"
#include "wire/query/time.h"

namespace berth::wire {
namespace {

using model::Kind;

void open(std::string& out, std::string_view name) { out.append("<").append(name).append(">"); }
void close(std::string& out, std::string_view name) { out.append("</").append(name).append(">"); }

void append_value(std::string& out, const model::Shape& shape, const void* object, bool ec2);

void append_elements(std::string& out, const model::Shape& shape, const void* object, std::string_view name, bool ec2) {
  const char* element = static_cast<const char*>(shape.vector->data(object));
  const size_t size = shape.vector->size(object);
  for (size_t i = 0; i < size; ++i, element += shape.vector->stride) {
    open(out, name);
    append_value(out, *shape.element, element, ec2);
    close(out, name);
  }
}

void append_entries(std::string& out, const model::Shape& shape, const void* object, std::string_view name, bool ec2) {
  model::for_each_entry(shape, object, [&](const std::string& key, const void* value) {
    open(out, name);
    append_xml_element(out, shape.key_name, key);
    open(out, shape.element_name);
    append_value(out, *shape.element, value, ec2);
    close(out, shape.element_name);
    close(out, name);
  });
}

void append_value(std::string& out, const model::Shape& shape, const void* object, bool ec2) {
  switch (shape.kind) {
    case Kind::string: append_xml_text(out, *static_cast<const std::string*>(object)); break;
    case Kind::blob: {
      const auto& bytes = *static_cast<const std::string*>(object);
      const size_t start = out.size();
      out.resize(start + BASE64_ENCODE_RAW_LENGTH(bytes.size()));
      base64_encode_raw(out.data() + start, bytes.size(), reinterpret_cast<const uint8_t*>(bytes.data()));
      break;
    }
    case Kind::integer: json::append_int(out, *static_cast<const int32_t*>(object)); break;
    case Kind::long_integer: json::append_int(out, *static_cast<const int64_t*>(object)); break;
    case Kind::real: json::append_double(out, *static_cast<const double*>(object)); break;
    case Kind::boolean: out += *static_cast<const bool*>(object) ? "true" : "false"; break;
    case Kind::timestamp: append_iso8601(out, *static_cast<const TimeMs*>(object)); break;
    case Kind::document: append_xml_text(out, static_cast<const model::Document*>(object)->json); break;
    case Kind::structure: append_xml_members(out, shape, object, ec2); break;
    case Kind::list: append_elements(out, shape, object, shape.element_name, ec2); break;
    case Kind::map: append_entries(out, shape, object, "entry", ec2); break;
  }
}

}  // namespace

void append_xml_text(std::string& out, std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\r': out += "&#xd;"; break;
      default:
        // XML 1.0 has no way to write the other control characters, nor bytes that are not UTF-8: U+FFFD for them.
        if (const size_t length = json::utf8_length(text.substr(i));
            length == 0 || (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t')) {
          out += "\xef\xbf\xbd";
        } else {
          out.append(text, i, length);
          i += length - 1;
        }
    }
  }
}

void append_xml_element(std::string& out, std::string_view name, std::string_view text) {
  open(out, name);
  append_xml_text(out, text);
  close(out, name);
}

void append_xml_members(std::string& out, const model::Shape& shape, const void* object, bool ec2) {
  for (const model::Member& member : shape.members) {
    const void* place = static_cast<const char*>(object) + member.offset;
    const void* value = member.presence ? member.presence->get(place) : place;
    if (!value) continue;
    if (member.shape->kind == Kind::list && member.shape->flattened && !ec2) {
      append_elements(out, *member.shape, value, member.xml_name, ec2);
      continue;
    }
    if (member.shape->kind == Kind::map && member.shape->flattened) {
      append_entries(out, *member.shape, value, member.xml_name, ec2);
      continue;
    }
    open(out, member.xml_name);
    append_value(out, *member.shape, value, ec2);
    close(out, member.xml_name);
  }
}

}  // namespace berth::wire
