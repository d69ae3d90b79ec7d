#include "agent/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <ctime>

#include "base/assert.h"

namespace berth::agent {

int64_t EventLoop::now_ms() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return int64_t{t.tv_sec} * 1000 + t.tv_nsec / 1'000'000;
}

EventLoop::EventLoop() : epoll_(epoll_create1(EPOLL_CLOEXEC)), wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  BERTH_ASSERT(epoll_ && wake_);
  add(wake_.get(), [this] {
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t got = ::read(wake_.get(), &count, sizeof count);
  });
}

EventLoop::~EventLoop() = default;

void EventLoop::add(int fd, std::function<void()> readable) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = uint64_t{++last_generation_} << 32 | static_cast<uint32_t>(fd);
  const int result = epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
  BERTH_ASSERT(result == 0);
  watches_.insert_or_assign(fd, Watch{last_generation_, std::make_shared<std::function<void()>>(std::move(readable))});
}

void EventLoop::remove(int fd) {
  if (watches_.erase(fd) > 0) epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

EventLoop::TimerId EventLoop::after_ms(int64_t delay_ms, std::function<void()> callback) {
  const TimerId id = ++last_timer_;
  timers_.emplace(now_ms() + std::max<int64_t>(0, delay_ms), std::pair(id, std::move(callback)));
  return id;
}

void EventLoop::cancel(TimerId id) {
  const auto at =
      std::find_if(timers_.begin(), timers_.end(), [&](const auto& timer) { return timer.second.first == id; });
  if (at != timers_.end()) timers_.erase(at);
}

void EventLoop::post(std::function<void()> function) {
  {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(function));
  }
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t put = ::write(wake_.get(), &one, sizeof one);
}

void EventLoop::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  post([] {});
}

void EventLoop::run() {
  for (;;) {
    run_once(-1);
    const std::lock_guard lock(mutex_);
    if (stopping_ && posted_.empty()) return;
  }
}

void EventLoop::run_timers() {
  const int64_t now = now_ms();
  // Timers that these ones set run in a later round: one that sets itself again must not keep the others waiting.
  const TimerId last = last_timer_;
  for (auto at = timers_.begin(); at != timers_.end() && at->first <= now;) {
    if (at->second.first > last) {
      ++at;
      continue;
    }
    const std::function<void()> callback = std::move(at->second.second);
    timers_.erase(at);
    callback();
    at = timers_.begin();
  }
}

void EventLoop::run_posted() {
  std::vector<std::function<void()>> functions;
  {
    const std::lock_guard lock(mutex_);
    functions.swap(posted_);
  }
  for (const auto& function : functions) function();
}

void EventLoop::run_once(int timeout_ms) {
  if (!timers_.empty()) {
    const int64_t left = std::clamp<int64_t>(timers_.begin()->first - now_ms(), 0, 60'000);
    if (timeout_ms < 0 || left < timeout_ms) timeout_ms = static_cast<int>(left);
  }
  epoll_event events[32];
  const int count = epoll_wait(epoll_.get(), events, 32, timeout_ms);
  for (int i = 0; i < count; ++i) {
    const auto at = watches_.find(static_cast<int>(static_cast<uint32_t>(events[i].data.u64)));
    // An earlier callback of this round may have removed it, or put another in its place.
    if (at == watches_.end() || at->second.generation != static_cast<uint32_t>(events[i].data.u64 >> 32)) continue;
    const std::shared_ptr<std::function<void()>> callback = at->second.readable;
    (*callback)();
  }
  run_timers();
  run_posted();
}

}  // namespace berth::agent
