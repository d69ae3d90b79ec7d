#include "base/log.h"

#include <unistd.h>

#include <atomic>
#include <ctime>
#include <string>

namespace berth {
namespace {
std::atomic<LogLevel> level_now{LogLevel::info};
constexpr const char* kNames[] = {"debug", "info", "warning", "error"};
}  // namespace

void set_log_level(LogLevel level) { level_now = level; }
bool log_enabled(LogLevel level) { return level >= level_now.load(std::memory_order_relaxed); }

void log_write(LogLevel level, std::string_view line) {
  timespec t{};
  clock_gettime(CLOCK_REALTIME, &t);
  tm parts{};
  gmtime_r(&t.tv_sec, &parts);
  const std::string text = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z {} {}\n", parts.tm_year + 1900,
                                       parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                                       t.tv_nsec / 1'000'000, kNames[static_cast<int>(level)], line);
  // A log that cannot be written has nowhere to be reported.
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
}

}  // namespace berth
