#include "agent/network/serial_thread.h"

#include <pthread.h>
#include <signal.h>

namespace berth::network {

SerialThread::SerialThread(const std::string& name) {
  // Signals are for the daemon's main thread.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { loop(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_setname_np(thread_.native_handle(), name.c_str());
}

SerialThread::~SerialThread() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void SerialThread::wait_for(const std::function<void()>& job) {
  std::unique_lock lock(mutex_);
  jobs_.push_back(&job);
  const uint64_t turn = ++asked_;
  wake_.notify_one();
  done_.wait(lock, [&] { return finished_ >= turn; });
}

void SerialThread::loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [&] { return ending_ || !jobs_.empty(); });
    if (jobs_.empty()) return;
    const std::function<void()>* job = jobs_.front();
    jobs_.pop_front();
    lock.unlock();
    (*job)();
    lock.lock();
    ++finished_;
    done_.notify_all();
  }
}

}  // namespace berth::network
