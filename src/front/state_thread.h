// The one thread on which handlers and decisions run, serially, against the head. Others hand it jobs; it never waits
// for any of them.
//
//   round:  run what was posted ─▶ settle what was committed ─▶ let control decide ─▶ sleep until posted, committed or due
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/job.h"

namespace berth::front {

class StateThread {
 public:
  // `settle` delivers what was committed; `decide` lets control work and tells when it next has to, on the wall clock.
  struct Duties {
    std::function<void()> settle;
    std::function<std::optional<TimeMs>(TimeMs now)> decide;
  };

  explicit StateThread(const Clock& clock) : clock_(clock) {}

  void post(Job job);          // any thread; wakes at once
  void post_quietly(Job job);  // any thread; waits for the next kick, so that a batch costs one wake-up
  void kick();                 // any thread
  void committed();            // the store's `wake`: any thread
  void end();                  // run() returns after the jobs posted before

  void run(const Duties& duties);  // the calling thread becomes the state thread

 private:
  const Clock& clock_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Job> posted_;
  bool kicked_ = false;
  bool committed_ = false;
  bool ending_ = false;
};

}  // namespace berth::front
