// A few threads for work that may block on the disk or on a program: unpacking an image, reading log segments. Jobs run
// in the order posted, as threads come free. The destructor finishes what was posted.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/job.h"

namespace berth {

class Workers {
 public:
  // `name` shows in top and gdb (15 characters at most). Threads are started at the first job.
  Workers(std::string name, size_t threads) : name_(std::move(name)), threads_max_(threads) {}
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  void post(Job job);  // any thread
  // The same for work that clients ask for: false, and the job is left alone, where `waiting_max` jobs wait already.
  bool offer(Job& job, size_t waiting_max);
  // What has not begun is destroyed without being run, and so is what is posted from now on. Any thread.
  void drop();

 private:
  void run();
  void add(Job job);  // with the lock

  const std::string name_;
  const size_t threads_max_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> queue_;
  std::vector<std::thread> threads_;
  size_t idle_ = 0;
  bool dropping_ = false;
  bool ending_ = false;
};

}  // namespace berth
