#include "dataplane/names.h"

#include <fmt/core.h>

#include "base/hash.h"

namespace berth::dataplane {

uint64_t name_hash(std::string_view text) {
  uint64_t hash = fnv1a(text);
  // FNV's last bytes reach its high bits late; splitmix64's finish spreads them.
  hash = (hash ^ hash >> 30) * 0xbf58476d1ce4e5b9u;
  hash = (hash ^ hash >> 27) * 0x94d049bb133111ebu;
  return hash ^ hash >> 31;
}

std::string task_link(std::string_view task_id) { return fmt::format("t{:014x}", name_hash(task_id) >> 8); }

std::string group_set_name(std::string_view id) {
  std::string name;
  for (char c : id.substr(0, 28)) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    name += plain ? c : '_';
  }
  return name;
}

uint32_t number_of(std::string_view id) {
  constexpr uint32_t kLowest = 1u << 24;
  // 30 bits: the two highest are left to others.
  return (static_cast<uint32_t>(name_hash(id)) & 0x3fffffffu) | kLowest;
}

std::string combination_name(const std::vector<std::string>& sorted_groups) {
  std::string text;
  for (const std::string& group : sorted_groups) text += group + "\n";
  return fmt::format("c_{:016x}", name_hash(text));
}

}  // namespace berth::dataplane
