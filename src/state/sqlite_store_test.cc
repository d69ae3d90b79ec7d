#include "state/sqlite_store.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/assert.h"
#include "base/fd.h"
#include "state/test_backend.h"

namespace berth::state {
namespace {

using ::testing::HasSubstr;

Transaction put(std::string key, std::string value, Durability durability) {
  Transaction transaction;
  transaction.put(std::move(key), std::move(value));
  transaction.durability = durability;
  return transaction;
}

struct Opened {
  std::unique_ptr<Waker> waker = std::make_unique<Waker>();
  std::unique_ptr<SqliteStore> store;
};

Opened open_store(const std::string& directory, SqliteStoreOptions options = {}) {
  Opened opened;
  auto store = SqliteStore::open(directory, opened.waker->function(), std::move(options));
  EXPECT_TRUE(store.has_value()) << (store ? "" : store.error().context);
  if (store) opened.store = std::move(*store);
  return opened;
}

std::string open_error(const std::string& directory) {
  auto store = SqliteStore::open(directory, [] {});
  return store ? "opened" : store.error().context;
}

TEST(SqliteStore, TwoNeverShareADirectory) {
  TemporaryDirectory directory;
  Opened first = open_store(directory.path());
  const std::string error = open_error(directory.path());
  EXPECT_THAT(error,
              HasSubstr(directory.path() + " is in use by another berth (pid " + std::to_string(getpid()) + ")"));
  first.store.reset();
  EXPECT_EQ(open_error(directory.path()), "opened");
}

TEST(SqliteStore, FilesAreTheOwnersAlone) {
  TemporaryDirectory directory;
  Opened opened = open_store(directory.path() + "/new");
  struct stat status {};
  ASSERT_EQ(stat((directory.path() + "/new").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
  // Where the directory was there before, and others may enter it.
  const std::string path = directory.path() + "/state.db";
  ASSERT_EQ(chmod(directory.path().c_str(), 0755), 0);
  std::ofstream(path).flush();
  ASSERT_EQ(chmod(path.c_str(), 0644), 0);
  Opened again = open_store(directory.path());
  for (const char* file : {"", "-wal"}) {
    ASSERT_EQ(stat((path + file).c_str(), &status), 0) << file;
    EXPECT_EQ(status.st_mode & 0777, 0600u) << file;
  }
}

TEST(SqliteStore, WhatIsNotOursIsRefusedWithItsName) {
  TemporaryDirectory directory;
  const std::string path = directory.path() + "/state.db";
  std::ofstream(path) << std::string(8192, 'x');
  EXPECT_THAT(open_error(directory.path()), HasSubstr("cannot use " + path));
  EXPECT_THAT(open_error(directory.path()), HasSubstr("not a database"));
  std::filesystem::remove(path);
  open_store(directory.path());
  EXPECT_EQ(std::system(("sqlite3 " + path + " 'UPDATE meta SET schema_version = 3'").c_str()), 0);
  EXPECT_THAT(open_error(directory.path()), HasSubstr("newer berth (schema 3, this one knows up to 2)"));
  EXPECT_EQ(std::system(("sqlite3 " + path + " 'PRAGMA application_id = 7'").c_str()), 0);
  EXPECT_THAT(open_error(directory.path()), HasSubstr("not one of berth's"));
  EXPECT_THAT(open_error(directory.path() + "/no/such"), HasSubstr("mkdir"));
}

TEST(SqliteStore, ACorruptFileIsAnErrorNotACrash) {
  TemporaryDirectory directory;
  {
    Opened opened = open_store(directory.path());
    for (int i = 0; i < 200; ++i) {
      ASSERT_TRUE(opened.store->apply(put("k" + std::to_string(i), std::string(3000, 'x'), Durability::derived)));
    }
  }
  const std::string path = directory.path() + "/state.db";
  const auto size = std::filesystem::file_size(path);
  ASSERT_GT(size, 100'000u);
  std::filesystem::copy(path, path + ".whole");
  int refused = 0, loaded = 0;
  for (uintmax_t at = 0; at < size; at += 4096) {
    std::filesystem::copy(path + ".whole", path, std::filesystem::copy_options::overwrite_existing);
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(at));
    file << std::string(4096, '\xa5');
    file.close();
    (open_error(directory.path()) == "opened" ? loaded : refused)++;
  }
  std::filesystem::resize_file(path, 4096 * 3);
  EXPECT_THAT(open_error(directory.path()), HasSubstr("malformed"));
  EXPECT_GT(refused, 25);
  EXPECT_LE(loaded, 2) << "but for pages that hold nothing any more";
}

TEST(SqliteStore, ADamagedValueIsToldByItsKey) {
  TemporaryDirectory directory;
  {
    Opened opened = open_store(directory.path());
    ASSERT_TRUE(opened.store->apply(put("whole", "v", Durability::derived)));
    ASSERT_TRUE(opened.store->apply(put("bitten", std::string(300, 'v'), Durability::derived)));
  }
  const std::string path = directory.path() + "/state.db";
  EXPECT_EQ(std::system(("sqlite3 " + path +
                         " \"UPDATE entries SET value = replace(value, 'vvv', 'vvw')"
                         " WHERE key = x'62697474656e'\"")
                            .c_str()),
            0);
  EXPECT_THAT(open_error(directory.path()), HasSubstr("the value of bitten is damaged"));
}

TEST(SqliteStore, AFileOfTheFirstVersionIsTakenOver) {
  TemporaryDirectory directory;
  {
    Opened opened = open_store(directory.path());
    ASSERT_TRUE(opened.store->apply(put("k", "v", Durability::derived)));
  }
  EXPECT_EQ(std::system(("sqlite3 " + directory.path() +
                         "/state.db 'ALTER TABLE entries DROP COLUMN checksum; UPDATE meta SET schema_version = 1'")
                            .c_str()),
            0);
  {
    Opened opened = open_store(directory.path());
    ASSERT_TRUE(opened.store);
    EXPECT_TRUE(opened.store->get("k"));
    ASSERT_TRUE(opened.store->apply(put("k2", "v", Durability::derived)));
  }
  Opened again = open_store(directory.path());
  EXPECT_EQ(again.store->range("k").size(), 2u);
}

TEST(SqliteStore, DerivedTransactionsDoNotWaitForAnFsync) {
  TemporaryDirectory directory;
  Opened opened = open_store(directory.path());
  SqliteStore& store = *opened.store;
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(store.apply(put("k", std::to_string(i), Durability::derived)));
    opened.waker->settle_all(store);
  }
  EXPECT_EQ(store.counters().commits_synced, 0u);
  EXPECT_EQ(store.counters().transactions, 100u);
  ASSERT_TRUE(store.apply(put("k", "last", Durability::acknowledged)));
  opened.waker->settle_all(store);
  EXPECT_EQ(store.counters().commits_synced, 1u);
}

TEST(SqliteStore, TheLogIsMovedIntoTheFileWhenItHasGrown) {
  TemporaryDirectory directory;
  {
    Opened opened = open_store(directory.path());
    for (int i = 0; i < 6000; ++i) {
      ASSERT_TRUE(opened.store->apply(put("k" + std::to_string(i % 50), std::string(8000, 'a'), Durability::derived)));
      if (i % 100 == 0) opened.waker->settle_all(*opened.store);
    }
    // A pass runs beside the commits, and is counted by the first one after its end.
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    do {
      ASSERT_TRUE(opened.store->apply(put("k0", "a", Durability::derived)));
      opened.waker->settle_all(*opened.store);
    } while (opened.store->counters().checkpoints == 0 && std::chrono::steady_clock::now() < until);
    EXPECT_GE(opened.store->counters().checkpoints, 1u);
    EXPECT_LT(std::filesystem::file_size(directory.path() + "/state.db-wal"), 40u << 20);
  }
  EXPECT_FALSE(std::filesystem::exists(directory.path() + "/state.db-wal"));
  Opened again = open_store(directory.path());
  EXPECT_EQ(again.store->range("k").size(), 50u);
}

TEST(SqliteStore, AFullDiskIsNotAskedAgainAndAgain) {
  TemporaryDirectory directory;
  register_faulty_vfs();
  Opened opened = open_store(directory.path(), {.vfs = kFaultyVfs});
  SqliteStore& store = *opened.store;
  set_fault(Fault::full);
  // As control does: what was rolled back is decided and written anew.
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(500);
  while (std::chrono::steady_clock::now() < until) {
    ASSERT_TRUE(store.apply(put("k", "v", Durability::derived)));
    opened.waker->settle_all(store);
  }
  EXPECT_LE(store.counters().failures, 5u);
  EXPECT_GE(store.counters().failures, 2u);
  set_fault(Fault::none);
  ASSERT_TRUE(store.apply(put("k", "v", Durability::acknowledged)));
  opened.waker->settle_all(store);
  EXPECT_TRUE(store.get("k"));
}

// After a failed fsync nothing is acknowledged before the whole log is known to be in the main file.
TEST(SqliteStore, AFailedFsyncIsRolledBackAndRepaired) {
  TemporaryDirectory directory;
  register_faulty_vfs();
  {
    Opened opened = open_store(directory.path(), {.vfs = kFaultyVfs});
    SqliteStore& store = *opened.store;
    ASSERT_TRUE(store.apply(put("derived", "1", Durability::derived)));
    opened.waker->settle_all(store);
    set_fault(Fault::sync_error);
    for (int i = 0; i < 3; ++i) {
      ASSERT_TRUE(store.apply(put("lost", "1", Durability::acknowledged)));
      opened.waker->settle_all(store);
      EXPECT_FALSE(store.get("lost"));
      EXPECT_THAT(store.last_failure(), HasSubstr("disk I/O error"));
    }
    EXPECT_EQ(store.counters().checkpoints, 0u);
    set_fault(Fault::none);
    const auto kept = store.apply(put("kept", "1", Durability::acknowledged));
    opened.waker->settle_all(store);
    EXPECT_EQ(store.durable(), kept);
    EXPECT_EQ(store.counters().checkpoints, 1u);
  }
  Opened again = open_store(directory.path());
  EXPECT_TRUE(again.store->get("derived"));
  EXPECT_TRUE(again.store->get("kept"));
  EXPECT_FALSE(again.store->get("lost"));
}

// Below: a child process that applies as fast as it can and tells the parent, over a pipe, what was
// acknowledged.
struct Ack {
  uint64_t number;
  uint64_t revision;
};

[[noreturn]] void commit_for_ever(const std::string& directory, int acks, uint64_t first) {
  Waker waker;
  auto opened = SqliteStore::open(directory, waker.function());
  if (!opened) _exit(3);
  SqliteStore& store = **opened;
  int in_flight = 0;
  for (uint64_t number = first;;) {
    while (in_flight < 16) {
      const auto durability = number % 3 == 0 ? Durability::derived : Durability::acknowledged;
      Transaction transaction = put("n/" + std::to_string(number), std::string(500, 'v'), durability);
      transaction.put("last", std::to_string(number));
      const auto revision = store.apply(std::move(transaction));
      if (!revision) _exit(4);
      ++in_flight;
      store.when_durable(*revision, [&, ack = Ack{number, *revision}](bool durable) {
        --in_flight;
        if (!durable || write(acks, &ack, sizeof ack) != sizeof ack) _exit(5);
      });
      ++number;
    }
    waker.wait();
    store.settle();
  }
}

TEST(SqliteStore, KillAtAnyMomentLosesNothingAcknowledged) {
  TemporaryDirectory directory;
  uint64_t next = 0;
  for (int round = 0; round < 25; ++round) {
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
    Fd reader(ends[0]), writer(ends[1]);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) commit_for_ever(directory.path(), writer.get(), next);
    writer.reset();
    // Some acknowledgements, a different number each round, then the axe; then what was still in the pipe.
    Ack last{};
    const int wanted = 1 + round * round * 3;
    for (int got = 0; got < wanted; ++got) {
      ASSERT_EQ(read(reader.get(), &last, sizeof last), static_cast<ssize_t>(sizeof last));
    }
    kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "exit status " << WEXITSTATUS(status);
    for (Ack ack{}; read(reader.get(), &ack, sizeof ack) == static_cast<ssize_t>(sizeof ack);) last = ack;

    Opened opened = open_store(directory.path());
    ASSERT_TRUE(opened.store);
    ASSERT_GE(opened.store->head(), last.revision);
    for (uint64_t number = 0; number <= last.number; ++number) {
      ASSERT_TRUE(opened.store->get("n/" + std::to_string(number))) << number << " of " << last.number;
    }
    // All or nothing: the other write of the newest transaction is there as well, and nothing newer.
    next = std::stoull(opened.store->get("last")->value->bytes()) + 1;
    ASSERT_FALSE(opened.store->get("n/" + std::to_string(next)));
    ASSERT_EQ(opened.store->range("n/").size(), next);
  }
}

// The kernel's own refusal to let a file grow, not a shim's.
TEST(SqliteStore, AFileThatMayNotGrowIsAFailedCommit) {
  TemporaryDirectory directory;
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    signal(SIGXFSZ, SIG_IGN);
    Opened opened = open_store(directory.path());
    SqliteStore& store = *opened.store;
    rlimit limit{};
    getrlimit(RLIMIT_FSIZE, &limit);
    const rlimit small{1 << 20, limit.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    int kept = 0, refused = 0;
    for (int i = 0; i < 400 && refused < 5; ++i) {  // each refusal is followed by a pause
      const auto revision = store.apply(put("k" + std::to_string(i), std::string(8000, 'x'), Durability::acknowledged));
      opened.waker->settle_all(store);
      ++(store.durable() == *revision ? kept : refused);
    }
    if (refused == 0 || kept == 0 || store.range("k").size() != static_cast<size_t>(kept)) _exit(10);
    setrlimit(RLIMIT_FSIZE, &limit);
    const auto revision = store.apply(put("after", "1", Durability::acknowledged));
    opened.waker->settle_all(store);
    if (store.durable() != *revision) _exit(11);
    opened.store.reset();
    opened = open_store(directory.path());
    _exit(opened.store->get("after") && opened.store->range("k").size() == static_cast<size_t>(kept) ? 0 : 12);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

// Figures, not thresholds: BERTH_BENCH_TRANSACTIONS=100000 for those worth quoting.
double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

TEST(SqliteStoreFigures, AcknowledgedTransactionsPerSecond) {
  TemporaryDirectory directory;
  const char* asked = getenv("BERTH_BENCH_TRANSACTIONS");
  const int total = asked ? atoi(asked) : 2000;
  {
    Fd file(open((directory.path() + "/probe").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    const std::string page(4096, 'x');
    const int rounds = std::min(total / 4, 2000);
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < rounds; ++i) {
      ASSERT_EQ(pwrite(file.get(), page.data(), page.size(), i * 4096), 4096);
      ASSERT_EQ(fdatasync(file.get()), 0);
    }
    printf("fdatasync of appended 4 KiB: %.0f/s\n", rounds / seconds_since(start));
  }
  for (const auto& [durability, keys] : std::vector<std::pair<Durability, int>>{
           {Durability::acknowledged, total}, {Durability::acknowledged, 1}, {Durability::derived, 1000}}) {
    Opened opened = open_store(directory.path() + "/" + std::to_string(keys));
    SqliteStore& store = *opened.store;
    const auto start = std::chrono::steady_clock::now();
    int done = 0, sent = 0;
    std::vector<double> latencies;
    while (done < total) {
      for (; sent < total && sent - done < 64; ++sent) {
        const auto began = std::chrono::steady_clock::now();
        const auto revision = store.apply(put("td/" + std::to_string(sent % keys), std::string(3000, 'v'), durability));
        store.when_durable(*revision, [&, began](bool durable) {
          BERTH_ASSERT(durable);
          latencies.push_back(seconds_since(began));
          ++done;
        });
      }
      opened.waker->wait();
      store.settle();
    }
    const double seconds = seconds_since(start);
    std::sort(latencies.begin(), latencies.end());
    const auto counters = store.counters();
    printf(
        "%s, %d keys of 3 KB, 64 in flight: %.0f transactions/s, %.0f commits/s, %llu checkpoints; "
        "p50 %.2f ms, p99 %.2f ms, max %.1f ms\n",
        durability == Durability::acknowledged ? "acknowledged" : "derived", keys, total / seconds,
        static_cast<double>(counters.commits) / seconds, static_cast<unsigned long long>(counters.checkpoints),
        latencies[latencies.size() / 2] * 1e3, latencies[latencies.size() * 99 / 100] * 1e3, latencies.back() * 1e3);
  }
}

}  // namespace
}  // namespace berth::state
