#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/clock.h"
#include "base/json.h"
#include "model/cbor_codec.h"
#include "model/cbor_format.h"

namespace berth::model {
namespace {

using cbor::Head;
using cbor::Major;

constexpr double kSecondsMax = 253402300799.0;  // the year 9999

std::string_view name_of(const Head& head) {
  switch (head.major) {
    case Major::unsigned_integer:
    case Major::negative_integer: return "an integer";
    case Major::bytes: return "a byte string";
    case Major::text: return "a text string";
    case Major::array: return "an array";
    case Major::map: return "a map";
    case Major::tag: return "a tag";
    case Major::simple: break;
  }
  if (head.is_float()) return "a float";
  return head.is_null() ? "null" : "a simple value";
}

std::string_view name_of(Kind kind) {
  switch (kind) {
    case Kind::string: return "a text string";
    case Kind::blob: return "a byte string";
    case Kind::integer: return "an integer of 32 bits";
    case Kind::long_integer: return "an integer of 64 bits";
    case Kind::real: return "a number";
    case Kind::boolean: return "a boolean";
    case Kind::timestamp: return "a timestamp (tag 1 and a number of seconds)";
    case Kind::document: return "a document";
    case Kind::structure:
    case Kind::map: return "a map";
    case Kind::list: return "an array";
  }
  return "";
}

// Takes one value after the other off the front of the bytes, into the struct as its shape says. It goes as deep on the
// stack as values are nested, which depth_max bounds.
class StructReader {
 public:
  StructReader(std::string_view bytes, std::vector<Path>* missing, int depth_max, size_t elements_max)
      : rest_(bytes), missing_(missing), depth_max_(depth_max), elements_max_(elements_max) {}

  bool root(const Shape& shape, void* object) {
    Place place{nullptr, shape};
    Head head;
    if (!take(head)) return false;
    if (head.major != Major::map) return refuse_type(head, shape);
    if (!structure(head, object, place)) return false;
    return rest_.empty() || refuse(fmt::format("The body has {} more bytes after its value", rest_.size()));
  }

  const std::string& problem() const { return problem_; }

 private:
  // The containers that are being filled, innermost first.
  struct Place {
    const Place* outer;
    const Shape& shape;
    const Member* member = nullptr;    // of a structure
    size_t index = 0;                  // of a list
    const std::string* key = nullptr;  // of a map
    int depth = outer ? outer->depth + 1 : 1;
  };

  // The head of the next value, or a problem. Tags stand in `tag`; of those that stand one before the other, the last.
  bool take(Head& head, uint64_t* tag = nullptr) {
    for (int tags = 0;; ++tags) {
      const auto taken = cbor::take_head(rest_);
      if (!taken || tags > depth_max_) return refuse("The body is not well-formed CBOR");
      head = *taken;
      if (head.major != Major::tag) return true;
      if (tag) *tag = head.number;
    }
  }

  // Whether the container whose head was taken has one more entry; a break of an indefinite one is taken.
  bool more(const Head& head, uint64_t taken) {
    if (!head.indefinite()) return taken < head.number;
    if (rest_.empty() || static_cast<uint8_t>(rest_.front()) != cbor::kBreak) return true;
    rest_.remove_prefix(1);
    return false;
  }

  // A string's content. Where it came in one piece that is a view of the body, else of `joined`.
  bool string(const Head& head, std::string_view& out, std::string& joined) {
    if (!head.indefinite()) return piece(head, out);
    for (uint64_t pieces = 0; more(head, pieces); ++pieces) {
      const auto next = cbor::take_head(rest_);
      if (!next || next->major != head.major || next->indefinite()) return refuse("The body is not well-formed CBOR");
      std::string_view part;
      if (!piece(*next, part)) return false;
      joined += part;
    }
    out = joined;
    return true;
  }
  bool piece(const Head& head, std::string_view& out) {
    if (head.number > rest_.size()) return refuse("The body ends within a string");
    out = rest_.substr(0, head.number);
    rest_.remove_prefix(head.number);
    return true;
  }
  bool text(const Head& head, std::string_view& out, std::string& joined) {
    if (!string(head, out, joined)) return false;
    for (size_t i = 0; i < out.size();) {
      const size_t length = json::utf8_length(out.substr(i));
      if (length == 0) return refuse("A text string is not UTF-8");
      i += length;
    }
    return true;
  }

  bool value(const Shape& shape, void* object, const Place& place) {
    uint64_t tag = 0;
    Head head;
    return take(head, &tag) && value(head, tag, shape, object, place);
  }

  bool value(const Head& head, uint64_t tag, const Shape& shape, void* object, const Place& place) {
    switch (shape.kind) {
      case Kind::structure:
      case Kind::map:
      case Kind::list: return container(head, shape, object, place);
      case Kind::string:
      case Kind::blob: {
        if (head.major != (shape.kind == Kind::string ? Major::text : Major::bytes)) return refuse_type(head, shape);
        std::string_view content;
        std::string joined;
        if (!(shape.kind == Kind::string ? text(head, content, joined) : string(head, content, joined))) return false;
        static_cast<std::string*>(object)->assign(content);
        return true;
      }
      case Kind::document: {
        std::string& out = static_cast<Document*>(object)->json;
        out.clear();
        json::Writer writer(out);
        return document(head, writer, place.depth + 1);
      }
      case Kind::boolean:
        if (head.major != Major::simple || (head.info != cbor::kFalse && head.info != cbor::kTrue))
          return refuse_type(head, shape);
        *static_cast<bool*>(object) = head.info == cbor::kTrue;
        return true;
      case Kind::timestamp: return (tag == cbor::kEpochTag && number(head, shape, object)) || refuse_type(head, shape);
      default: return number(head, shape, object) || refuse_type(head, shape);
    }
  }

  // Integers, floats and timestamps.
  static bool number(const Head& head, const Shape& shape, void* object) {
    if (head.is_float()) return set_real(cbor::to_double(head), shape, object);
    if (head.major != Major::unsigned_integer && head.major != Major::negative_integer) return false;
    const bool negative = head.major == Major::negative_integer;
    if (head.number > static_cast<uint64_t>(INT64_MAX)) {
      const double magnitude = static_cast<double>(head.number);
      return shape.kind == Kind::real && set_real(negative ? -1 - magnitude : magnitude, shape, object);
    }
    const auto magnitude = static_cast<int64_t>(head.number);
    return set_integer(negative ? -1 - magnitude : magnitude, shape, object);
  }
  static bool set_integer(int64_t value, const Shape& shape, void* object) {
    switch (shape.kind) {
      case Kind::integer:
        if (value < INT32_MIN || value > INT32_MAX) return false;
        *static_cast<int32_t*>(object) = static_cast<int32_t>(value);
        return true;
      case Kind::long_integer: *static_cast<int64_t*>(object) = value; return true;
      default: return set_real(static_cast<double>(value), shape, object);
    }
  }
  static bool set_real(double value, const Shape& shape, void* object) {
    if (shape.kind == Kind::real) {
      *static_cast<double*>(object) = value;
      return true;
    }
    if (shape.kind == Kind::timestamp) {
      if (!(std::abs(value) <= kSecondsMax)) return false;
      *static_cast<TimeMs*>(object) = std::llround(value * 1000);
      return true;
    }
    // Some clients know no integers: a whole number however written is a whole number.
    if (std::trunc(value) != value || !(std::abs(value) <= 9007199254740992.0)) return false;
    return set_integer(static_cast<int64_t>(value), shape, object);
  }

  bool container(const Head& head, const Shape& shape, void* object, const Place& outer) {
    if (head.major != (shape.kind == Kind::list ? Major::array : Major::map)) return refuse_type(head, shape);
    Place place{&outer, shape};
    if (place.depth > depth_max_) return refuse_depth();
    if (shape.kind == Kind::structure) return structure(head, object, place);
    return shape.kind == Kind::list ? list(head, object, place) : map(head, object, place);
  }

  bool structure(const Head& head, void* object, Place& place) {
    uint64_t seen = 0;  // members, by number; the generator sees to it that 64 are enough
    size_t next = 0;
    for (uint64_t entries = 0; more(head, entries); ++entries) {
      std::string_view name;
      std::string joined;
      if (!key(name, joined)) return false;
      const Member* member = find_member(place.shape, name, next);
      uint64_t tag = 0;
      Head head_of_value;
      if (!take(head_of_value, &tag)) return false;
      if (!member) {
        if (!skip(head_of_value, place.depth + 1)) return false;
        continue;
      }
      if (head_of_value.is_null()) continue;  // absent
      place.member = member;
      seen |= uint64_t{1} << (static_cast<size_t>(member - place.shape.members.data()) & 63);
      void* field = static_cast<char*>(object) + member->offset;
      void* content = member->presence ? member->presence->emplace(field) : field;
      if (!value(head_of_value, tag, *member->shape, content, place)) return false;
    }
    note_missing(seen, place);
    return true;
  }

  bool list(const Head& head, void* object, Place& place) {
    // What is required stands in the struct itself: a name that comes twice must not add to it.
    place.shape.vector->clear(object);
    for (; more(head, place.index); ++place.index) {
      if (!count_element()) return false;
      // The body must have the element before there is room for it.
      uint64_t tag = 0;
      Head element;
      if (!take(element, &tag)) return false;
      if (element.is_null() && place.shape.element->kind != Kind::document)
        return refuse("Null found where a list's element was expected");
      if (!value(element, tag, *place.shape.element, place.shape.vector->append(object), place)) return false;
    }
    return true;
  }

  bool map(const Head& head, void* object, Place& place) {
    place.shape.map->clear(object);
    std::string name;
    place.key = &name;
    for (uint64_t entries = 0; more(head, entries); ++entries) {
      if (!count_element()) return false;
      std::string_view view;
      std::string joined;
      if (!key(view, joined)) return false;
      name = view;
      uint64_t tag = 0;
      Head content;
      if (!take(content, &tag)) return false;
      if (content.is_null() && place.shape.element->kind != Kind::document)
        return refuse("Null found where a map's value was expected");
      if (!value(content, tag, *place.shape.element, place.shape.map->emplace(object, name), place)) return false;
    }
    return true;
  }

  bool key(std::string_view& name, std::string& joined) {
    Head head;
    if (!take(head)) return false;
    return head.major == Major::text ? text(head, name, joined) : refuse("A map's key is not a text string");
  }

  // Past a value that nobody knows.
  bool skip(const Head& head, int depth) {
    std::string_view content;
    std::string joined;
    if (head.major == Major::bytes || head.major == Major::text) return string(head, content, joined);
    if (head.major != Major::array && head.major != Major::map) return true;
    if (depth > depth_max_) return refuse_depth();
    for (uint64_t entries = 0; more(head, entries); ++entries) {
      for (int values = head.major == Major::map ? 2 : 1; values > 0; --values) {
        Head inner;
        if (!take(inner) || !skip(inner, depth + 1)) return false;
      }
    }
    return true;
  }

  // JSON of any form out of CBOR of any form.
  bool document(const Head& head, json::Writer& writer, int depth) {
    std::string_view content;
    std::string joined;
    switch (head.major) {
      case Major::unsigned_integer:
      case Major::negative_integer:
        if (head.number > static_cast<uint64_t>(INT64_MAX)) return refuse("A document's integer is too large");
        writer.number(head.major == Major::negative_integer ? -1 - static_cast<int64_t>(head.number)
                                                            : static_cast<int64_t>(head.number));
        return true;
      case Major::text:
        if (!text(head, content, joined)) return false;
        writer.string(content);
        return true;
      case Major::array:
      case Major::map: return document_container(head, writer, depth);
      case Major::simple:
        if (head.is_float()) {
          writer.number(cbor::to_double(head));
        } else if (head.is_null()) {
          writer.null();
        } else if (head.info == cbor::kTrue || head.info == cbor::kFalse) {
          writer.boolean(head.info == cbor::kTrue);
        } else {
          return refuse("A document has a simple value that JSON has not");
        }
        return true;
      default: return refuse("A document has a byte string");
    }
  }
  bool document_container(const Head& head, json::Writer& writer, int depth) {
    if (depth > depth_max_) return refuse_depth();
    const bool is_map = head.major == Major::map;
    is_map ? writer.begin_object() : writer.begin_array();
    for (uint64_t entries = 0; more(head, entries); ++entries) {
      std::string_view name;
      std::string joined;
      if (is_map) {
        if (!key(name, joined)) return false;
        writer.key(name);
      }
      Head inner;
      if (!take(inner) || !document(inner, writer, depth + 1)) return false;
    }
    is_map ? writer.end_object() : writer.end_array();
    return true;
  }

  // [{},{},…] makes structs of a kilobyte and more out of a byte each.
  bool count_element() {
    return ++elements_ <= elements_max_ || refuse(fmt::format("The request has more than {} elements", elements_max_));
  }

  void note_missing(uint64_t seen, const Place& place) {
    if (!missing_) return;
    for (size_t i = 0; i < place.shape.members.size(); ++i) {
      const Member& member = place.shape.members[i];
      if (!member.required || (seen >> (i & 63) & 1)) continue;
      Path path;
      for (const Place* outer = place.outer; outer; outer = outer->outer) path.push_back(step_of(*outer));
      std::reverse(path.begin(), path.end());
      path.push_back({&member});
      missing_->push_back(std::move(path));
    }
  }
  static PathStep step_of(const Place& place) {
    if (place.shape.kind == Kind::structure) return {place.member};
    if (place.shape.kind == Kind::list) return {nullptr, place.index};
    return {nullptr, 0, *place.key};
  }

  bool refuse_type(const Head& head, const Shape& shape) {
    if (!problem_.empty()) return false;
    return refuse(fmt::format("Expected {}, found {}", name_of(shape.kind), name_of(head)));
  }
  bool refuse_depth() { return refuse(fmt::format("The body is nested more than {} deep", depth_max_)); }
  bool refuse(std::string message) {
    problem_ = std::move(message);
    return false;
  }

  std::string_view rest_;
  std::vector<Path>* missing_;
  const int depth_max_;
  const size_t elements_max_;
  size_t elements_ = 0;  // of all lists and maps
  std::string problem_;
};

}  // namespace

tl::expected<void, ReadProblem> read_cbor(std::string_view bytes, const Shape& shape, void* object,
                                          std::vector<Path>* missing, int depth_max, size_t elements_max) {
  if (bytes.empty()) bytes = "\xa0";
  StructReader reader(bytes, missing, depth_max, elements_max);
  if (!reader.root(shape, object)) return tl::unexpected(ReadProblem{reader.problem()});
  return {};
}

}  // namespace berth::model
