#include <fmt/format.h>
#include <nettle/base64.h>

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <cmath>
#include <initializer_list>
#include <limits>

#include "base/clock.h"
#include "base/json.h"
#include "model/json_codec.h"

namespace berth::model {
namespace {

using boost::json::error_code;
using Text = boost::json::string_view;

// Boost's event parser calls this. A stack of frames follows the containers being filled; a subtree that nobody knows is
// counted through, one of any form is written down again as text.
class StructReader {
 public:
  static constexpr size_t max_object_size = SIZE_MAX;
  static constexpr size_t max_array_size = SIZE_MAX;
  static constexpr size_t max_key_size = SIZE_MAX;
  static constexpr size_t max_string_size = SIZE_MAX;

  // With `dropped`, what does not fit is passed over and counted there.
  StructReader(const Shape& shape, void* object, std::vector<Path>* missing, size_t elements_max,
               size_t* dropped = nullptr)
      : root_shape_(shape), root_(object), missing_(missing), elements_max_(elements_max), dropped_(dropped) {}

  const std::string& problem() const { return problem_; }

  bool on_document_begin(error_code&) { return true; }
  bool on_document_end(error_code&) { return true; }

  bool on_object_begin(error_code& error) {
    if (skipped_ > 0) return ++skipped_;
    if (document_depth_ > 0) return document_.begin_object(), ++document_depth_;
    if (dropped_ && !expects({Kind::structure, Kind::map, Kind::document})) return ++*dropped_, ++skipped_;
    Slot slot;
    if (!open_slot(slot)) return skip_container(error);
    if (slot.shape->kind == Kind::document) return start_document(slot, [this] { document_.begin_object(); });
    if (slot.shape->kind != Kind::structure && slot.shape->kind != Kind::map) {
      return refuse(slot.shape->kind == Kind::list ? "Expected list or null"
                                                   : "Start of structure or map found where not expected.",
                    error);
    }
    // What is required stands in the struct itself: a name that comes twice must not add to it.
    if (slot.shape->kind == Kind::map) slot.shape->map->clear(slot.object);
    frames_.push_back({slot.shape, slot.object});
    return true;
  }

  bool on_object_end(size_t, error_code&) {
    if (skipped_ > 0) return --skipped_, true;
    if (document_depth_ > 0) return document_.end_object(), end_document_level();
    note_missing();
    frames_.pop_back();
    return true;
  }

  bool on_array_begin(error_code& error) {
    if (skipped_ > 0) return ++skipped_;
    if (document_depth_ > 0) return document_.begin_array(), ++document_depth_;
    if (dropped_ && !expects({Kind::list, Kind::document})) return ++*dropped_, ++skipped_;
    Slot slot;
    if (frames_.empty()) return refuse("Expected structure", error);
    if (!open_slot(slot)) return skip_container(error);
    if (slot.shape->kind == Kind::document) return start_document(slot, [this] { document_.begin_array(); });
    if (slot.shape->kind != Kind::list) return refuse("Start of list found where not expected", error);
    slot.shape->vector->clear(slot.object);
    frames_.push_back({slot.shape, slot.object});
    return true;
  }

  bool on_array_end(size_t, error_code&) {
    if (skipped_ > 0) return --skipped_, true;
    if (document_depth_ > 0) return document_.end_array(), end_document_level();
    frames_.pop_back();
    return true;
  }

  bool on_key_part(Text part, size_t, error_code&) {
    text_.append(part.data(), part.size());
    return true;
  }
  bool on_key(Text part, size_t, error_code&) {
    std::string_view name(part.data(), part.size());
    if (!text_.empty()) name = text_.append(part.data(), part.size());
    if (document_depth_ > 0) {
      document_.key(name);
    } else if (skipped_ == 0) {
      Frame& frame = frames_.back();
      if (frame.shape->kind == Kind::map) {
        frame.key = name;
      } else {
        frame.member = find_member(*frame.shape, name, frame.next);
      }
    }
    text_.clear();
    return true;
  }

  bool on_string_part(Text part, size_t, error_code&) {
    text_.append(part.data(), part.size());
    return true;
  }
  bool on_string(Text part, size_t, error_code& error) {
    text_.append(part.data(), part.size());
    const bool good = set_string(error);
    text_.clear();
    return good;
  }

  bool on_number_part(Text, error_code&) { return true; }
  bool on_int64(int64_t value, Text, error_code& error) {
    return scalar(
        "NUMBER_VALUE", error, [&] { document_.number(value); },
        [&](const Slot& slot) {
          switch (slot.shape->kind) {
            case Kind::integer:
              if (value < INT32_MIN || value > INT32_MAX) return false;
              *static_cast<int32_t*>(slot.object) = static_cast<int32_t>(value);
              return true;
            case Kind::long_integer: *static_cast<int64_t*>(slot.object) = value; return true;
            case Kind::real: *static_cast<double*>(slot.object) = static_cast<double>(value); return true;
            case Kind::timestamp:
              if (std::abs(static_cast<double>(value)) > kSecondsMax) return false;
              *static_cast<TimeMs*>(slot.object) = value * 1000;
              return true;
            default: return false;
          }
        });
  }
  bool on_uint64(uint64_t value, Text text, error_code& error) {
    return on_double(static_cast<double>(value), text, error);
  }
  bool on_double(double value, Text, error_code& error) {
    return scalar(
        "NUMBER_VALUE", error, [&] { document_.number(value); },
        [&](const Slot& slot) {
          // Some clients write 1e3: a whole number however written is a whole number.
          const bool whole = std::trunc(value) == value;
          switch (slot.shape->kind) {
            case Kind::integer:
              if (!whole || value < INT32_MIN || value > INT32_MAX) return false;
              *static_cast<int32_t*>(slot.object) = static_cast<int32_t>(value);
              return true;
            case Kind::long_integer:
              if (!whole || std::abs(value) > 9007199254740992.0) return false;
              *static_cast<int64_t*>(slot.object) = static_cast<int64_t>(value);
              return true;
            case Kind::real: *static_cast<double*>(slot.object) = value; return true;
            case Kind::timestamp:
              if (std::abs(value) > kSecondsMax) return false;
              *static_cast<TimeMs*>(slot.object) = std::llround(value * 1000);
              return true;
            default: return false;
          }
        });
  }
  bool on_bool(bool value, error_code& error) {
    return scalar(
        value ? "TRUE_VALUE" : "FALSE_VALUE", error, [&] { document_.boolean(value); },
        [&](const Slot& slot) {
          if (slot.shape->kind != Kind::boolean) return false;
          *static_cast<bool*>(slot.object) = value;
          return true;
        });
  }
  bool on_null(error_code& error) {
    if (skipped_ > 0) return true;
    if (document_depth_ > 0) return document_.null(), true;
    if (dropped_) return *dropped_ += !frames_.empty() && frames_.back().shape->kind == Kind::structure ? 0 : 1, true;
    if (frames_.empty()) return refuse("Expected structure, not null", error);
    if (frames_.back().shape->kind == Kind::list)
      return refuse("Null found where a list's element was expected", error);
    if (frames_.back().shape->kind == Kind::map) return refuse("Null found where a map's value was expected", error);
    return true;  // absent
  }
  bool on_comment_part(Text, error_code&) { return true; }
  bool on_comment(Text, error_code&) { return true; }

 private:
  static constexpr double kSecondsMax = 253402300799.0;  // the year 9999

  struct Frame {
    const Shape* shape;
    void* object;
    const Member* member = nullptr;  // the last key's; null: unknown
    size_t next = 0;                 // where the next key is looked for first: clients keep the model's order
    uint64_t seen = 0;               // members, by number; the generator sees to it that 64 are enough
    std::string key = {};
  };
  struct Slot {
    const Shape* shape = nullptr;
    void* object = nullptr;
  };

  // The place of the value that begins now, made if it must be. False: nobody knows it, or there is no room for more.
  bool open_slot(Slot& slot) {
    if (frames_.empty()) {
      slot = {&root_shape_, root_};
      return true;
    }
    Frame& frame = frames_.back();
    // "[{},{},…]" makes structs of a kilobyte and more out of three bytes each.
    if (frame.shape->kind != Kind::structure && ++elements_ > elements_max_) return false;
    if (frame.shape->kind == Kind::list) {
      slot = {frame.shape->element, frame.shape->vector->append(frame.object)};
      return true;
    }
    if (frame.shape->kind == Kind::map) {
      slot = {frame.shape->element, frame.shape->map->emplace(frame.object, frame.key)};
      return true;
    }
    if (!frame.member) return false;
    const Member& member = *frame.member;
    frame.seen |= uint64_t{1} << (static_cast<size_t>(&member - frame.shape->members.data()) & 63);
    void* place = static_cast<char*>(frame.object) + member.offset;
    slot = {member.shape, member.presence ? member.presence->emplace(place) : place};
    return true;
  }

  // The shape of the value that begins now, null where nobody knows it.
  const Shape* expected() const {
    if (frames_.empty()) return &root_shape_;
    const Frame& frame = frames_.back();
    if (frame.shape->kind != Kind::structure) return frame.shape->element;
    return frame.member ? frame.member->shape : nullptr;
  }
  bool expects(std::initializer_list<Kind> kinds) const {
    const Shape* shape = expected();
    return shape && std::find(kinds.begin(), kinds.end(), shape->kind) != kinds.end();
  }

  // Whether a scalar can be put where one is expected: tried on a value beside the struct, which stays as it is.
  template <class Set>
  bool fits(Set set) const {
    const Shape* shape = expected();
    if (!shape) return false;
    std::string text;
    int32_t integer = 0;
    int64_t long_integer = 0;
    double real = 0;
    bool boolean = false;
    switch (shape->kind) {
      case Kind::string:
      case Kind::blob: return set(Slot{shape, &text});
      case Kind::integer: return set(Slot{shape, &integer});
      case Kind::long_integer:
      case Kind::timestamp: return set(Slot{shape, &long_integer});
      case Kind::real: return set(Slot{shape, &real});
      case Kind::boolean: return set(Slot{shape, &boolean});
      default: return shape->kind == Kind::document;
    }
  }

  template <class Write, class Set>
  bool scalar(const char* token, error_code& error, Write write, Set set) {
    if (skipped_ > 0) return true;
    if (document_depth_ > 0) return write(), true;
    if (dropped_ && !fits(set)) return ++*dropped_, true;
    if (frames_.empty()) return refuse("Expected structure", error);
    Slot slot;
    if (!open_slot(slot)) return !too_many(error);
    if (slot.shape->kind == Kind::document) {
      auto* document = static_cast<Document*>(slot.object);
      document_text_.clear();
      document_ = json::Writer(document_text_);
      write();
      document->json = document_text_;
      return true;
    }
    return set(slot) || refuse_token(token, *slot.shape, error);
  }

  bool set_string(error_code& error) {
    return scalar(
        "STRING_VALUE", error, [&] { document_.string(text_); },
        [&](const Slot& slot) {
          if (slot.shape->kind == Kind::string) {
            *static_cast<std::string*>(slot.object) = text_;
            return true;
          }
          return slot.shape->kind == Kind::blob && decode_base64(*static_cast<std::string*>(slot.object));
        });
  }

  bool decode_base64(std::string& out) {
    base64_decode_ctx context;
    base64_decode_init(&context);
    out.resize(BASE64_DECODE_LENGTH(text_.size()));
    size_t length = out.size();
    if (!base64_decode_update(&context, &length, reinterpret_cast<uint8_t*>(out.data()), text_.size(), text_.data()))
      return false;
    if (!base64_decode_final(&context)) return false;
    out.resize(length);
    return true;
  }

  template <class Begin>
  bool start_document(const Slot& slot, Begin begin) {
    document_into_ = static_cast<Document*>(slot.object);
    document_text_.clear();
    document_ = json::Writer(document_text_);
    document_depth_ = 1;
    begin();
    return true;
  }
  bool end_document_level() {
    if (--document_depth_ == 0) document_into_->json = document_text_;
    return true;
  }

  bool too_many(error_code& error) {
    if (elements_ <= elements_max_) return false;
    refuse(fmt::format("The request has more than {} elements", elements_max_), error);
    return true;
  }
  bool skip_container(error_code& error) { return !too_many(error) && ++skipped_; }

  bool refuse_token(const char* token, const Shape& shape, error_code& error) {
    switch (shape.kind) {
      case Kind::string: return refuse(fmt::format("{} can not be converted to a String", token), error);
      case Kind::blob: return refuse(fmt::format("{} can not be converted to a Blob", token), error);
      case Kind::integer: return refuse(fmt::format("{} can not be converted to an Integer", token), error);
      case Kind::long_integer: return refuse(fmt::format("{} can not be converted to a Long", token), error);
      case Kind::real: return refuse(fmt::format("{} can not be converted to a Double", token), error);
      case Kind::boolean: return refuse(fmt::format("{} can not be converted to a Boolean", token), error);
      case Kind::timestamp:
        return refuse(fmt::format("{} can not be converted to milliseconds since epoch", token), error);
      case Kind::list: return refuse("Expected list or null", error);
      case Kind::map: return refuse("Expected map or null", error);
      default: return refuse("Expected structure or null", error);
    }
  }
  bool refuse(std::string message, error_code& error) {
    problem_ = std::move(message);
    error = boost::json::error::syntax;
    return false;
  }

  void note_missing() {
    const Frame& frame = frames_.back();
    if (!missing_ || frame.shape->kind != Kind::structure) return;
    for (size_t i = 0; i < frame.shape->members.size(); ++i) {
      const Member& member = frame.shape->members[i];
      if (!member.required || (frame.seen >> (i & 63) & 1)) continue;
      Path path;
      for (const Frame& outer : frames_) {
        if (&outer == &frame) break;
        if (outer.shape->kind == Kind::structure) path.push_back({outer.member});
        if (outer.shape->kind == Kind::list) path.push_back({nullptr, outer.shape->vector->size(outer.object) - 1});
        if (outer.shape->kind == Kind::map) path.push_back({nullptr, 0, outer.key});
      }
      path.push_back({&member});
      missing_->push_back(std::move(path));
    }
  }

  const Shape& root_shape_;
  void* root_;
  std::vector<Path>* missing_;
  const size_t elements_max_;
  size_t* const dropped_;
  std::vector<Frame> frames_;
  std::string text_;
  std::string problem_;
  size_t skipped_ = 0;   // depth within a subtree that nobody knows
  size_t elements_ = 0;  // of all lists and maps
  std::string document_text_;
  json::Writer document_{document_text_};
  size_t document_depth_ = 0;
  Document* document_into_ = nullptr;
};

}  // namespace

std::string to_string(const Path& path) {
  std::string out;
  for (const PathStep& step : path) {
    if (step.member) {
      if (!out.empty()) out += '.';
      out += step.member->name;
    } else if (!step.key.empty()) {
      out.append(".").append(step.key);
    } else {
      out += fmt::format("[{}]", step.index);
    }
  }
  return out;
}

tl::expected<void, ReadProblem> read_json(std::string_view text, const Shape& shape, void* object,
                                          std::vector<Path>* missing, int depth_max, size_t elements_max) {
  if (text.empty()) text = "{}";
  boost::json::parse_options options;
  options.max_depth = static_cast<size_t>(depth_max);
  boost::json::basic_parser<StructReader> parser(options, shape, object, missing, elements_max);
  error_code error;
  const size_t used = parser.write_some(false, text.data(), text.size(), error);
  if (!parser.handler().problem().empty()) return tl::unexpected(ReadProblem{parser.handler().problem()});
  if (error)
    return tl::unexpected(ReadProblem{fmt::format("The body is not JSON: {} at byte {}", error.message(), used)});
  if (used < text.size()) {
    return tl::unexpected(
        ReadProblem{fmt::format("The body is not JSON: more text after the value, at byte {}", used)});
  }
  return {};
}

size_t read_json_that_fits(std::string_view text, const Shape& shape, void* object) {
  if (text.empty()) return 0;
  size_t dropped = 0;
  boost::json::parse_options options;
  options.max_depth = limits::kJsonDepthMax;
  boost::json::basic_parser<StructReader> parser(options, shape, object, nullptr, SIZE_MAX, &dropped);
  error_code error;
  const size_t used = parser.write_some(false, text.data(), text.size(), error);
  return dropped + (error || used < text.size() ? 1 : 0);
}

}  // namespace berth::model
