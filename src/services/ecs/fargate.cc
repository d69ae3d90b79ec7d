#include "services/ecs/fargate.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <string>

namespace berth::services::ecs {
namespace {

struct Row {
  int cpu_units;
  int memory_first_mib;
  int memory_last_mib;
  int step_mib;
};
// ECS Developer Guide, "Task CPU and memory". 256 units have 512, 1024 and 2048 MiB.
constexpr std::array<Row, 8> kRows{{{256, 512, 512, 512},
                                    {256, 1024, 2048, 1024},
                                    {512, 1024, 4096, 1024},
                                    {1024, 2048, 8192, 1024},
                                    {2048, 4096, 16384, 1024},
                                    {4096, 8192, 30720, 1024},
                                    {8192, 16384, 61440, 4096},
                                    {16384, 32768, 122880, 8192}}};

std::string lower_trimmed(std::string_view text) {
  while (text.ends_with(' ')) text.remove_suffix(1);
  while (text.starts_with(' ')) text.remove_prefix(1);
  std::string out;
  for (char c : text) out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

// A whole number, or a decimal with the unit behind it, times 1024.
std::optional<int> parse_size(std::string_view text, std::string_view unit) {
  std::string compact = lower_trimmed(text);
  const bool with_unit = compact.ends_with(unit);
  if (with_unit) compact = lower_trimmed(std::string_view(compact).substr(0, compact.size() - unit.size()));
  if (compact.empty() || compact.size() > 16) return std::nullopt;
  const char* end = compact.data() + compact.size();
  if (!with_unit) {
    int units = 0;
    const auto [stop, error] = std::from_chars(compact.data(), end, units);
    return error == std::errc() && stop == end && units >= 0 ? std::optional(units) : std::nullopt;
  }
  if (!std::all_of(compact.begin(), compact.end(), [](char c) { return (c >= '0' && c <= '9') || c == '.'; }))
    return std::nullopt;
  if (compact.front() == '.') compact.insert(0, "0");
  double whole = 0;
  end = compact.data() + compact.size();
  const auto [stop, error] = std::from_chars(compact.data(), end, whole, std::chars_format::fixed);
  if (error != std::errc() || stop != end || whole > 1e6) return std::nullopt;
  return static_cast<int>(std::lround(whole * 1024));
}

}  // namespace

std::optional<int> parse_cpu_units(std::string_view text) { return parse_size(text, "vcpu"); }
std::optional<int> parse_memory_mib(std::string_view text) { return parse_size(text, "gb"); }

bool fargate_has_cpu(int cpu_units) {
  return std::any_of(kRows.begin(), kRows.end(), [&](const Row& row) { return row.cpu_units == cpu_units; });
}

bool fargate_has(int cpu_units, int memory_mib) {
  return std::any_of(kRows.begin(), kRows.end(), [&](const Row& row) {
    return row.cpu_units == cpu_units && memory_mib >= row.memory_first_mib && memory_mib <= row.memory_last_mib &&
           (memory_mib - row.memory_first_mib) % row.step_mib == 0;
  });
}

bool fargate_needs_platform_1_4(int cpu_units) { return cpu_units > 4096; }

std::optional<std::string_view> resolve_platform_version(std::string_view text) {
  if (text.empty() || text == "LATEST" || text == "1.4.0") return "1.4.0";
  if (text == "1.3.0") return "1.3.0";
  return std::nullopt;
}

}  // namespace berth::services::ecs
