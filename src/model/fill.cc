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
        const size_t length = count(shape);
        for (int tries = 0; shape.map->size(object) < length && tries < 1000; ++tries)
          value(*shape.element, shape.map->emplace(object, text(*shape.key)));
        break;
      }
    }
  }

 private:
  void structure(const Shape& shape, void* object) {
    if (std::ranges::count(open_, &shape) > 1) return;  // a recursive shape
    open_.push_back(&shape);
    const Member* chosen = shape.is_union ? choose(shape) : nullptr;
    for (const Member& member : shape.members) {
      if (shape.is_union && &member != chosen) continue;
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
    open_.pop_back();
  }

  // One of a union's members that is not refused.
  const Member* choose(const Shape& shape) {
    std::vector<const Member*> choices;
    for (const Member& member : shape.members) {
      if (member.member_class != MemberClass::refused || options_.refused_too) choices.push_back(&member);
    }
    return choices.empty() ? nullptr : choices[random_.below(choices.size())];
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
    const size_t bound = shape.max == kNoMaximum ? SIZE_MAX : static_cast<size_t>(shape.max);
    if (shape.pattern) return text_for(*shape.pattern, least, bound, random_);
    const size_t most = std::min(bound, least + 12);
    std::string out;
    for (size_t length = least + random_.below(most - least + 1); out.size() < length;) {
      out += kLetters[random_.below(kLetters.size())];
    }
    return out;
  }

  Random& random_;
  const FillOptions& options_;
  std::vector<const Shape*> open_ = {};
};

}  // namespace

namespace {

// The fewest printable characters from each state to one that accepts.
std::vector<size_t> distances(const Pattern& pattern, size_t states) {
  std::vector<size_t> out(states, SIZE_MAX);
  for (size_t state = 1; state < states; ++state) {
    if (pattern.accepting[state]) out[state] = 0;
  }
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t state = 1; state < states; ++state) {
      for (int c = 0x21; c < 0x7f; ++c) {
        const size_t next = out[pattern.next[state * pattern.classes + pattern.byte_class[c]]];
        if (next == SIZE_MAX || next + 1 >= out[state]) continue;
        out[state] = next + 1;
        changed = true;
      }
    }
  }
  return out;
}

size_t states_of(const Pattern& pattern) {
  size_t last = 1;
  for (size_t state = 1; state <= last; ++state) {
    for (uint32_t c = 0; c < pattern.classes; ++c)
      last = std::max<size_t>(last, pattern.next[state * pattern.classes + c]);
  }
  return last + 1;
}

}  // namespace

std::string text_for(const Pattern& pattern, size_t min, size_t max, Random& random) {
  const std::vector<size_t> to_go = distances(pattern, states_of(pattern));
  // Random walks over letters and digits first, then over anything printable. From where the walk is at most to be
  // twelve characters longer than it must, it goes straight to the next accepting state.
  for (int tries = 0; tries < 2000; ++tries) {
    std::string out;
    size_t state = 1;
    while (out.size() < max && !(out.size() >= min && pattern.accepting[state] && random.chance(30))) {
      const bool straight = out.size() >= min + 12 && to_go[state] > 0;
      std::string choices;
      for (int c = 0x21; c < 0x7f; ++c) {
        const size_t next = pattern.next[state * pattern.classes + pattern.byte_class[c]];
        if (to_go[next] == SIZE_MAX || out.size() + 1 + to_go[next] > max) continue;
        if (straight && to_go[next] >= to_go[state]) continue;
        const bool letter = kLetters.find(static_cast<char>(c)) != kLetters.npos;
        if (letter || tries % 2 == 1 || straight) choices += static_cast<char>(c);
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
