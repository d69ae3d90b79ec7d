#include "base/workers.h"

#include <pthread.h>

namespace berth {

Workers::~Workers() {
  {
    std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Workers::post(Job job) {
  std::lock_guard lock(mutex_);
  if (!dropping_) add(std::move(job));
}

bool Workers::offer(Job& job, size_t waiting_max) {
  Job taken;  // destroyed when the lock is released, where it is dropped
  std::lock_guard lock(mutex_);
  if (queue_.size() >= waiting_max) return false;
  taken = std::move(job);
  if (!dropping_) add(std::move(taken));
  return true;
}

void Workers::add(Job job) {
  queue_.push_back(std::move(job));
  if (queue_.size() > idle_ && threads_.size() < threads_max_) {
    threads_.emplace_back([this] { run(); });
    pthread_setname_np(threads_.back().native_handle(), name_.c_str());
  }
  wake_.notify_one();
}

void Workers::drop() {
  std::deque<Job> dropped;  // destroyed when the lock is released: a job may hold anything
  std::lock_guard lock(mutex_);
  dropping_ = true;
  dropped.swap(queue_);
}

void Workers::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    ++idle_;
    wake_.wait(lock, [this] { return ending_ || !queue_.empty(); });
    --idle_;
    if (queue_.empty()) return;
    Job job = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    job();
    lock.lock();
  }
}

}  // namespace berth
