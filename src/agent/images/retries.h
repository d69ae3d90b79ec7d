// How often a pull is tried again, and after how long. Pure: time is an argument.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace berth::images {

inline constexpr int kPullRetriesMax = 5;  // ECS's own number
// 40, 80, 160, 320, 640 ms: 1.24 s in all, so that all five fit where a registry refuses at once and still must be
// reported within 2 s.
inline constexpr int kPullRetryFirstMs = 40;

class Retries {
 public:
  // No retry begins `window_ms` or more after the start.
  explicit Retries(int window_ms) : window_ms_(window_ms) {}

  // After a failure, `elapsed_ms` after the start: how long to wait before the next try, which is counted as done;
  // nothing where it was tried often or long enough.
  std::optional<int> next_wait_ms(int64_t elapsed_ms);
  int count() const { return count_; }

 private:
  const int window_ms_;
  int count_ = 0;
};

// Whether the same question may be answered otherwise a moment later. An image, a name or a right that is not there
// is not.
bool may_pass(std::string_view cause);

}  // namespace berth::images
