#include "state/sqlite_store.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <thread>

#include "base/assert.h"
#include "base/fd.h"
#include "base/kill_point.h"
#include "base/log.h"
#include "state/checkpointer.h"
#include "state/sqlite.h"

namespace berth::state {

tl::unexpected<Error> sqlite_failure(sqlite3* database, const std::string& what) {
  std::string text = what + ": " + sqlite3_errmsg(database);
  const int errno_value = sqlite3_system_errno(database);
  if (errno_value != 0) return fail(errno_value, std::move(text));
  return fail(std::move(text));
}

Result<void> execute(sqlite3* database, const char* sql) {
  if (sqlite3_exec(database, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return sqlite_failure(database, sql);
  return {};
}

namespace {

constexpr int kSchemaVersion = 2;
constexpr int kApplicationId = 0x42657274;  // "Bert"
// One SQLite transaction takes at most this much of the queue, so that the first of it need not wait for all
// of it.
constexpr size_t kBatchTransactionsMax = 1024;
// 4 KiB pages. A checkpoint writes each distinct page of the log once and syncs twice: asked for when nothing is queued and
// the log is worth it, or before reading it back after a crash would be felt (16 MiB: about 20 ms). What a pass has not
// seen keeps the log from beginning anew, and under load there is always something: once little is left, the commit thread
// moves that itself. It also does where the disk cannot keep up and the log would grow without end.
constexpr int kWalPagesIdle = 256;
constexpr int kWalPagesMax = 4096;
constexpr int kWalPagesFinished = 512;
constexpr int kWalPagesLimit = 16 * 1024;
constexpr auto kIdle = std::chrono::milliseconds(100);
// After a failed commit the next one waits: control and agents answer a failure by deciding and writing again, which on a
// full disk would never end and take a core.
constexpr auto kRetryPause = std::chrono::milliseconds(200);

struct FinalizeStatement {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Statement = std::unique_ptr<sqlite3_stmt, FinalizeStatement>;

Result<Statement> prepare(sqlite3* database, const char* sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v3(database, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr) != SQLITE_OK) {
    return sqlite_failure(database, sql);
  }
  return Statement(statement);
}

// The one row's columns as integers; a missing row is an error.
Result<std::vector<int64_t>> query_integers(sqlite3* database, const char* sql) {
  auto statement = prepare(database, sql);
  if (!statement) return tl::unexpected(statement.error());
  const int code = sqlite3_step(statement->get());
  if (code != SQLITE_ROW) {
    return code == SQLITE_DONE ? fail(std::string(sql) + ": no row") : sqlite_failure(database, sql);
  }
  const int count = sqlite3_column_count(statement->get());
  std::vector<int64_t> columns;
  columns.reserve(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) {
    columns.push_back(sqlite3_column_int64(statement->get(), i));
  }
  return columns;
}

Result<Fd> lock_directory(const std::string& directory) {
  if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) return fail(errno, "mkdir " + directory);
  const std::string path = directory + "/lock";
  Fd lock(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock) return fail(errno, "open " + path);
  int tries = 0;
  while (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    const int errno_value = errno;
    if (errno_value != EWOULDBLOCK) return fail(errno_value, "flock " + path);
    char pid[16] = {};
    const ssize_t got = pread(lock.get(), pid, sizeof pid - 1, 0);
    const std::string holder(pid, got > 0 ? strcspn(pid, "\n") : 0);
    // Killed while it started a child, whose copy of the lock goes with its exec: that is a matter of milliseconds.
    if (const int process = atoi(holder.c_str());
        process > 0 && kill(process, 0) != 0 && errno == ESRCH && tries++ < 200) {
      poll(nullptr, 0, 10);
      continue;
    }
    return fail("the state directory " + directory + " is in use by another berth" +
                (holder.empty() ? "" : " (pid " + holder + ")") + "; stop it, or use another --state directory");
  }
  // For the message above only: whether it is held is the kernel's knowledge, so a failure to write does not
  // matter.
  const std::string pid = std::to_string(getpid()) + "\n";
  if (ftruncate(lock.get(), 0) != 0 || pwrite(lock.get(), pid.data(), pid.size(), 0) < 0) return lock;
  return lock;
}

Result<void> create_schema(sqlite3* database) {
  auto done = execute(database, "BEGIN IMMEDIATE");
  for (const char* sql : {"CREATE TABLE entries(id INTEGER PRIMARY KEY, key BLOB NOT NULL, value BLOB NOT NULL,"
                          " mod_revision INTEGER NOT NULL, checksum INTEGER)",
                          "CREATE TABLE meta(id INTEGER PRIMARY KEY CHECK (id = 1), schema_version INTEGER NOT NULL,"
                          " revision INTEGER NOT NULL)"}) {
    if (done) done = execute(database, sql);
  }
  const std::string meta = "INSERT INTO meta VALUES(1, " + std::to_string(kSchemaVersion) + ", 0)";
  const std::string application = "PRAGMA application_id = " + std::to_string(kApplicationId);
  if (done) done = execute(database, meta.c_str());
  if (done) done = execute(database, application.c_str());
  return done ? execute(database, "COMMIT") : done;
}

// Task definitions hold environments, and the directory may be one that others can enter. SQLite gives the files beside it the
// mode of the first.
void make_private(const std::string& path) {
  const Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (file) (void)!::fchmod(file.get(), 0600);
  (void)!::chmod((path + "-wal").c_str(), 0600);  // of an older daemon that was killed
}

// Rows of version 1 have no checksum, and keep none until they are written again.
Result<void> upgrade_schema(sqlite3* database) {
  auto done = execute(database, "BEGIN IMMEDIATE");
  if (done) done = execute(database, "ALTER TABLE entries ADD COLUMN checksum INTEGER");
  if (done) done = execute(database, "UPDATE meta SET schema_version = 2");
  return done ? execute(database, "COMMIT") : done;
}

// SQLite finds damage in its own structures, not in what they hold, and records take their bytes to be whole. Each step can
// be undone, so that a change of any one word changes the sum.
int64_t checksum(std::string_view key, std::string_view value, Revision revision) {
  uint64_t sum = revision;
  const auto mix = [&sum](uint64_t word) {
    sum = (sum ^ word) * 0x9E3779B97F4A7C15u;
    sum ^= sum >> 32;
  };
  for (std::string_view bytes : {key, value}) {
    mix(bytes.size());
    for (size_t at = 0; at < bytes.size(); at += sizeof(uint64_t)) {
      uint64_t word = 0;
      memcpy(&word, bytes.data() + at, std::min(sizeof word, bytes.size() - at));
      mix(word);
    }
  }
  return static_cast<int64_t>(sum);
}

// Settings first; the tables where there are none; what is there must be ours.
Result<Database> open_database(const std::string& path, const std::string& vfs) {
  make_private(path);
  sqlite3* opened = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  const int code = sqlite3_open_v2(path.c_str(), &opened, flags, vfs.empty() ? nullptr : vfs.c_str());
  Database database(opened);
  if (code != SQLITE_OK) return sqlite_failure(opened, "open " + path);
  sqlite3_db_config(opened, SQLITE_DBCONFIG_LOOKASIDE, nullptr, 128, 64);  // a handful of fixed statements

  for (const char* sql :
       {"PRAGMA busy_timeout = 5000", "PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL",
        "PRAGMA cache_size = -256", "PRAGMA journal_size_limit = 16777216", "PRAGMA temp_store = MEMORY"}) {
    if (auto done = execute(opened, sql); !done) return tl::unexpected(done.error());
  }
  const auto tables = query_integers(opened, "SELECT count(*) FROM sqlite_schema");
  if (!tables) return tl::unexpected(tables.error());
  if (tables->front() == 0) {
    if (auto done = create_schema(opened); !done) return tl::unexpected(done.error());
  }
  const auto application = query_integers(opened, "PRAGMA application_id");
  if (!application) return tl::unexpected(application.error());
  if (application->front() != kApplicationId) return fail("it is a database, but not one of berth's");
  const auto version = query_integers(opened, "SELECT schema_version FROM meta");
  if (!version) return tl::unexpected(version.error());
  if (version->front() > kSchemaVersion) {
    return fail("it was written by a newer berth (schema " + std::to_string(version->front()) +
                ", this one knows up to " + std::to_string(kSchemaVersion) + ")");
  }
  if (version->front() == 1)
    if (auto done = upgrade_schema(opened); !done) return tl::unexpected(done.error());
  return database;
}

}  // namespace

// Owns the database and the commit thread.
class SqliteStore::Committer {
 public:
  Committer(Fd lock, Database database, std::unique_ptr<Checkpointer> checkpointer, std::function<void()> wake)
      : lock_(std::move(lock)),
        database_(std::move(database)),
        wake_(std::move(wake)),
        checkpointer_(std::move(checkpointer)) {}
  ~Committer() {
    {
      std::lock_guard guard(mutex_);
      stopping_ = true;
    }
    queued_.notify_one();
    if (thread_.joinable()) thread_.join();
  }

  Result<std::pair<Entries, Revision>> load();
  Result<void> start();

  // State thread.
  void enqueue(std::shared_ptr<const Applied> applied);
  Outcome collect();
  // Any thread.
  Counters counters() const;
  std::string last_failure() const;

 private:
  using Batch = std::vector<std::shared_ptr<const Applied>>;

  void run();
  bool wait_for_work(std::unique_lock<std::mutex>& guard);
  Batch take_batch();  // under the mutex
  Result<void> commit(const Batch& batch, bool synced);
  Result<void> write_all(const Batch& batch);
  Result<void> step(sqlite3_stmt* statement);
  Result<void> set_synchronous(bool full);
  void keep_log_short();
  void take_passed();
  Result<void> checkpoint(int mode);
  void report(const Batch& batch, bool synced, const Result<void>& done);

  Fd lock_;
  Database database_;
  std::function<void()> wake_;
  Statement begin_, commit_, rollback_, put_, erase_, revision_;
  bool synchronous_full_ = true;
  bool log_suspect_ = false;                    // an I/O error: frames already written may never reach the disk
  int wal_pages_ = 0;                           // in the log since it began anew
  int wal_pages_moved_ = 0;                     // of these, in the main file
  int wal_pages_asked_ = 0;                     // when a pass was asked for last: nothing new, no other pass
  std::unique_ptr<Checkpointer> checkpointer_;  // ends before the database does

  mutable std::mutex mutex_;
  std::condition_variable queued_;
  std::deque<std::shared_ptr<const Applied>> queue_;
  Revision committed_ = 0;
  bool failed_ = false;   // nothing is taken until collect() has told the state thread
  bool failing_ = false;  // the last commit failed; one line when that begins, one when it ends
  std::chrono::steady_clock::time_point retry_at_;
  bool woken_ = false;
  bool stopping_ = false;
  Counters counters_;
  std::string last_failure_;
  std::thread thread_;
};

Result<std::pair<HeadStore::Entries, Revision>> SqliteStore::Committer::load() {
  const auto meta = query_integers(database_.get(), "SELECT revision FROM meta");
  if (!meta) return tl::unexpected(meta.error());
  const Revision revision = static_cast<Revision>(meta->front());
  Entries entries;
  {
    auto statement = prepare(database_.get(), "SELECT id, key, value, mod_revision, checksum FROM entries");
    if (!statement) return tl::unexpected(statement.error());
    sqlite3_stmt* row = statement->get();
    int code = 0;
    while ((code = sqlite3_step(row)) == SQLITE_ROW) {
      const auto text = [&](int column) {
        const void* bytes = sqlite3_column_blob(row, column);
        return std::string(static_cast<const char*>(bytes ? bytes : ""),
                           static_cast<size_t>(sqlite3_column_bytes(row, column)));
      };
      Slot slot{std::make_shared<const Value>(text(2)), static_cast<uint64_t>(sqlite3_column_int64(row, 0)),
                static_cast<Revision>(sqlite3_column_int64(row, 3))};
      if (slot.mod_revision > revision || slot.create_revision() > slot.mod_revision) {
        return fail("row " + std::to_string(slot.row) + " is newer than the file that holds it");
      }
      std::string key = text(1);
      if (sqlite3_column_type(row, 4) != SQLITE_NULL &&
          sqlite3_column_int64(row, 4) != checksum(key, slot.value->bytes(), slot.mod_revision))
        return fail("the value of " + key + " is damaged");
      if (!entries.emplace(key, std::move(slot)).second) return fail("the key " + key + " is there twice");
    }
    if (code != SQLITE_DONE) return sqlite_failure(database_.get(), "read the entries");
  }
  sqlite3_db_release_memory(database_.get());
  committed_ = revision;
  return std::pair(std::move(entries), revision);
}

Result<void> SqliteStore::Committer::start() {
  const std::pair<Statement*, const char*> statements[] = {
      {&begin_, "BEGIN IMMEDIATE"},
      {&commit_, "COMMIT"},
      {&rollback_, "ROLLBACK"},
      {&put_, "REPLACE INTO entries(id, key, value, mod_revision, checksum) VALUES(?1, ?2, ?3, ?4, ?5)"},
      {&erase_, "DELETE FROM entries WHERE id = ?1"},
      {&revision_, "UPDATE meta SET revision = ?1"},
  };
  for (const auto& [statement, sql] : statements) {
    auto prepared = prepare(database_.get(), sql);
    if (!prepared) return tl::unexpected(prepared.error());
    *statement = std::move(*prepared);
  }
  // Also switches SQLite's own checkpoints off, which would stand in a commit's way.
  sqlite3_wal_hook(
      database_.get(),
      [](void* self, sqlite3*, const char*, int pages) {
        auto* committer = static_cast<Committer*>(self);
        if (pages < committer->wal_pages_) committer->wal_pages_moved_ = committer->wal_pages_asked_ = 0;
        committer->wal_pages_ = pages;
        return SQLITE_OK;
      },
      this);
  thread_ = std::thread([this] { run(); });
  return {};
}

void SqliteStore::Committer::enqueue(std::shared_ptr<const Applied> applied) {
  std::lock_guard guard(mutex_);
  if (failed_) return;  // it will be rolled back with those before it
  queue_.push_back(std::move(applied));
  queued_.notify_one();
}

HeadStore::Outcome SqliteStore::Committer::collect() {
  std::lock_guard guard(mutex_);
  const Outcome outcome{committed_, failed_};
  failed_ = false;
  woken_ = false;
  return outcome;
}

SqliteStore::Counters SqliteStore::Committer::counters() const {
  std::lock_guard guard(mutex_);
  return counters_;
}

std::string SqliteStore::Committer::last_failure() const {
  std::lock_guard guard(mutex_);
  return last_failure_;
}

void SqliteStore::Committer::run() {
  std::unique_lock guard(mutex_);
  while (wait_for_work(guard)) {
    const Batch batch = take_batch();
    const bool synced = batch.back()->durability == Durability::acknowledged;
    guard.unlock();
    kill_point("before-commit");
    const Result<void> done = commit(batch, synced);
    kill_point("after-commit");
    report(batch, synced, done);
    if (done && wal_pages_ >= kWalPagesMax) keep_log_short();
    guard.lock();
  }
}

// False: asked to stop, and nothing is left.
bool SqliteStore::Committer::wait_for_work(std::unique_lock<std::mutex>& guard) {
  const auto ready = [this] { return !queue_.empty() || stopping_; };
  while (!ready()) {
    if (wal_pages_ < kWalPagesIdle || wal_pages_ == wal_pages_asked_) {
      queued_.wait(guard, ready);
    } else if (!queued_.wait_for(guard, kIdle, ready)) {
      // Failing, it is tried again after the next commit; the log stays whole meanwhile.
      wal_pages_asked_ = wal_pages_;
      checkpointer_->request();
    }
  }
  if (failing_) queued_.wait_until(guard, retry_at_, [this] { return stopping_; });
  return !queue_.empty();
}

// Either the derived transactions at the head of the queue, or everything up to the last acknowledged one.
SqliteStore::Committer::Batch SqliteStore::Committer::take_batch() {
  size_t take = 0;
  while (take < queue_.size() && queue_[take]->durability == Durability::derived) ++take;
  if (take == 0) {
    for (size_t i = 0; i < queue_.size() && i < kBatchTransactionsMax; ++i) {
      if (queue_[i]->durability == Durability::acknowledged) take = i + 1;
    }
  }
  take = std::min(take, kBatchTransactionsMax);
  Batch batch(std::make_move_iterator(queue_.begin()),
              std::make_move_iterator(queue_.begin() + static_cast<ptrdiff_t>(take)));
  queue_.erase(queue_.begin(), queue_.begin() + static_cast<ptrdiff_t>(take));
  return batch;
}

void SqliteStore::Committer::report(const Batch& batch, bool synced, const Result<void>& done) {
  bool must_wake = false, news = false;
  {
    std::lock_guard guard(mutex_);
    news = done.has_value() == failing_;
    failing_ = !done;
    if (done) {
      committed_ = batch.back()->revision;
      ++counters_.commits;
      counters_.commits_synced += synced;
      counters_.transactions += batch.size();
    } else {
      failed_ = true;
      retry_at_ = std::chrono::steady_clock::now() + kRetryPause;
      queue_.clear();
      ++counters_.failures;
      last_failure_ = done.error().context;
    }
    must_wake = !woken_;
    woken_ = true;
  }
  if (news && !done) log_error("state: commits fail and are rolled back: {}", done.error().context);
  if (news && done) log_info("state: commits work again");
  if (must_wake && wake_) wake_();
}

Result<void> SqliteStore::Committer::step(sqlite3_stmt* statement) {
  const int code = sqlite3_step(statement);
  Result<void> done;
  if (code != SQLITE_DONE && code != SQLITE_ROW) {
    if ((code & 0xff) == SQLITE_IOERR) log_suspect_ = true;
    done = sqlite_failure(database_.get(), sqlite3_sql(statement));
  }
  sqlite3_reset(statement);
  return done;
}

Result<void> SqliteStore::Committer::set_synchronous(bool full) {
  if (full == synchronous_full_) return {};
  auto done = execute(database_.get(), full ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
  if (done) synchronous_full_ = full;
  return done;
}

Result<void> SqliteStore::Committer::commit(const Batch& batch, bool synced) {
  take_passed();
  if (log_suspect_) {
    if (auto done = checkpoint(SQLITE_CHECKPOINT_TRUNCATE); !done) return done;
    log_suspect_ = false;
  }
  if (auto done = set_synchronous(synced); !done) return done;
  auto done = step(begin_.get());
  if (done) done = write_all(batch);
  if (done) done = step(commit_.get());
  if (!done && sqlite3_get_autocommit(database_.get()) == 0) (void)step(rollback_.get());
  return done;
}

Result<void> SqliteStore::Committer::write_all(const Batch& batch) {
  for (const auto& applied : batch) {
    for (size_t i = 0; i < applied->writes.size(); ++i) {
      const Write& write = applied->writes[i];
      sqlite3_stmt* statement = write.value ? put_.get() : erase_.get();
      sqlite3_bind_int64(statement, 1, static_cast<sqlite3_int64>(applied->rows[i]));
      if (write.value) {
        const std::string& bytes = write.value->bytes();
        sqlite3_bind_blob64(statement, 2, write.key.data(), write.key.size(), SQLITE_STATIC);
        sqlite3_bind_blob64(statement, 3, bytes.data(), bytes.size(), SQLITE_STATIC);
        sqlite3_bind_int64(statement, 4, static_cast<sqlite3_int64>(applied->revision));
        sqlite3_bind_int64(statement, 5, checksum(write.key, bytes, applied->revision));
      }
      if (auto done = step(statement); !done) return done;
    }
  }
  sqlite3_bind_int64(revision_.get(), 1, static_cast<sqlite3_int64>(batch.back()->revision));
  return step(revision_.get());
}

void SqliteStore::Committer::take_passed() {
  const auto passed = checkpointer_->take();
  if (!passed) return;
  log_suspect_ |= passed->io_error;
  wal_pages_moved_ = std::max(wal_pages_moved_, std::min(passed->pages, wal_pages_));
  std::lock_guard guard(mutex_);
  counters_.checkpoints += passed->pages > 0;
}

void SqliteStore::Committer::keep_log_short() {
  take_passed();
  if (wal_pages_ - wal_pages_moved_ <= kWalPagesFinished || wal_pages_ >= kWalPagesLimit) {
    (void)checkpoint(SQLITE_CHECKPOINT_PASSIVE);
  } else if (wal_pages_ - wal_pages_asked_ > kWalPagesFinished) {
    wal_pages_asked_ = wal_pages_;
    checkpointer_->request();
  }
}

// By the commit thread itself.
Result<void> SqliteStore::Committer::checkpoint(int mode) {
  const auto held = checkpointer_->hold();
  int pages = 0, moved = 0;
  const int code = sqlite3_wal_checkpoint_v2(database_.get(), nullptr, mode, &pages, &moved);
  if (code != SQLITE_OK) {
    if ((code & 0xff) == SQLITE_IOERR) log_suspect_ = true;
    return sqlite_failure(database_.get(), "checkpoint");
  }
  wal_pages_ = wal_pages_moved_ = wal_pages_asked_ = 0;  // the next commit begins the log anew
  std::lock_guard guard(mutex_);
  ++counters_.checkpoints;
  return {};
}

Result<std::unique_ptr<SqliteStore>> SqliteStore::open(const std::string& directory, std::function<void()> wake,
                                                       const SqliteStoreOptions& options) {
  auto lock = lock_directory(directory);
  if (!lock) return tl::unexpected(lock.error());
  const std::string path = directory + "/state.db";
  const auto explain = [&](Error error) {
    error.context = "cannot use " + path + ": " + error.context +
                    (error.errno_value == 0 ? "; move it away to start with an empty state" : "");
    return tl::unexpected(std::move(error));
  };
  auto database = open_database(path, options.vfs);
  if (!database) return explain(database.error());
  auto checkpointer = Checkpointer::open(path, options.vfs);
  if (!checkpointer) return explain(checkpointer.error());
  auto committer = std::make_unique<Committer>(std::move(*lock), std::move(*database), std::move(*checkpointer), wake);
  auto loaded = committer->load();
  if (!loaded) return explain(loaded.error());
  if (auto started = committer->start(); !started) return explain(started.error());
  std::unique_ptr<SqliteStore> store(new SqliteStore(std::move(committer), std::move(wake)));
  store->load(std::move(loaded->first), loaded->second);
  return store;
}

SqliteStore::SqliteStore(std::unique_ptr<Committer> committer, std::function<void()> wake)
    : HeadStore(std::move(wake)), committer_(std::move(committer)) {}
SqliteStore::~SqliteStore() = default;

void SqliteStore::enqueue(std::shared_ptr<const Applied> applied) { committer_->enqueue(std::move(applied)); }
HeadStore::Outcome SqliteStore::collect() { return committer_->collect(); }
SqliteStore::Counters SqliteStore::counters() const { return committer_->counters(); }
std::string SqliteStore::last_failure() const { return committer_->last_failure(); }

}  // namespace berth::state
