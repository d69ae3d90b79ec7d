// A backend under the conformance suite, with the faults that the suite plays.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <ostream>
#include <string>
#include <vector>

#include "state/head_store.h"

namespace berth::state {

class Backend {
 public:
  virtual ~Backend() = default;
  virtual void open() = 0;
  virtual Store& store() = 0;
  virtual void settle_all() = 0;    // until everything applied is committed or rolled back, and delivered
  virtual void fail_commits() = 0;  // as on a full disk, until
  virtual void heal_commits() = 0;
  virtual void restart() = 0;  // as a new process over the same disk
};

struct BackendFactory {
  std::string name;
  std::function<std::unique_ptr<Backend>()> make;
};

inline void PrintTo(const BackendFactory& factory, std::ostream* out) { *out << factory.name; }  // gtest's name for it

std::vector<BackendFactory> backend_factories();

// An empty directory of this process's own, gone with the object.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// The wake function of a store with a commit thread, and the wait for it.
class Waker {
 public:
  std::function<void()> function();
  // Settles until everything applied is committed or rolled back, and delivered.
  void settle_all(Store& store);
  void wait();

 private:
  std::mutex mutex_;
  std::condition_variable woken_;
  bool pending_ = false;
};

// SQLite's default VFS with faults. Registered at first use as kFaultyVfs; one switch for all its files.
inline constexpr char kFaultyVfs[] = "berth-faulty";
enum class Fault { none, full, write_error, sync_error };
void register_faulty_vfs();
void set_fault(Fault fault);

}  // namespace berth::state
