#include "services/ecs/tags.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace berth::services::ecs {
namespace {

size_t count_characters(std::string_view utf8) {
  return static_cast<size_t>(
      std::count_if(utf8.begin(), utf8.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

// Letters, digits, space and + - = . _ : / @ of ASCII. Beyond ASCII all is taken: telling letters from symbols there
// takes tables that are larger than what they protect.
bool has_tag_characters(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) >= 0x80 || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || std::string_view(" +-=._:/@").find(c) != std::string_view::npos;
  });
}

bool is_reserved(std::string_view text) {
  return text.size() >= 4 && (text[0] | 32) == 'a' && (text[1] | 32) == 'w' && (text[2] | 32) == 's' && text[3] == ':';
}

}  // namespace

ApiResult<void> check_tags(const records::Tags& tags, std::string_view error_type) {
  auto refused = [&](std::string text) { return refuse(std::string(error_type), std::move(text)); };
  if (tags.size() > kTagsMax) return refused(fmt::format("tags can have at most {} items.", kTagsMax));
  std::set<std::string_view> seen;
  for (const auto& [key, value] : tags) {
    if (key.empty() || count_characters(key) > 128)
      return refused("Tag key must be between 1 and 128 characters in length.");
    if (count_characters(value) > 256) return refused("Tag value must be between 0 and 256 characters in length.");
    if (!has_tag_characters(key)) return refused(fmt::format("Tag key '{}' contains invalid characters.", key));
    if (!has_tag_characters(value)) return refused(fmt::format("Tag value '{}' contains invalid characters.", value));
    if (is_reserved(key) || is_reserved(value))
      return refused(fmt::format("Tag keys and values cannot start with aws: (tag key '{}').", key));
    if (!seen.insert(key).second) return refused(fmt::format("Duplicate tag keys found: {}.", key));
  }
  return {};
}

records::Tags merge_tags(records::Tags under, const records::Tags& over) {
  for (const auto& [key, value] : over) {
    const auto at =
        std::find_if(under.begin(), under.end(), [&key = key](const auto& tag) { return tag.first == key; });
    if (at == under.end())
      under.emplace_back(key, value);
    else
      at->second = value;
  }
  return under;
}

records::Tags without_tags(records::Tags tags, const std::vector<std::string>& keys) {
  std::erase_if(tags, [&](const auto& tag) { return std::find(keys.begin(), keys.end(), tag.first) != keys.end(); });
  return tags;
}

size_t count_own_tags(const records::Tags& tags) {
  return static_cast<size_t>(
      std::count_if(tags.begin(), tags.end(), [](const auto& tag) { return !is_reserved(tag.first); }));
}

}  // namespace berth::services::ecs
