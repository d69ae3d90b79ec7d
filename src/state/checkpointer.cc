#include "state/checkpointer.h"

#include <utility>

namespace berth::state {

Result<std::unique_ptr<Checkpointer>> Checkpointer::open(const std::string& path, const std::string& vfs) {
  sqlite3* opened = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  const int code = sqlite3_open_v2(path.c_str(), &opened, flags, vfs.empty() ? nullptr : vfs.c_str());
  Database database(opened);
  if (code != SQLITE_OK) return sqlite_failure(opened, "open " + path);
  sqlite3_db_config(opened, SQLITE_DBCONFIG_LOOKASIDE, nullptr, 0, 0);
  // The last one makes it see that the file has a log.
  for (const char* sql : {"PRAGMA busy_timeout = 5000", "PRAGMA cache_size = -16", "PRAGMA synchronous = FULL",
                          "SELECT count(*) FROM sqlite_schema"})
    if (auto done = execute(opened, sql); !done) return tl::unexpected(done.error());
  std::unique_ptr<Checkpointer> checkpointer(new Checkpointer(std::move(database)));
  checkpointer->thread_ = std::thread([self = checkpointer.get()] { self->run(); });
  return checkpointer;
}

Checkpointer::~Checkpointer() {
  {
    std::lock_guard guard(mutex_);
    stopping_ = true;
  }
  asked_.notify_one();
  thread_.join();
}

void Checkpointer::request() {
  {
    std::lock_guard guard(mutex_);
    requested_ = true;
  }
  asked_.notify_one();
}

std::optional<Checkpointer::Passed> Checkpointer::take() {
  std::lock_guard guard(mutex_);
  return std::exchange(passed_, std::nullopt);
}

void Checkpointer::run() {
  std::unique_lock guard(mutex_);
  while (true) {
    asked_.wait(guard, [this] { return requested_ || stopping_; });
    if (stopping_) return;
    requested_ = false;
    guard.unlock();
    Passed passed;
    {
      const auto held = hold();
      int pages = 0, moved = 0;
      const int code = sqlite3_wal_checkpoint_v2(database_.get(), nullptr, SQLITE_CHECKPOINT_PASSIVE, &pages, &moved);
      if (code == SQLITE_OK) passed.pages = moved;
      passed.io_error = (code & 0xff) == SQLITE_IOERR;
    }
    guard.lock();
    passed_ = passed;
  }
}

}  // namespace berth::state
