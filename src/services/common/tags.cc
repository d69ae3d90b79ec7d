#include "services/common/tags.h"

#include <algorithm>

namespace berth::services::common {

size_t count_characters(std::string_view utf8) {
  return static_cast<size_t>(
      std::count_if(utf8.begin(), utf8.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

bool is_reserved_tag(std::string_view text) {
  return text.size() >= 4 && (text[0] | 32) == 'a' && (text[1] | 32) == 'w' && (text[2] | 32) == 's' && text[3] == ':';
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
      std::count_if(tags.begin(), tags.end(), [](const auto& tag) { return !is_reserved_tag(tag.first); }));
}

}  // namespace berth::services::common
