// Calls back when one of some files is written, replaced, made or removed.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.h"

namespace berth::network {

class FileWatch {
 public:
  // `changed` runs on a thread of this class. Directories that do not exist yet are not watched.
  FileWatch(const std::vector<std::string>& paths, std::function<void()> changed);
  ~FileWatch();
  FileWatch(const FileWatch&) = delete;
  FileWatch& operator=(const FileWatch&) = delete;

 private:
  void loop();

  std::set<std::string> names_;
  std::function<void()> changed_;
  Fd inotify_;
  Fd stop_;
  std::thread thread_;
};

}  // namespace berth::network
