#include "services/common/page_token.h"

#include <fmt/format.h>

#include "base/hash.h"

namespace berth::services::common {
namespace {

constexpr std::string_view kVersion = "1";

std::string head(std::string_view query) { return fmt::format("{}{:016x}", kVersion, fnv1a(query)); }

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

}  // namespace

std::string page_token(std::string_view query, std::string_view last_key) { return head(query) + to_hex(last_key); }

std::optional<std::string> open_page_token(std::string_view query, std::string_view token) {
  const std::string expected = head(query);
  if (!token.starts_with(expected)) return std::nullopt;
  auto key = from_hex(token.substr(expected.size()));
  if (!key || key->empty()) return std::nullopt;
  return key;
}

}  // namespace berth::services::common
