#include "wire/query/form.h"

#include <fmt/format.h>
#include <nettle/base64.h>

#include <algorithm>
#include <charconv>

#include "base/clock.h"
#include "base/limits.h"
#include "wire/query/time.h"

namespace berth::wire {
namespace {

using model::Kind;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string decoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      out += ' ';
    } else if (text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0) {
      out += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

class FormReader {
 public:
  FormReader(const Form& form, std::vector<model::Path>& missing) : form_(form), missing_(missing) {}

  bool structure(const model::Shape& shape, void* object, int depth) {
    if (depth > limits::kJsonDepthMax) return refuse("The request is nested too deeply");
    const size_t length = key_.size();
    for (const model::Member& member : shape.members) {
      key_.resize(length);
      key_ += member.query_key;
      path_.push_back({&member});
      bool good = true;
      if (present(*member.shape)) {
        void* place = static_cast<char*>(object) + member.offset;
        good = value(*member.shape, member.presence ? member.presence->emplace(place) : place, depth);
      } else if (member.required) {
        missing_.push_back(path_);
      }
      path_.pop_back();
      if (!good) return false;
    }
    key_.resize(length);
    return true;
  }

  const std::string& problem() const { return problem_; }

 private:
  bool present(const model::Shape& shape) const {
    if (shape.kind == Kind::structure || shape.kind == Kind::map || shape.kind == Kind::list) {
      return form_.has_prefix(key_ + ".") || (shape.kind == Kind::list && form_.find(key_));
    }
    return form_.find(key_) != nullptr;
  }

  bool value(const model::Shape& shape, void* object, int depth) {
    switch (shape.kind) {
      case Kind::structure: {
        const size_t length = key_.size();
        key_ += '.';
        const bool good = structure(shape, object, depth + 1);
        key_.resize(length);
        return good;
      }
      case Kind::list: return list(shape, object, depth);
      case Kind::map: return map(shape, object, depth);
      default: return scalar(shape, object, *form_.find(key_));
    }
  }

  bool list(const model::Shape& shape, void* object, int depth) {
    const size_t length = key_.size();
    if (!shape.flattened) key_.append(".").append(shape.element_name);
    key_ += '.';
    const size_t element = key_.size();
    size_t index = 0;
    for (const uint32_t number : form_.indices(key_)) {
      key_.resize(element);
      key_ += std::to_string(number);
      if (!present(*shape.element)) continue;  // "VpcId.1.x": an element that has no value of its own
      path_.push_back({nullptr, index++});
      const bool good = value(*shape.element, shape.vector->append(object), depth + 1);
      path_.pop_back();
      if (!good) return false;
    }
    key_.resize(length);
    return true;
  }

  bool map(const model::Shape& shape, void* object, int depth) {
    const size_t length = key_.size();
    key_ += shape.flattened ? "." : ".entry.";
    const size_t entry = key_.size();
    for (const uint32_t number : form_.indices(key_)) {
      key_.resize(entry);
      key_.append(std::to_string(number)).append(".");
      const size_t names = key_.size();
      const std::string* key = form_.find(key_.append(shape.key_name));
      key_.resize(names);
      key_ += shape.element_name;
      if (!key || !present(*shape.element)) continue;
      path_.push_back({nullptr, 0, *key});
      const bool good = value(*shape.element, shape.map->emplace(object, *key), depth + 1);
      path_.pop_back();
      if (!good) return false;
    }
    key_.resize(length);
    return true;
  }

  template <class T>
  static bool number(std::string_view text, T& out) {
    const auto result = std::from_chars(text.data(), text.data() + text.size(), out);
    return result.ec == std::errc{} && result.ptr == text.data() + text.size();
  }

  bool scalar(const model::Shape& shape, void* object, const std::string& text) {
    switch (shape.kind) {
      case Kind::string: *static_cast<std::string*>(object) = text; return true;
      case Kind::integer: return number(text, *static_cast<int32_t*>(object)) || refuse_value(text, "an integer");
      case Kind::long_integer: return number(text, *static_cast<int64_t*>(object)) || refuse_value(text, "an integer");
      case Kind::real: return number(text, *static_cast<double*>(object)) || refuse_value(text, "a number");
      case Kind::boolean:
        if (text != "true" && text != "false" && text != "True" && text != "False")
          return refuse_value(text, "a boolean");
        *static_cast<bool*>(object) = text[0] == 't' || text[0] == 'T';
        return true;
      case Kind::timestamp: {
        const auto time = parse_iso8601(text);
        if (!time) return refuse_value(text, "a time in ISO 8601");
        *static_cast<TimeMs*>(object) = *time;
        return true;
      }
      case Kind::blob: {
        auto& out = *static_cast<std::string*>(object);
        base64_decode_ctx context;
        base64_decode_init(&context);
        out.resize(BASE64_DECODE_LENGTH(text.size()));
        size_t length = out.size();
        const bool good =
            base64_decode_update(&context, &length, reinterpret_cast<uint8_t*>(out.data()), text.size(), text.data()) &&
            base64_decode_final(&context);
        out.resize(good ? length : 0);
        return good || refuse_value(text, "base64");
      }
      default: return refuse_value(text, "of a kind that the query protocol has");
    }
  }

  bool refuse_value(std::string_view text, std::string_view what) {
    return refuse(fmt::format("Invalid value for {}: '{}' is not {}", key_, text.substr(0, 256), what));
  }
  bool refuse(std::string message) {
    problem_ = std::move(message);
    return false;
  }

  const Form& form_;
  std::vector<model::Path>& missing_;
  std::string key_;
  model::Path path_;
  std::string problem_;
};

}  // namespace

ApiResult<Form> Form::parse(std::string_view body) {
  Form form;
  for (size_t start = 0; start < body.size();) {
    const size_t end = std::min(body.find('&', start), body.size());
    const std::string_view part = body.substr(start, end - start);
    start = end + 1;
    if (part.empty()) continue;
    if (form.parameters_.size() >= limits::kQueryParametersMax) {
      return refuse("MalformedInput",
                    fmt::format("The request has more than {} parameters.", limits::kQueryParametersMax));
    }
    const size_t equals = std::min(part.find('='), part.size());
    form.parameters_.emplace_back(decoded(part.substr(0, equals)),
                                  equals < part.size() ? decoded(part.substr(equals + 1)) : std::string());
  }
  std::stable_sort(form.parameters_.begin(), form.parameters_.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  return form;
}

const std::string* Form::find(std::string_view key) const {
  const auto after = std::ranges::upper_bound(parameters_, key, std::less<std::string_view>(),
                                              [](const auto& p) -> std::string_view { return p.first; });
  if (after == parameters_.begin() || std::prev(after)->first != key) return nullptr;
  return &std::prev(after)->second;
}

bool Form::has_prefix(std::string_view prefix) const {
  const auto at = std::ranges::lower_bound(parameters_, prefix, std::less<std::string_view>(),
                                           [](const auto& p) -> std::string_view { return p.first; });
  return at != parameters_.end() && at->first.starts_with(prefix);
}

std::vector<uint32_t> Form::indices(std::string_view prefix) const {
  std::vector<uint32_t> out;
  auto at = std::ranges::lower_bound(parameters_, prefix, std::less<std::string_view>(),
                                     [](const auto& p) -> std::string_view { return p.first; });
  for (; at != parameters_.end() && at->first.starts_with(prefix); ++at) {
    const std::string_view rest = std::string_view(at->first).substr(prefix.size());
    uint32_t number = 0;
    const auto result = std::from_chars(rest.data(), rest.data() + rest.size(), number);
    if (result.ec != std::errc{}) continue;
    const size_t digits = static_cast<size_t>(result.ptr - rest.data());
    if (digits < rest.size() && rest[digits] != '.') continue;
    // 01 and 1 would be one element read twice under a name that only one of them has.
    if (rest[0] == '0' && digits > 1) continue;
    out.push_back(number);
  }
  std::ranges::sort(out);
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

ApiResult<void> read_form(const Form& form, const model::Shape& shape, void* object,
                          std::vector<model::Path>& missing) {
  FormReader reader(form, missing);
  if (!reader.structure(shape, object, 0)) return refuse("MalformedInput", reader.problem());
  return {};
}

}  // namespace berth::wire
