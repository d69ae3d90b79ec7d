// Calls back when one of some files is written, replaced, made or removed; where a file is a symbolic link, also for what
// it leads to. Directories may be made, removed and made again, and links turned, while it watches.
#pragma once

#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.h"

namespace berth::network {

class FileWatch {
 public:
  // `changed` runs on a thread of this class.
  FileWatch(std::vector<std::string> paths, std::function<void()> changed);
  ~FileWatch();
  FileWatch(const FileWatch&) = delete;
  FileWatch& operator=(const FileWatch&) = delete;

 private:
  void watch();
  void watch_file(const std::filesystem::path& file);
  void loop();

  const std::vector<std::string> paths_;
  std::set<std::string> names_;  // of files, and of directories that are not there yet
  std::function<void()> changed_;
  Fd inotify_;
  Fd stop_;
  std::thread thread_;
};

}  // namespace berth::network
