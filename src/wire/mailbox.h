// Where answers wait for the I/O thread of a server; wakes it by its eventfd, once for however many have gathered.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "wire/http.h"
#include "wire/stream.h"

namespace berth::wire {

// Answers on their way to the I/O thread, from any thread.
class Mailbox final : public ReplySink {
 public:
  struct Item {
    uint64_t connection;
    std::unique_ptr<Answer> answer;    // null: the reply was dropped, or this is about a stream
    std::shared_ptr<Channel> channel;  // a stream that has begun or changed
  };

  explicit Mailbox(int event_fd) : event_fd_(event_fd) {}

  void post(uint64_t connection, std::unique_ptr<Answer> answer) override {
    const std::lock_guard lock(mutex_);
    add({connection, std::move(answer), nullptr});
  }
  void post_channel(uint64_t connection, std::shared_ptr<Channel> channel) override {
    {
      const std::lock_guard lock(mutex_);
      if (add({connection, nullptr, channel})) return;
    }
    channel->lose();
  }
  void take(std::vector<Item>& items) {
    const std::lock_guard lock(mutex_);
    items.swap(items_);
  }
  // The I/O thread comes to rest (unless there is something to take) or has woken up.
  bool rest() {
    const std::lock_guard lock(mutex_);
    awake_ = !items_.empty();
    return !awake_;
  }
  void woke() {
    const std::lock_guard lock(mutex_);
    awake_ = true;
  }
  void close() {
    std::vector<Item> left;
    {
      const std::lock_guard lock(mutex_);
      event_fd_ = -1;
      left.swap(items_);
    }
    for (Item& item : left) {
      if (item.channel) item.channel->lose();
    }
  }

 private:
  // With the lock. False once it is closed.
  bool add(Item item) {
    if (event_fd_ < 0) return false;
    items_.push_back(std::move(item));
    // One write for however many gather before the I/O thread takes them; none while it is awake and will look anyway.
    if (items_.size() == 1 && !awake_) notify();
    return true;
  }
  void notify() {
    const uint64_t one = 1;
    (void)!::write(event_fd_, &one, sizeof one);
  }

  std::mutex mutex_;
  int event_fd_;
  bool awake_ = true;
  std::vector<Item> items_;
};

}  // namespace berth::wire
