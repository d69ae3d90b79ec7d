#include "services/ec2/select.h"

namespace berth::services::ec2 {

ApiResult<Pages> Pages::open(const Work& work, std::string_view query, const std::optional<int>& results_max,
                             const std::optional<std::string>& token, int min, int max) {
  Pages out;
  out.query_ = fmt::format("{}/{}/{}", work.scope.account, work.scope.region, query);
  if (results_max && *results_max < min)
    return refuse("InvalidParameterValue",
                  fmt::format("Value ( {} ) for parameter maxResults is invalid. Expecting a value greater than {}.",
                              *results_max, min));
  if (results_max && *results_max > max)
    return refuse("InvalidParameterValue",
                  fmt::format("Value ( {} ) for parameter maxResults is invalid. Expecting a value less than {}.",
                              *results_max, max));
  out.left_ = static_cast<size_t>(results_max.value_or(max));
  if (token && !token->empty()) {
    auto start = common::open_page_token(out.query_, *token);
    if (!start) return refuse("InvalidNextToken", "The specified token is not valid.");
    out.start_ = *std::move(start);
  }
  return out;
}

bool Pages::take(std::string_view key) {
  if (!start_.empty() && key <= start_) return false;
  if (left_ == 0) {
    full_ = true;
    return false;
  }
  --left_;
  last_ = key;
  return true;
}

std::optional<std::string> Pages::next_token() const {
  if (!full_) return std::nullopt;
  return common::page_token(query_, last_);
}

}  // namespace berth::services::ec2
