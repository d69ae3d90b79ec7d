#include "state/test_backend.h"

#include <sqlite3.h>
#include <stdlib.h>

#include <cstring>
#include <filesystem>

#include "base/assert.h"
#include "state/memory_store.h"
#include "state/sqlite_store.h"

namespace berth::state {

TemporaryDirectory::TemporaryDirectory() {
  std::string pattern = (std::filesystem::temp_directory_path() / "berth-state-XXXXXX").string();
  BERTH_ASSERT(mkdtemp(pattern.data()) != nullptr);
  path_ = pattern;
}
TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::function<void()> Waker::function() {
  return [this] {
    std::lock_guard guard(mutex_);
    pending_ = true;
    woken_.notify_all();
  };
}
void Waker::wait() {
  std::unique_lock guard(mutex_);
  woken_.wait(guard, [this] { return pending_; });
  pending_ = false;
}
void Waker::settle_all(Store& store) {
  while (store.durable() != store.head()) {
    wait();
    store.settle();
  }
  store.settle();  // watches taken meanwhile
}

namespace {

std::atomic<Fault> fault{Fault::none};

struct FaultyFile {
  sqlite3_file base;
  sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};
FaultyFile* faulty(sqlite3_file* file) { return reinterpret_cast<FaultyFile*>(file); }
sqlite3_vfs* real_vfs() { return sqlite3_vfs_find("unix"); }

const sqlite3_io_methods* methods() {
  static sqlite3_io_methods table = [] {
    sqlite3_io_methods m{};
    m.iVersion = 2;  // with the shared memory of the log's index
    m.xClose = [](sqlite3_file* f) { return faulty(f)->real()->pMethods->xClose(faulty(f)->real()); };
    m.xRead = [](sqlite3_file* f, void* to, int n, sqlite3_int64 at) {
      return faulty(f)->real()->pMethods->xRead(faulty(f)->real(), to, n, at);
    };
    m.xWrite = [](sqlite3_file* f, const void* from, int n, sqlite3_int64 at) {
      if (fault == Fault::full) return SQLITE_FULL;
      if (fault == Fault::write_error) return SQLITE_IOERR_WRITE;
      return faulty(f)->real()->pMethods->xWrite(faulty(f)->real(), from, n, at);
    };
    m.xTruncate = [](sqlite3_file* f, sqlite3_int64 size) {
      return faulty(f)->real()->pMethods->xTruncate(faulty(f)->real(), size);
    };
    m.xSync = [](sqlite3_file* f, int flags) {
      if (fault == Fault::sync_error) return SQLITE_IOERR_FSYNC;
      return faulty(f)->real()->pMethods->xSync(faulty(f)->real(), flags);
    };
    m.xFileSize = [](sqlite3_file* f, sqlite3_int64* size) {
      return faulty(f)->real()->pMethods->xFileSize(faulty(f)->real(), size);
    };
    m.xLock = [](sqlite3_file* f, int lock) { return faulty(f)->real()->pMethods->xLock(faulty(f)->real(), lock); };
    m.xUnlock = [](sqlite3_file* f, int lock) { return faulty(f)->real()->pMethods->xUnlock(faulty(f)->real(), lock); };
    m.xCheckReservedLock = [](sqlite3_file* f, int* out) {
      return faulty(f)->real()->pMethods->xCheckReservedLock(faulty(f)->real(), out);
    };
    m.xFileControl = [](sqlite3_file* f, int op, void* arg) {
      return faulty(f)->real()->pMethods->xFileControl(faulty(f)->real(), op, arg);
    };
    m.xSectorSize = [](sqlite3_file* f) { return faulty(f)->real()->pMethods->xSectorSize(faulty(f)->real()); };
    m.xDeviceCharacteristics = [](sqlite3_file* f) {
      return faulty(f)->real()->pMethods->xDeviceCharacteristics(faulty(f)->real());
    };
    m.xShmMap = [](sqlite3_file* f, int page, int size, int extend, void volatile** out) {
      return faulty(f)->real()->pMethods->xShmMap(faulty(f)->real(), page, size, extend, out);
    };
    m.xShmLock = [](sqlite3_file* f, int offset, int n, int flags) {
      return faulty(f)->real()->pMethods->xShmLock(faulty(f)->real(), offset, n, flags);
    };
    m.xShmBarrier = [](sqlite3_file* f) { faulty(f)->real()->pMethods->xShmBarrier(faulty(f)->real()); };
    m.xShmUnmap = [](sqlite3_file* f, int remove) {
      return faulty(f)->real()->pMethods->xShmUnmap(faulty(f)->real(), remove);
    };
    return m;
  }();
  return &table;
}

}  // namespace

void register_faulty_vfs() {
  static const bool registered = [] {
    static sqlite3_vfs vfs = *real_vfs();
    vfs.zName = kFaultyVfs;
    vfs.szOsFile = static_cast<int>(sizeof(FaultyFile)) + real_vfs()->szOsFile;
    vfs.xOpen = [](sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out) {
      memset(file, 0, sizeof(FaultyFile));
      const int code = real_vfs()->xOpen(real_vfs(), name, faulty(file)->real(), flags, out);
      if (code == SQLITE_OK) file->pMethods = methods();
      return code;
    };
    return sqlite3_vfs_register(&vfs, 0) == SQLITE_OK;
  }();
  BERTH_ASSERT(registered);
}

void set_fault(Fault next) { fault = next; }

namespace {

class MemoryBackend final : public Backend {
 public:
  void open() override { store_ = std::make_unique<MemoryStore>(); }
  Store& store() override { return *store_; }
  void settle_all() override {
    do store_->settle();
    while (store_->something_queued());
    store_->settle();  // watches taken meanwhile
  }
  void fail_commits() override { store_->fail_next_commits(1'000'000); }
  void heal_commits() override { store_->fail_next_commits(0); }
  void restart() override { store_ = std::make_unique<MemoryStore>(store_->after_kill()); }

 private:
  std::unique_ptr<MemoryStore> store_;
};

class SqliteBackend final : public Backend {
 public:
  explicit SqliteBackend(Fault fault) : fault_(fault) { register_faulty_vfs(); }
  ~SqliteBackend() override { set_fault(Fault::none); }
  void open() override {
    auto opened = SqliteStore::open(directory_.path() + "/state", waker_.function(), {.vfs = kFaultyVfs});
    BERTH_ASSERT(opened.has_value());
    store_ = std::move(*opened);
  }
  Store& store() override { return *store_; }
  void settle_all() override { waker_.settle_all(*store_); }
  void fail_commits() override { set_fault(fault_); }
  void heal_commits() override { set_fault(Fault::none); }
  void restart() override {
    store_.reset();
    open();
  }

 private:
  TemporaryDirectory directory_;
  Waker waker_;
  Fault fault_;
  std::unique_ptr<SqliteStore> store_;
};

}  // namespace

std::vector<BackendFactory> backend_factories() {
  return {{"Memory", [] { return std::make_unique<MemoryBackend>(); }},
          {"Sqlite", [] { return std::make_unique<SqliteBackend>(Fault::full); }},
          {"SqliteWriteError", [] { return std::make_unique<SqliteBackend>(Fault::write_error); }}};
}

}  // namespace berth::state
