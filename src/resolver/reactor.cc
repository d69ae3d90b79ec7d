#include "resolver/reactor.h"

#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "base/assert.h"

namespace berth::resolver {

Reactor::Reactor() : epoll_(epoll_create1(EPOLL_CLOEXEC)) { BERTH_ASSERT(epoll_); }

void Reactor::add(int fd, uint32_t events, Source* source) {
  epoll_event event{.events = events, .data = {.ptr = source}};
  (void)epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
}

void Reactor::change(int fd, uint32_t events, Source* source) {
  epoll_event event{.events = events, .data = {.ptr = source}};
  (void)epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

void Reactor::remove(int fd, std::shared_ptr<Source> source) {
  (void)epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  removed_.push_back(std::move(source));
}

Reactor::Timer Reactor::after_ms(int64_t delay_ms, std::function<void()> callback) {
  return timers_.emplace(now_ms() + delay_ms, std::move(callback));
}

void Reactor::run_once() {
  int timeout_ms = -1;
  if (!timers_.empty())
    timeout_ms = static_cast<int>(std::clamp<int64_t>(timers_.begin()->first - now_ms(), 0, 60'000));
  std::array<epoll_event, 64> events;
  const int count = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), timeout_ms);
  for (int i = 0; i < count; ++i) {
    auto* source = static_cast<Source*>(events[i].data.ptr);
    const bool gone =
        std::any_of(removed_.begin(), removed_.end(), [&](const auto& one) { return one.get() == source; });
    if (!gone) source->ready(events[i].events);
  }
  removed_.clear();
  while (!timers_.empty() && timers_.begin()->first <= now_ms()) {
    const auto callback = std::move(timers_.begin()->second);
    timers_.erase(timers_.begin());
    callback();
  }
  removed_.clear();
}

int64_t Reactor::now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace berth::resolver
