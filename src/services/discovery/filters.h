// Filters of the three lists: Name, Values and a Condition, whatever the generated type is called.
#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/discovery/lookup.h"

namespace berth::services::discovery {

// What a filter's name means: the object's value and the conditions that AWS takes for it.
struct FilterField {
  std::string_view name;
  std::string value;
  std::vector<std::string_view> conditions;
};

inline bool filter_matches(const std::string& value, const std::vector<std::string>& values,
                           const std::string& condition) {
  if (condition == "BETWEEN") return values.size() == 2 && value >= values[0] && value <= values[1];
  return std::any_of(values.begin(), values.end(), [&](const std::string& one) {
    return condition == "BEGINS_WITH" ? value.starts_with(one) : value == one;
  });
}

// Whether the object passes all filters; refuses names and conditions that the list does not have.
template <class Filter>
ApiResult<bool> passes(const std::optional<std::vector<Filter>>& filters, const std::vector<FilterField>& fields) {
  bool all = true;
  if (!filters) return all;
  for (const Filter& filter : *filters) {
    const auto field =
        std::find_if(fields.begin(), fields.end(), [&](const FilterField& one) { return one.name == filter.name; });
    const std::string condition = filter.condition.value_or("EQ");
    if (field == fields.end())
      return invalid(fmt::format("Filter {} is not supported by this operation.", filter.name));
    if (std::find(field->conditions.begin(), field->conditions.end(), condition) == field->conditions.end())
      return invalid(fmt::format("Condition {} is not supported for the filter {}.", condition, filter.name));
    if (condition == "EQ" && filter.values.size() != 1)
      return invalid(fmt::format("The filter {} with condition EQ takes exactly one value.", filter.name));
    if (condition == "BETWEEN" && filter.values.size() != 2)
      return invalid(fmt::format("The filter {} with condition BETWEEN takes two values.", filter.name));
    all = all && filter_matches(field->value, filter.values, condition);
  }
  return all;
}

}  // namespace berth::services::discovery
