// Moves the log of a database into its main file, on a thread and a connection of its own, so that commits go on
// meanwhile: on a busy disk a pass takes hundreds of milliseconds. A pass takes what the log holds when it begins; what is
// committed meanwhile is left for the next one, or for the committer to finish.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/result.h"
#include "state/sqlite.h"

namespace berth::state {

class Checkpointer {
 public:
  // A second connection to the file, which another keeps open for as long as this lives.
  static Result<std::unique_ptr<Checkpointer>> open(const std::string& path, const std::string& vfs);
  ~Checkpointer();  // waits for a pass under way
  Checkpointer(const Checkpointer&) = delete;
  Checkpointer& operator=(const Checkpointer&) = delete;

  // Any thread. A pass begins as soon as none is under way.
  void request();
  // No pass is under way while it is held.
  std::unique_lock<std::mutex> hold() { return std::unique_lock(pass_); }

  struct Passed {
    int pages = 0;          // of the log that the main file has now
    bool io_error = false;  // the log's older pages cannot be trusted to reach the disk
  };
  // Of the pass that has ended since the last question, if one has.
  std::optional<Passed> take();

 private:
  explicit Checkpointer(Database database) : database_(std::move(database)) {}
  void run();

  Database database_;
  std::mutex pass_;  // held during a pass

  std::mutex mutex_;
  std::condition_variable asked_;
  bool requested_ = false;
  bool stopping_ = false;
  std::optional<Passed> passed_;
  std::thread thread_;
};

}  // namespace berth::state
