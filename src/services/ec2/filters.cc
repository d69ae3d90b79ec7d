#include "services/ec2/filters.h"

#include <fmt/format.h>

#include <algorithm>

namespace berth::services::ec2 {

Filterable& Filterable::with_tags(const records::Tags& tags) {
  for (const auto& [key, value] : tags) {
    with("tag-key", key);
    with("tag:" + key, value);
  }
  return *this;
}

bool Filterable::matches(const std::vector<FilterSpec>& filters) const {
  return std::all_of(filters.begin(), filters.end(), [&](const FilterSpec& filter) {
    return std::any_of(values_.begin(), values_.end(), [&](const auto& named) {
      return named.first == filter.name &&
             std::any_of(filter.values.begin(), filter.values.end(),
                         [&](const std::string& pattern) { return matches_pattern(pattern, named.second); });
    });
  });
}

ApiResult<void> check_filters(const std::vector<FilterSpec>& filters, const std::vector<std::string_view>& known) {
  for (const FilterSpec& filter : filters) {
    if (filter.name.starts_with("tag:") || filter.name == "tag-key") continue;
    if (std::find(known.begin(), known.end(), filter.name) == known.end())
      return refuse("InvalidParameterValue", fmt::format("The filter '{}' is invalid", filter.name));
  }
  return {};
}

bool matches_pattern(std::string_view pattern, std::string_view text) {
  // Greedy with one point of return: linear in practice, quadratic at worst, never exponential.
  size_t p = 0, t = 0, star = std::string_view::npos, after_star = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      after_star = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p, ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++after_star;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace berth::services::ec2
