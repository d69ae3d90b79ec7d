// Removes task directories on a thread of its own: a container may have written a million files.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <thread>

namespace berth::agent {

class Remover {
 public:
  explicit Remover(std::string tasks_directory);
  ~Remover();  // finishes the directory it is at; the next daemon's Remover takes the rest
  Remover(const Remover&) = delete;
  Remover& operator=(const Remover&) = delete;

  // The name is free at once: the directory is moved to <tasks>/.removed first.
  void remove(const std::string& name);

 private:
  void loop();

  const std::string tasks_directory_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::string> paths_;
  bool ending_ = false;
  uint64_t moved_ = 0;
  std::thread thread_;  // started with the first removal
};

}  // namespace berth::agent
