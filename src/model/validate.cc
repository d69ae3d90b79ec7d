#include "model/validate.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/clock.h"
#include "base/json.h"

namespace berth::model {
namespace {

constexpr size_t kViolationsMax = 10;    // enough to tell; a body of a megabyte could hold a million
constexpr size_t kShownValueMax = 1024;  // bytes of the caller's value that an answer repeats

struct Violation {
  enum class Kind { missing, length, range, pattern, enumeration, map_key, one_of } kind;
  Path path;
  const Shape* shape = nullptr;
  const void* value = nullptr;
};

size_t characters(std::string_view text) {
  return static_cast<size_t>(std::ranges::count_if(text, [](char c) { return (c & 0xc0) != 0x80; }));
}

// Text as in JSON but strings bare at the top: what people compare with what they sent.
std::string shown(const Shape& shape, const void* value) {
  std::string out;
  if (shape.kind == Kind::string) {
    out = *static_cast<const std::string*>(value);
  } else {
    append_json(out, shape, value);
  }
  if (out.size() > kShownValueMax) {
    size_t end = kShownValueMax;
    while (end > 0 && (out[end] & 0xc0) == 0x80) --end;  // not within a character
    out.resize(end);
    out += "…";
  }
  return out;
}

bool is_empty(const Shape& shape, const void* value) {
  if (shape.kind == Kind::list) return shape.vector->size(value) == 0;
  if (shape.kind == Kind::map) return shape.map->size(value) == 0;
  return false;
}

bool is_refused(const Member& member, const void* value) {
  if (is_empty(*member.shape, value)) return false;  // clients send empty lists for what their user left out
  if (member.allowed.empty()) return true;
  const std::string text = shown(*member.shape, value);
  return std::ranges::find(member.allowed, text) == member.allowed.end();
}

// The value of a member, null when absent. Ready-made JSON is only ever in answers.
const void* value_of(const Member& member, const void* object) {
  const void* place = static_cast<const char*>(object) + member.offset;
  return member.presence ? member.presence->get(place) : place;
}

class Checker {
 public:
  explicit Checker(std::vector<Violation>& violations) : violations_(violations) {}

  const std::string& refusal() const { return refusal_; }

  void check(const Shape& shape, const void* value) {
    if (!shape.validated || violations_.size() >= kViolationsMax) return;
    switch (shape.kind) {
      case Kind::structure: check_members(shape, value); break;
      case Kind::list: check_list(shape, value); break;
      case Kind::map: check_map(shape, value); break;
      case Kind::string: check_string(shape, value, *static_cast<const std::string*>(value)); break;
      case Kind::integer: check_range(shape, value, *static_cast<const int32_t*>(value)); break;
      case Kind::long_integer: check_range(shape, value, *static_cast<const int64_t*>(value)); break;
      case Kind::real: {
        const double number = *static_cast<const double*>(value);
        if ((shape.min != kNoMinimum && number < static_cast<double>(shape.min)) ||
            (shape.max != kNoMaximum && number > static_cast<double>(shape.max))) {
          add(Violation::Kind::range, shape, value);
        }
        break;
      }
      default: break;
    }
  }

 private:
  void add(Violation::Kind kind, const Shape& shape, const void* value) {
    violations_.push_back({kind, path_, &shape, value});
  }

  void check_members(const Shape& shape, const void* object) {
    size_t present = 0;
    for (const Member& member : shape.members) {
      const void* value = value_of(member, object);
      if (!value) continue;
      ++present;
      path_.push_back({&member});
      if (member.member_class == MemberClass::refused && is_refused(member, value)) {
        if (refusal_.empty()) refusal_ = member.refusal;  // whatever else may be wrong in there
      } else {
        check(*member.shape, value);
      }
      path_.pop_back();
    }
    if (shape.is_union && present != 1) add(Violation::Kind::one_of, shape, object);
  }

  void check_list(const Shape& shape, const void* value) {
    const size_t size = shape.vector->size(value);
    check_length(shape, value, size);
    if (!shape.element->validated) return;
    const char* element = static_cast<const char*>(shape.vector->data(value));
    for (size_t i = 0; i < size && violations_.size() < kViolationsMax; ++i, element += shape.vector->stride) {
      path_.push_back({nullptr, i});
      check(*shape.element, element);
      path_.pop_back();
    }
  }

  void check_map(const Shape& shape, const void* value) {
    check_length(shape, value, shape.map->size(value));
    for_each_entry(shape, value, [&](const std::string& key, const void* content) {
      path_.push_back({nullptr, 0, key});
      const size_t before = violations_.size();
      check(*shape.key, &key);
      if (violations_.size() > before) violations_.back().kind = Violation::Kind::map_key;
      check(*shape.element, content);
      path_.pop_back();
    });
  }

  void check_string(const Shape& shape, const void* value, const std::string& text) {
    check_length(shape, value, characters(text));
    if (shape.pattern && !matches(*shape.pattern, text)) add(Violation::Kind::pattern, shape, value);
    if (!shape.enumeration.empty() && std::ranges::find(shape.enumeration, text) == shape.enumeration.end()) {
      add(Violation::Kind::enumeration, shape, value);
    }
  }

  void check_length(const Shape& shape, const void* value, size_t length) {
    if ((shape.min != kNoMinimum && length < static_cast<uint64_t>(std::max<int64_t>(shape.min, 0))) ||
        (shape.max != kNoMaximum && length > static_cast<uint64_t>(shape.max))) {
      add(Violation::Kind::length, shape, value);
    }
  }

  void check_range(const Shape& shape, const void* value, int64_t number) {
    if (number < shape.min || number > shape.max) add(Violation::Kind::range, shape, value);
  }

  std::vector<Violation>& violations_;
  Path path_;
  std::string refusal_;
};

std::string enumeration_text(const Shape& shape, std::string_view separator) {
  return fmt::format("[{}]", fmt::join(shape.enumeration, separator));
}

// ---- smithy: as CloudWatch Logs, STS and most newer services say it

// tags.1.member.key: elements count from 1, and names begin with a small letter whatever the model has.
std::string smithy_path(const Path& path) {
  std::string out;
  for (const PathStep& step : path) {
    if (!out.empty()) out += '.';
    if (step.member) {
      const char first = step.member->name.front();
      out += first >= 'A' && first <= 'Z' ? static_cast<char>(first + 32) : first;
      out += step.member->name.substr(1);
    } else if (!step.key.empty()) {
      out += step.key;
    } else {
      out += fmt::format("{}.member", step.index + 1);
    }
  }
  return out;
}

std::string smithy_constraint(const Violation& violation) {
  if (violation.kind == Violation::Kind::missing) return "Member must not be null";
  const Shape& shape = *violation.shape;
  switch (violation.kind) {
    case Violation::Kind::length: {
      const size_t length = shape.kind == Kind::list  ? shape.vector->size(violation.value)
                            : shape.kind == Kind::map ? shape.map->size(violation.value)
                                                      : characters(*static_cast<const std::string*>(violation.value));
      if (shape.min != kNoMinimum && length < static_cast<uint64_t>(shape.min)) {
        return fmt::format("Member must have length greater than or equal to {}", shape.min);
      }
      return fmt::format("Member must have length less than or equal to {}", shape.max);
    }
    case Violation::Kind::range: {
      const double number = shape.kind == Kind::integer ? *static_cast<const int32_t*>(violation.value)
                            : shape.kind == Kind::long_integer
                                ? static_cast<double>(*static_cast<const int64_t*>(violation.value))
                                : *static_cast<const double*>(violation.value);
      if (shape.min != kNoMinimum && number < static_cast<double>(shape.min)) {
        return fmt::format("Member must have value greater than or equal to {}", shape.min);
      }
      return fmt::format("Member must have value less than or equal to {}", shape.max);
    }
    case Violation::Kind::pattern:
      return fmt::format("Member must satisfy regular expression pattern: {}", shape.pattern->text);
    case Violation::Kind::enumeration:
      return fmt::format("Member must satisfy enum value set: {}", enumeration_text(shape, ", "));
    case Violation::Kind::map_key:
      return "Map keys must satisfy constraint: [Member must satisfy the key's constraints]";
    case Violation::Kind::one_of: return "Member must have exactly one member set";
    case Violation::Kind::missing: break;
  }
  return {};
}

std::string smithy_text(const std::vector<Violation>& violations) {
  std::string out =
      fmt::format("{} validation error{} detected: ", violations.size(), violations.size() == 1 ? "" : "s");
  for (size_t i = 0; i < violations.size(); ++i) {
    const Violation& violation = violations[i];
    if (i) out += "; ";
    if (violation.kind == Violation::Kind::missing) {
      out += fmt::format("Value null at '{}'", smithy_path(violation.path));
    } else {
      out += fmt::format("Value '{}' at '{}'", shown(*violation.shape, violation.value), smithy_path(violation.path));
    }
    out += fmt::format(" failed to satisfy constraint: {}", smithy_constraint(violation));
  }
  return out;
}

// ---- ecs

// taskDefinition -> "task definition" or "Task Definition"; deep members keep their path, which says more than words.
std::string words(const Path& path, bool capitals) {
  if (path.size() > 1) return to_string(path);
  std::string out;
  for (const char c : path.front().member->name) {
    const bool upper = c >= 'A' && c <= 'Z';
    if (upper && !out.empty()) out += ' ';
    const char lower = upper ? static_cast<char>(c + 32) : c;
    const bool start = out.empty() || out.back() == ' ';
    out += capitals && start ? static_cast<char>(lower >= 'a' && lower <= 'z' ? lower - 32 : lower) : lower;
  }
  return out;
}

std::string ecs_bounds(const Shape& shape, std::string_view unit) {
  if (shape.min == kNoMinimum) return fmt::format("at most {}{}", shape.max, unit);
  if (shape.max == kNoMaximum) return fmt::format("at least {}{}", shape.min, unit);
  return fmt::format("between {} and {}{}", shape.min, shape.max, unit);
}

std::string ecs_text(const Violation& violation) {
  const Shape* shape = violation.shape;
  switch (violation.kind) {
    case Violation::Kind::missing:
      return violation.path.back().member->shape->kind == Kind::string
                 ? words(violation.path, true) + " can not be blank."
                 : words(violation.path, true) + " cannot be empty.";
    case Violation::Kind::length:
      if (shape->kind == Kind::list && shape->vector->size(violation.value) > 0) {
        return fmt::format("{} can have at most {} items.", words(violation.path, false), shape->max);
      }
      if (shape->kind == Kind::list) return words(violation.path, true) + " cannot be empty.";
      return fmt::format("{} must have {}.", words(violation.path, false), ecs_bounds(*shape, " characters"));
    case Violation::Kind::range:
      return fmt::format("{} must be {}, but was {}.", words(violation.path, false), ecs_bounds(*shape, ""),
                         shown(*shape, violation.value));
    case Violation::Kind::pattern:
    case Violation::Kind::map_key:
      return fmt::format("{} must match {}, but was {}", words(violation.path, true),
                         shape->pattern ? shape->pattern->text : "", shown(*shape, violation.value));
    case Violation::Kind::enumeration:
      return fmt::format("{} should be one of {}", words(violation.path, false), enumeration_text(*shape, ","));
    case Violation::Kind::one_of:
      return fmt::format("Exactly one member of {} must be set.", words(violation.path, false));
  }
  return {};
}

// ---- ec2

ApiError ec2_error(const Operation& operation, const Violation& violation) {
  std::string name;
  for (const PathStep& step : violation.path) {
    if (!name.empty()) name += '.';
    name += step.member ? std::string(step.member->query_key) : std::to_string(step.index + 1);
  }
  if (violation.kind == Violation::Kind::missing) {
    return {"MissingParameter", fmt::format("The request must contain the parameter {}", name)};
  }
  const Shape& shape = *violation.shape;
  const std::string value = shown(shape, violation.value);
  if (violation.kind == Violation::Kind::enumeration) {
    return {std::string(operation.validation_error),
            fmt::format("Value ({}) for parameter {} is invalid. Valid values: {}", value, name,
                        fmt::join(shape.enumeration, ", "))};
  }
  return {std::string(operation.validation_error),
          fmt::format("Value ({}) for parameter {} is invalid. {}", value, name, smithy_constraint(violation))};
}

void find_refused(const Shape& shape, const void* value, std::vector<std::string>& out) {
  if (shape.kind == Kind::list) {
    const char* element = static_cast<const char*>(shape.vector->data(value));
    const size_t size = shape.vector->size(value);
    for (size_t i = 0; i < size; ++i, element += shape.vector->stride) find_refused(*shape.element, element, out);
  }
  if (shape.kind == Kind::map)
    for_each_entry(shape, value,
                   [&](const std::string&, const void* content) { find_refused(*shape.element, content, out); });
  if (shape.kind != Kind::structure) return;
  for (const Member& member : shape.members) {
    const void* content = value_of(member, value);
    if (!content) continue;
    if (member.member_class == MemberClass::refused_at_run && is_refused(member, content)) {
      if (std::ranges::find(out, member.refusal) == out.end()) out.emplace_back(member.refusal);
    } else {
      find_refused(*member.shape, content, out);
    }
  }
}

}  // namespace

std::optional<ApiError> validate(const Operation& operation, const void* input, const std::vector<Path>& missing) {
  std::vector<Violation> violations;
  for (const Path& path : missing) {
    // What is absent from something refused whole does not matter.
    if (std::any_of(path.begin(), path.end() - 1, [](const PathStep& step) {
          return step.member && step.member->member_class == MemberClass::refused && step.member->allowed.empty();
        })) {
      continue;
    }
    if (violations.size() < kViolationsMax) violations.push_back({Violation::Kind::missing, path});
  }
  Checker checker(violations);
  if (violations.empty()) checker.check(*operation.input, input);
  if (!violations.empty()) {
    switch (operation.service->validation_style) {
      case ValidationStyle::ecs: return ApiError{std::string(operation.validation_error), ecs_text(violations.front())};
      case ValidationStyle::smithy: return ApiError{std::string(operation.validation_error), smithy_text(violations)};
      case ValidationStyle::ec2: return ec2_error(operation, violations.front());
    }
  }
  if (!checker.refusal().empty()) return ApiError{std::string(operation.refusal_error), checker.refusal()};
  return std::nullopt;
}

std::vector<std::string> refused_at_run(const Shape& shape, const void* object) {
  std::vector<std::string> out;
  find_refused(shape, object, out);
  return out;
}

}  // namespace berth::model
