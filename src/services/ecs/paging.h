// nextToken: the last key of the page before, and a digest of the query it belongs to, so that it survives a restart and
// is refused by any other query. Opaque to callers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace berth::services::ecs {

// `query` holds everything but nextToken and maxResults that the answer depends on.
std::string page_token(std::string_view query, std::string_view last_key);
// The key after which to go on; empty without a token.
ApiResult<std::string> page_start(std::string_view query, const std::optional<std::string>& token);
// maxResults within 1–100 (AWS: larger is an error), or what the operation has as its default.
ApiResult<size_t> page_size(const std::optional<int>& results_max, size_t otherwise);

struct Page {
  std::vector<std::string> items;
  std::optional<std::string> next_token;  // absent on the last page
};

// Fills a page from items that arrive in key order. add() says whether to go on.
class Pager {
 public:
  static ApiResult<Pager> open(std::string query, const std::optional<std::string>& token,
                               const std::optional<int>& results_max, size_t otherwise = 100);
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
