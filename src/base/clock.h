// Time reaches decisions only as an argument; those who must ask hold a Clock.
#pragma once

#include <cstdint>

namespace berth {

// Milliseconds since the Unix epoch, everywhere a moment is kept or compared. 0 means "not yet" in records.
using TimeMs = int64_t;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimeMs now_ms() const = 0;         // wall clock; may jump
  virtual int64_t monotonic_ms() const = 0;  // for timers; arbitrary origin
};

class SystemClock final : public Clock {
 public:
  TimeMs now_ms() const override;
  int64_t monotonic_ms() const override;
};

// A clock that a test or the simulator moves by hand.
class FakeClock final : public Clock {
 public:
  explicit FakeClock(TimeMs now = 1'700'000'000'000) : now_(now) {}
  TimeMs now_ms() const override { return now_; }
  int64_t monotonic_ms() const override { return now_; }
  void advance_ms(int64_t by) { now_ += by; }
  void set_ms(TimeMs now) { now_ = now; }

 private:
  TimeMs now_;
};

}  // namespace berth
