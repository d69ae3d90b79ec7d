// Places at which tests kill the daemon: BERTH_KILL_AT="name" dies at the first passage, "name:7" at the seventh. SIGKILL,
// so nothing is tidied up. Without the variable a passage costs one comparison. The names are listed in tests/clients.
#pragma once

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <cstring>

namespace berth {

inline void kill_point(const char* name) {
  static const char* const wanted = std::getenv("BERTH_KILL_AT");
  if (wanted == nullptr) [[likely]]
    return;
  static std::atomic<int> passages{0};
  const char* colon = std::strchr(wanted, ':');
  const size_t length = colon ? static_cast<size_t>(colon - wanted) : std::strlen(wanted);
  if (std::strlen(name) != length || std::strncmp(wanted, name, length) != 0) return;
  if (++passages >= (colon ? std::atoi(colon + 1) : 1)) std::raise(SIGKILL);
}

}  // namespace berth
