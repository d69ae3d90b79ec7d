#include "front/state_thread.h"

#include <algorithm>
#include <chrono>

namespace berth::front {

void StateThread::post(Job job) {
  post_quietly(std::move(job));
  kick();
}

void StateThread::post_quietly(Job job) {
  std::lock_guard lock(mutex_);
  posted_.push_back(std::move(job));
}

void StateThread::kick() {
  {
    std::lock_guard lock(mutex_);
    kicked_ = true;
  }
  wake_.notify_one();
}

void StateThread::committed() {
  {
    std::lock_guard lock(mutex_);
    committed_ = true;
    kicked_ = true;
  }
  wake_.notify_one();
}

void StateThread::end() {
  {
    std::lock_guard lock(mutex_);
    ending_ = true;
    kicked_ = true;
  }
  wake_.notify_one();
}

void StateThread::run(const Duties& duties) {
  std::optional<TimeMs> due = clock_.now_ms();  // control looks once at what it finds at start
  std::vector<Job> jobs;
  while (true) {
    bool settle = false;
    {
      std::unique_lock lock(mutex_);
      const auto ready = [this] { return kicked_ || ending_; };
      if (!due) {
        wake_.wait(lock, ready);
      } else {
        // For a moment, not for so long: the kernel then wakes us also when the wall clock is set past it, and after a
        // suspend, in which monotonic time stands still.
        wake_.wait_until(lock, std::chrono::system_clock::time_point(std::chrono::milliseconds(*due)), ready);
      }
      kicked_ = false;
      settle = std::exchange(committed_, false);
      jobs.swap(posted_);
      if (ending_ && jobs.empty()) return;
    }
    for (Job& job : jobs) job();
    jobs.clear();
    if (settle) duties.settle();
    due = duties.decide(clock_.now_ms());
  }
}

}  // namespace berth::front
