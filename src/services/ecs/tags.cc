#include "services/ecs/tags.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace berth::services::ecs {
namespace {

// Letters, digits, space and + - = . _ : / @ of ASCII. Beyond ASCII all is taken: telling letters from symbols there
// takes tables that are larger than what they protect.
bool has_tag_characters(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) >= 0x80 || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || std::string_view(" +-=._:/@").find(c) != std::string_view::npos;
  });
}

}  // namespace

ApiResult<void> check_tags(const records::Tags& tags, std::string_view error_type) {
  auto refused = [&](std::string text) { return refuse(std::string(error_type), std::move(text)); };
  if (tags.size() > kTagsMax) return refused(fmt::format("tags can have at most {} items.", kTagsMax));
  std::set<std::string_view> seen;
  for (const auto& [key, value] : tags) {
    if (key.empty() || common::count_characters(key) > 128)
      return refused("Tag key must be between 1 and 128 characters in length.");
    if (common::count_characters(value) > 256) return refused("Tag value must be between 0 and 256 characters in length.");
    if (!has_tag_characters(key)) return refused(fmt::format("Tag key '{}' contains invalid characters.", key));
    if (!has_tag_characters(value)) return refused(fmt::format("Tag value '{}' contains invalid characters.", value));
    if (common::is_reserved_tag(key) || common::is_reserved_tag(value))
      return refused(fmt::format("Tag keys and values cannot start with aws: (tag key '{}').", key));
    if (!seen.insert(key).second) return refused(fmt::format("Duplicate tag keys found: {}.", key));
  }
  return {};
}

}  // namespace berth::services::ecs
