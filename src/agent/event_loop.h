// One thread that waits in epoll. What a watch, a timer or a posted function does must not block.
//
// Thread: everything belongs to the thread that runs the loop, but for post() and stop(), which anybody may call. Before
// run() is called, the constructing thread counts as that thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "base/fd.h"

namespace berth::agent {

class EventLoop {
 public:
  using TimerId = uint64_t;

  EventLoop();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Calls back whenever the descriptor is readable or has an error or hang-up. Borrowed: remove() it before closing.
  void add(int fd, std::function<void()> readable);
  void remove(int fd);

  TimerId after_ms(int64_t delay_ms, std::function<void()> callback);
  void cancel(TimerId id);  // one that has run or is unknown is no error

  // Runs the function on the loop's thread, in the order of posting.
  void post(std::function<void()> function);

  void run();   // until stop()
  void stop();  // what was posted before is still run
  // One round: waits up to `timeout_ms` (-1: for ever) for anything, and handles it.
  void run_once(int timeout_ms);

  static int64_t now_ms();  // CLOCK_MONOTONIC

 private:
  void run_timers();
  void run_posted();

  Fd epoll_;
  Fd wake_;
  // A descriptor's number may be another one's within a round: an event is for the watch that it was reported of.
  struct Watch {
    uint32_t generation;
    std::shared_ptr<std::function<void()>> readable;
  };
  std::unordered_map<int, Watch> watches_;
  uint32_t last_generation_ = 0;
  std::multimap<int64_t, std::pair<TimerId, std::function<void()>>> timers_;  // by due time
  TimerId last_timer_ = 0;
  std::mutex mutex_;
  std::vector<std::function<void()>> posted_;  // guarded by mutex_
  bool stopping_ = false;                      // guarded by mutex_
};

}  // namespace berth::agent
