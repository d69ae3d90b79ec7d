// Filter patterns of terms: ERROR -WARN "two words" ?a ?b. Case-sensitive; a term matches anywhere in the
// message.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace berth::services::logs {

class FilterPattern {
 public:
  // The other forms ({ JSON }, [ fields ], %regex%) are refused by name.
  static ApiResult<FilterPattern> parse(std::string_view text);
  bool matches(std::string_view message) const;
  bool matches_all() const { return required_.empty() && excluded_.empty() && optional_.empty(); }

 private:
  std::vector<std::string> required_;
  std::vector<std::string> excluded_;
  std::vector<std::string>
      optional_;  // one of them, where nothing is required or excluded (AWS ignores them beside others)
};

}  // namespace berth::services::logs
