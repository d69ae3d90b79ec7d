#include "model/fill.h"

#include <algorithm>
#include <array>

#include "base/assert.h"
#include "base/clock.h"

namespace berth::model {
namespace {

constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz0123456789";

class Filler {
 public:
  Filler(Random& random, const FillOptions& options) : random_(random), options_(options) {}

  void value(const Shape& shape, void* object) {
    switch (shape.kind) {
      case Kind::string: *static_cast<std::string*>(object) = text(shape); break;
      case Kind::blob: *static_cast<std::string*>(object) = text(shape) + '\xff'; break;
      case Kind::integer: *static_cast<int32_t*>(object) = static_cast<int32_t>(number(shape)); break;
      case Kind::long_integer: *static_cast<int64_t*>(object) = number(shape); break;
      case Kind::real: *static_cast<double*>(object) = static_cast<double>(number(shape)) + 0.5; break;
      case Kind::boolean: *static_cast<bool*>(object) = random_.chance(50); break;
      case Kind::timestamp:
        *static_cast<TimeMs*>(object) = 1'700'000'000'000 + static_cast<TimeMs>(random_.below(1'000'000'000));
        break;
      case Kind::document: static_cast<Document*>(object)->json = R"({"a":[1,"x",null,true,2.5]})"; break;
      case Kind::structure: structure(shape, object); break;
      case Kind::list: {
        const size_t length = count(shape);
        for (size_t i = 0; i < length; ++i) value(*shape.element, shape.vector->append(object));
        break;
      }
      case Kind::map: {
        auto& map = *static_cast<StringMap*>(object);
        const size_t length = count(shape);
        for (int tries = 0; map.size() < length && tries < 1000; ++tries) map[text(*shape.key)] = text(*shape.element);
        break;
      }
    }
  }

 private:
  void structure(const Shape& shape, void* object) {
    if (++depth_ > 16) {  // a recursive shape
      --depth_;
      return;
    }
    for (const Member& member : shape.members) {
      const bool refused = member.member_class == MemberClass::refused && !options_.refused_too;
      if (refused && member.allowed.empty()) continue;  // a required list stays empty, which is not refused
      if (options_.skip && !member.required && options_.skip(shape, member)) continue;
      void* place = static_cast<char*>(object) + member.offset;
      void* content = member.presence ? member.presence->emplace(place) : place;
      if (refused && !member.allowed.empty()) {
        allowed(member, content);
      } else {
        value(*member.shape, content);
      }
    }
    --depth_;
  }

  // The first of the values that are served.
  void allowed(const Member& member, void* content) {
    const std::string_view text = member.allowed.front();
    switch (member.shape->kind) {
      case Kind::string: *static_cast<std::string*>(content) = text; break;
      case Kind::boolean: *static_cast<bool*>(content) = text == "true"; break;
      case Kind::integer: *static_cast<int32_t*>(content) = static_cast<int32_t>(std::stol(std::string(text))); break;
      default: BERTH_ASSERT(!"the manifest allows values of strings, booleans and integers only");
    }
  }

  size_t count(const Shape& shape) const {
    size_t length = options_.list_length;
    if (shape.min != kNoMinimum) length = std::max(length, static_cast<size_t>(shape.min));
    if (shape.max != kNoMaximum) length = std::min(length, static_cast<size_t>(shape.max));
    return length;
  }

  int64_t number(const Shape& shape) {
    const int64_t least = shape.min == kNoMinimum ? 1 : shape.min;
    const int64_t most = shape.max == kNoMaximum ? std::max<int64_t>(least, 1) + 1000 : shape.max;
    return least +
           static_cast<int64_t>(random_.below(static_cast<uint64_t>(std::min<int64_t>(most - least, 1'000'000)) + 1));
  }

  std::string text(const Shape& shape) {
    if (!shape.enumeration.empty()) return std::string(shape.enumeration[random_.below(shape.enumeration.size())]);
    const size_t least = shape.min == kNoMinimum ? 1 : static_cast<size_t>(std::max<int64_t>(shape.min, 1));
    const size_t most = shape.max == kNoMaximum ? least + 12 : std::min(static_cast<size_t>(shape.max), least + 12);
    if (shape.pattern) return text_for(*shape.pattern, least, most, random_);
    std::string out;
    for (size_t length = least + random_.below(most - least + 1); out.size() < length;) {
      out += kLetters[random_.below(kLetters.size())];
    }
    return out;
  }

  Random& random_;
  const FillOptions& options_;
  int depth_ = 0;
};

}  // namespace

std::string text_for(const Pattern& pattern, size_t min, size_t max, Random& random) {
  // Random walks over letters and digits first, then over anything printable.
  for (int tries = 0; tries < 2000; ++tries) {
    std::string out;
    uint32_t state = 1;
    while (out.size() < max && !(out.size() >= min && pattern.accepting[state] && random.chance(30))) {
      std::string choices;
      for (int c = 0x21; c < 0x7f; ++c) {
        const bool letter = kLetters.find(static_cast<char>(c)) != kLetters.npos;
        if (pattern.next[state * pattern.classes + pattern.byte_class[c]] != 0 && (letter || tries % 2 == 1))
          choices += static_cast<char>(c);
      }
      if (choices.empty()) break;
      const char c = choices[random.below(choices.size())];
      out += c;
      state = pattern.next[state * pattern.classes + pattern.byte_class[static_cast<uint8_t>(c)]];
    }
    if (out.size() >= min && pattern.accepting[state]) return out;
  }
  BERTH_ASSERT(!"no text was found for a pattern");
}

void fill(const Shape& shape, void* object, Random& random, const FillOptions& options) {
  Filler(random, options).value(shape, object);
}

}  // namespace berth::model
