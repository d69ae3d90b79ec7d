#include "services/ecs/paging.h"

#include <fmt/format.h>

#include "services/common/page_token.h"
#include "services/ecs/errors.h"

namespace berth::services::ecs {
ApiResult<std::string> page_start(std::string_view query, const std::optional<std::string>& token) {
  if (!token || token->empty()) return std::string();
  auto key = common::open_page_token(query, *token);
  if (!key) return invalid_parameter("Invalid token.");
  return *std::move(key);
}

ApiResult<size_t> page_size(const std::optional<int>& results_max, const PageSizes& sizes) {
  if (!results_max) return sizes.otherwise;
  if (*results_max < 1 || static_cast<size_t>(*results_max) > sizes.max)
    return invalid_parameter(fmt::format("maxResults should be between 1 and {}.", sizes.max));
  return static_cast<size_t>(*results_max);
}

ApiResult<Pager> Pager::open(const records::Scope& scope, std::string_view query,
                             const std::optional<std::string>& token, const std::optional<int>& results_max,
                             const PageSizes& sizes) {
  Pager pager;
  const auto size = page_size(results_max, sizes);
  if (!size) return tl::unexpected(size.error());
  pager.query_ = fmt::format("{}/{}/{}", scope.account, scope.region, query);
  auto start = page_start(pager.query_, token);
  if (!start) return tl::unexpected(start.error());
  pager.size_ = *size;
  pager.start_ = *std::move(start);
  return pager;
}

bool Pager::add(std::string_view key, std::string item) {
  if (page_.items.size() == size_) {
    page_.next_token = common::page_token(query_, last_key_);
    return false;
  }
  page_.items.push_back(std::move(item));
  last_key_ = key;
  return true;
}

}  // namespace berth::services::ecs
