#include "services/ecs/paging.h"

#include <fmt/format.h>

#include "base/hash.h"
#include "services/ecs/errors.h"

namespace berth::services::ecs {
namespace {

constexpr std::string_view kVersion = "1";

std::string to_hex(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) fmt::format_to(std::back_inserter(out), "{:02x}", static_cast<unsigned char>(c));
  return out;
}

std::optional<std::string> from_hex(std::string_view text) {
  auto digit = [](char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; };
  if (text.size() % 2 != 0) return std::nullopt;
  std::string out;
  for (size_t i = 0; i < text.size(); i += 2) {
    const int high = digit(text[i]), low = digit(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
  }
  return out;
}

// A token is no secret and no authority, it only must not be mistaken for another query's.
std::string head(std::string_view query) { return fmt::format("{}{:016x}", kVersion, fnv1a(query)); }

}  // namespace

std::string page_token(std::string_view query, std::string_view last_key) { return head(query) + to_hex(last_key); }

ApiResult<std::string> page_start(std::string_view query, const std::optional<std::string>& token) {
  if (!token || token->empty()) return std::string();
  const std::string expected = head(query);
  if (!token->starts_with(expected)) return invalid_parameter("Invalid token.");
  auto key = from_hex(std::string_view(*token).substr(expected.size()));
  if (!key || key->empty()) return invalid_parameter("Invalid token.");
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
    page_.next_token = page_token(query_, last_key_);
    return false;
  }
  page_.items.push_back(std::move(item));
  last_key_ = key;
  return true;
}

}  // namespace berth::services::ecs
