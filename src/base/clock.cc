#include "base/clock.h"

#include <ctime>

namespace berth {
namespace {
int64_t read_ms(clockid_t id) {
  timespec t{};
  clock_gettime(id, &t);
  return int64_t{t.tv_sec} * 1000 + t.tv_nsec / 1'000'000;
}
}  // namespace

TimeMs SystemClock::now_ms() const { return read_ms(CLOCK_REALTIME); }
int64_t SystemClock::monotonic_ms() const { return read_ms(CLOCK_MONOTONIC); }

}  // namespace berth
