#include "agent_simulated/script.h"

#include <charconv>
#include <string>
#include <string_view>

namespace berth::agent_simulated {
namespace {

// "50ms", "2s" or a bare number of milliseconds; absent where it is none of these.
std::optional<int64_t> duration_ms(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || value < 0) return std::nullopt;
  const std::string_view unit(end, static_cast<size_t>(text.data() + text.size() - end));
  if (unit == "s") return value * 1000;
  if (unit == "ms" || unit.empty()) return value;
  return std::nullopt;
}

void take_word(Script& script, std::string_view word) {
  const size_t colon = word.find(':');
  const std::string_view name = word.substr(0, colon);
  const std::optional<int64_t> value =
      colon == std::string_view::npos ? std::nullopt : duration_ms(word.substr(colon + 1));
  if (word == "oom") script.out_of_memory = true, script.exit_code = 137;
  if (word == "ignore-term") script.ignores_term = true;
  if (word == "pull-fails") script.pull_fails = true;
  if (word == "start-fails") script.start_fails = true;
  if (!value) return;
  if (name == "exit") script.exit_code = static_cast<int>(*value & 0xff);
  if (name == "after") script.after_ms = *value;
  if (name == "healthy") script.healthy_ms = *value;
  if (name == "unhealthy") script.unhealthy_ms = *value;
  if (name == "pull") script.pull_ms = *value;
}

void take(Script& script, std::string_view text) {
  while (!text.empty()) {
    const size_t end = text.find_first_of(" ,+/");
    take_word(script, text.substr(0, end));
    if (end == std::string_view::npos) return;
    text.remove_prefix(end + 1);
  }
}

}  // namespace

Script script_of(const records::ContainerDefinition& container) {
  Script script;
  take(script, container.image);
  for (const auto& [name, value] : container.environment)
    if (name == "BERTH_SIMULATED") take(script, value);
  return script;
}

}  // namespace berth::agent_simulated
