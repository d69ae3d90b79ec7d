#include "services/ec2/filters.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/limits.h"

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

bool has_tag_filter(const std::vector<FilterSpec>& filters) {
  return std::any_of(filters.begin(), filters.end(), [](const FilterSpec& filter) {
    return filter.name == "tag-key" || filter.name.starts_with("tag:");
  });
}

ApiResult<void> check_filters(const std::vector<FilterSpec>& filters, const std::vector<std::string_view>& known) {
  size_t values = 0;
  for (const FilterSpec& filter : filters) {
    values += filter.values.size();
    if (values > limits::kEc2FilterValuesMax)
      return refuse("FilterLimitExceeded",
                    fmt::format("The maximum number of filter values specified on a single call is {}",
                                limits::kEc2FilterValuesMax));
    if (filter.name.starts_with("tag:") || filter.name == "tag-key") continue;
    if (std::find(known.begin(), known.end(), filter.name) == known.end())
      return refuse("InvalidParameterValue", fmt::format("The filter '{}' is invalid", filter.name));
    // AWS answers with nothing but the filter's name.
    if (filter.name == "vpc-id")
      for (const std::string& value : filter.values)
        if (!value.starts_with("vpc-") && value.find_first_of("*?") == std::string::npos)
          return refuse("InvalidParameterValue", "vpc-id");
  }
  return {};
}

bool matches_pattern(std::string_view pattern, std::string_view text) {
  // Greedy with one point of return: linear in practice, quadratic at worst, never exponential.
  size_t p = 0, t = 0, star = std::string_view::npos, after_star = 0;
  while (t < text.size()) {
    const bool escaped = p + 1 < pattern.size() && pattern[p] == '\\';
    if (!escaped && p < pattern.size() && pattern[p] == '*') {
      star = p++;
      after_star = t;
    } else if (escaped && pattern[p + 1] == text[t]) {
      p += 2, ++t;
    } else if (!escaped && p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
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
