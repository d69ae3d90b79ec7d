// The durable backend: one SQLite file in WAL mode, DIRECTORY/state.db, and one commit thread.
//
// Group commit: whatever is queued when the thread is free goes into one SQLite transaction. It is fsynced if
// any of it is acknowledged. Derived transactions at the head of the queue are committed first and without
// fsync, so that the agent's way does not wait for the disk. Reads never reach SQLite: the head is in memory,
// loaded at open.
//
//   state.db      entries(id, key, value, mod_revision, checksum): id is HeadStore's row (append-only, so no index on
//   the key is
//                 written; the head in memory finds the row), meta(schema_version, revision)
//   state.db-wal  moved into state.db when nothing is queued, or when it has grown to kWalPagesMax, on a thread and a
//                 connection of its own (checkpointer.h)
//   state.db-shm  the log's index, which the two connections share
//   lock          flock(2)ed for as long as the store lives; holds the pid of its holder
//
// A failed commit (disk full, I/O error) is rolled back as store.h says; the next transactions are tried
// anew, a moment later. After an I/O error the log's older frames cannot be trusted to reach the disk any more (Linux forgets
// dirty pages after a failed fsync), so before anything else is acknowledged the whole log is moved into the
// main file.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "state/head_store.h"

namespace berth::state {

struct SqliteStoreOptions {
  std::string vfs = {};  // SQLite's name of another VFS; tests inject faults there
};

class SqliteStore final : public HeadStore {
 public:
  // Makes the directory (0700) and the file where missing. Errors name the remedy: directory in use by
  // another process, not a file of ours, corrupt, written by a newer version. `wake` is called on the commit
  // thread, and on the state thread when a new watch has something to catch up with.
  static Result<std::unique_ptr<SqliteStore>> open(const std::string& directory, std::function<void()> wake,
                                                   const SqliteStoreOptions& options = {});
  // Commits what is still queued, moves the log into the main file and closes. Callbacks are not called any
  // more.
  ~SqliteStore() override;

  struct Counters {
    uint64_t commits = 0;         // SQLite transactions
    uint64_t commits_synced = 0;  // of these, with fsync
    uint64_t transactions = 0;
    uint64_t checkpoints = 0;
    uint64_t failures = 0;
  };
  Counters counters() const;  // any thread
  // Why the last failed commit failed: fit for a log line. Empty: none has. Any thread.
  std::string last_failure() const;

 private:
  class Committer;
  SqliteStore(std::unique_ptr<Committer> committer, std::function<void()> wake);
  void enqueue(std::shared_ptr<const Applied> applied) override;
  Outcome collect() override;

  std::unique_ptr<Committer> committer_;
};

}  // namespace berth::state
