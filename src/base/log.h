// The daemon's own log: one line an event on standard error, which systemd or the terminal keeps. Secrets never pass
// here: log names, ids and numbers, not request bodies. Thread-safe: a line is one write(2).
#pragma once

#include <fmt/core.h>

#include <string_view>

namespace berth {

enum class LogLevel { debug, info, warning, error };

void set_log_level(LogLevel level);  // default: info
bool log_enabled(LogLevel level);
void log_write(LogLevel level, std::string_view line);

template <class... Args>
void log_at(LogLevel level, fmt::format_string<Args...> format, Args&&... args) {
  if (log_enabled(level)) log_write(level, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_debug(fmt::format_string<Args...> format, Args&&... args) {
  log_at(LogLevel::debug, format, std::forward<Args>(args)...);
}
template <class... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  log_at(LogLevel::info, format, std::forward<Args>(args)...);
}
template <class... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
  log_at(LogLevel::warning, format, std::forward<Args>(args)...);
}
template <class... Args>
void log_error(fmt::format_string<Args...> format, Args&&... args) {
  log_at(LogLevel::error, format, std::forward<Args>(args)...);
}

}  // namespace berth
