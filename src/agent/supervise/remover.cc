#include "agent/supervise/remover.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "taskdir/remove_tree.h"

namespace berth::agent {

Remover::Remover(std::string tasks_directory) : tasks_directory_(std::move(tasks_directory)) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(tasks_directory_ + "/.removed", error)) {
    paths_.push_back(entry.path());
  }
  if (!paths_.empty()) thread_ = std::thread([this] { loop(); });
}

Remover::~Remover() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Remover::remove(const std::string& name) {
  const std::string removed = tasks_directory_ + "/.removed";
  mkdir(removed.c_str(), 0700);
  const std::lock_guard lock(mutex_);
  std::string path;
  do {
    path = removed + "/" + name + "." + std::to_string(++moved_);
  } while (access(path.c_str(), F_OK) == 0);
  if (rename((tasks_directory_ + "/" + name).c_str(), path.c_str()) != 0) return;  // there is none
  paths_.push_back(path);
  if (!thread_.joinable()) thread_ = std::thread([this] { loop(); });
  wake_.notify_one();
}

void Remover::loop() {
  for (;;) {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [&] { return ending_ || !paths_.empty(); });
    if (ending_) return;
    const std::string path = std::move(paths_.front());
    paths_.pop_front();
    lock.unlock();
    taskdir::remove_tree(AT_FDCWD, path.c_str());  // what stays is tried again at the next start
  }
}

}  // namespace berth::agent
