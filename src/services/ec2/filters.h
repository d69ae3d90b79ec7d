// EC2's filters: a value may hold * and ?, with \ before them where they stand for themselves. Values of one filter are
// alternatives, filters must all hold.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "records/cluster.h"

namespace berth::services::ec2 {

struct FilterSpec {
  std::string name;
  std::vector<std::string> values;
};

// What an object shows to filters. A name may have several values (association.main of each association).
class Filterable {
 public:
  Filterable& with(std::string_view name, std::string value) {
    values_.emplace_back(name, std::move(value));
    return *this;
  }
  Filterable& with(std::string_view name, const char* value) { return with(name, std::string(value)); }
  Filterable& with(std::string_view name, bool value) { return with(name, std::string(value ? "true" : "false")); }
  Filterable& with_tags(const records::Tags& tags);
  bool matches(const std::vector<FilterSpec>& filters) const;

 private:
  std::vector<std::pair<std::string, std::string>> values_;
};

// `known`: the names that the operation has; tag:<key> and tag-key are always among them.
ApiResult<void> check_filters(const std::vector<FilterSpec>& filters, const std::vector<std::string_view>& known);

bool has_tag_filter(const std::vector<FilterSpec>& filters);

bool matches_pattern(std::string_view pattern, std::string_view text);

}  // namespace berth::services::ec2
