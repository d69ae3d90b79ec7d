// One thread's epoll and its timers.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "base/fd.h"

namespace berth::resolver {

// Whatever waits in epoll.
class Source {
 public:
  Source() = default;
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;
  virtual ~Source() = default;
  virtual void ready(uint32_t events) = 0;
};

class Reactor {
 public:
  Reactor();

  void add(int fd, uint32_t events, Source* source);
  void change(int fd, uint32_t events, Source* source);
  // The source lives until the round is over: its events may be in it still.
  void remove(int fd, std::shared_ptr<Source> source);

  using Timer = std::multimap<int64_t, std::function<void()>>::iterator;
  Timer after_ms(int64_t delay_ms, std::function<void()> callback);
  void cancel(Timer timer) { timers_.erase(timer); }

  void run_once();
  static int64_t now_ms();  // CLOCK_MONOTONIC

 private:
  Fd epoll_;
  std::multimap<int64_t, std::function<void()>> timers_;  // by due time
  std::vector<std::shared_ptr<Source>> removed_;
};

}  // namespace berth::resolver
