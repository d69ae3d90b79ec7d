// One thread that does one job after the other; whoever asks waits for the answer.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace berth::network {

class SerialThread {
 public:
  explicit SerialThread(const std::string& name);
  ~SerialThread();  // finishes what was asked
  SerialThread(const SerialThread&) = delete;
  SerialThread& operator=(const SerialThread&) = delete;

  template <class Job>
  auto run(Job&& job) -> decltype(job()) {
    std::optional<decltype(job())> answer;
    wait_for([&] { answer.emplace(job()); });
    return std::move(*answer);
  }

 private:
  void wait_for(const std::function<void()>& job);
  void loop();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable done_;
  std::deque<const std::function<void()>*> jobs_;  // borrowed from the waiting callers
  uint64_t asked_ = 0;
  uint64_t finished_ = 0;
  bool ending_ = false;
  std::thread thread_;  // last: it starts when the rest is there
};

}  // namespace berth::network
