// Pages in ECS's way (services/common/page_token.h has the tokens).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "records/keys.h"

namespace berth::services::ecs {

// The key after which to go on; empty without a token.
ApiResult<std::string> page_start(std::string_view query, const std::optional<std::string>& token);
// How many items a page may have; AWS refuses to be asked for more.
struct PageSizes {
  size_t otherwise = 100;
  size_t max = 100;
};
ApiResult<size_t> page_size(const std::optional<int>& results_max, const PageSizes& sizes);

struct Page {
  std::vector<std::string> items;
  std::optional<std::string> next_token;  // absent on the last page
};

// Fills a page from items that arrive in key order. add() says whether to go on.
class Pager {
 public:
  // A token of another account or region is one of another query.
  static ApiResult<Pager> open(const records::Scope& scope, std::string_view query,
                               const std::optional<std::string>& token, const std::optional<int>& results_max,
                               const PageSizes& sizes = {});
  const std::string& start() const { return start_; }
  // False: the page is full and this item belongs to the next one.
  bool add(std::string_view key, std::string item);
  Page finish() && { return std::move(page_); }

 private:
  std::string query_;
  std::string start_;
  std::string last_key_;
  size_t size_ = 100;
  Page page_;
};

}  // namespace berth::services::ecs
