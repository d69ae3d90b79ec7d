#include "services/logs/filter_pattern.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace berth::services::logs {
namespace {

tl::unexpected<ApiError> bad(std::string message) {
  return refuse("InvalidParameterException", "Invalid filter pattern: " + std::move(message));
}

bool is_space(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }

// Beyond ASCII everything is a letter.
bool is_plain(char c) { return c == '_' || std::isalnum(static_cast<unsigned char>(c)) != 0 || (c & 0x80) != 0; }

bool contains(std::string_view message, const std::string& term) { return message.find(term) != message.npos; }

// At a quotation mark; leaves `text` behind the closing one. \" and \\ stand for themselves.
ApiResult<std::string> take_quoted(std::string_view& text) {
  std::string term;
  size_t at = 1;
  for (; at < text.size() && text[at] != '"'; ++at) {
    if (text[at] == '\\' && at + 1 < text.size() && (text[at + 1] == '"' || text[at + 1] == '\\')) ++at;
    term += text[at];
  }
  if (at == text.size()) return bad("a quotation mark is not closed.");
  text.remove_prefix(at + 1);
  return term;
}

ApiResult<std::string> take_term(std::string_view& text) {
  if (!text.empty() && text[0] == '"') return take_quoted(text);
  size_t end = 0;
  while (end < text.size() && !is_space(text[end])) ++end;
  const std::string term(text.substr(0, end));
  text.remove_prefix(end);
  if (term.empty()) return bad("a term is missing.");
  if (!std::all_of(term.begin(), term.end(), is_plain)) {
    return refuse("InvalidParameterException", fmt::format("Invalid character(s) in term '{}'", term));
  }
  return term;
}

}  // namespace

ApiResult<FilterPattern> FilterPattern::parse(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  if (text.starts_with('{')) return bad("JSON patterns ({ $.field = … }) are not served; use terms.");
  if (text.starts_with('[')) return bad("space-delimited patterns ([w1, w2]) are not served; use terms.");
  if (text.starts_with('%')) return bad("regular expressions (%…%) are not served; use terms.");
  FilterPattern pattern;
  while (!text.empty()) {
    auto* terms = &pattern.required_;
    if (text.front() == '-') terms = &pattern.excluded_;
    if (text.front() == '?') terms = &pattern.optional_;
    if (terms != &pattern.required_) text.remove_prefix(1);
    auto term = take_term(text);
    if (!term) return tl::unexpected(term.error());
    if (!term->empty()) terms->push_back(std::move(*term));
    if (!text.empty() && !is_space(text.front())) return bad("terms must be separated by spaces.");
    while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  }
  return pattern;
}

bool FilterPattern::matches(std::string_view message) const {
  const auto in_message = [message](const std::string& term) { return contains(message, term); };
  if (!std::all_of(required_.begin(), required_.end(), in_message)) return false;
  if (std::any_of(excluded_.begin(), excluded_.end(), in_message)) return false;
  if (!required_.empty() || !excluded_.empty() || optional_.empty()) return true;
  return std::any_of(optional_.begin(), optional_.end(), in_message);
}

}  // namespace berth::services::logs
