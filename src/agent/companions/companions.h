// Processes that outlive the daemon, as supervisors do, and serve the whole host: one of a kind. One is started when its first
// user comes and ended when its last one goes; one that ends by itself is started again, later and later.
//
//   /run/berth/<instance>/companions/<name>/
//   ├── owner     whose process it is (taskdir/owner.h): pid, start time, boot
//   ├── socket    where it listens; made here and handed to it as descriptor 3, so that connecting never comes too early
//   └── log       its standard error, of its latest start
//
// It is in the cgroup berth-<instance>/supervisors and in a session of its own.
//
// Thread: the loop's, but for list() and end_all().
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "agent/event_loop.h"
#include "base/fd.h"
#include "base/result.h"
#include "taskdir/plan.h"

namespace berth::agent {

struct CompanionKind {
  std::string name;                    // "resolver": a file name
  std::string program;                 // absolute
  std::vector<std::string> arguments;  // "fd:3" is its socket
  // The process runs: it was started, found again, or started once more. `socket`: connect there.
  std::function<void(const std::string& socket)> running;
};

struct CompanionsOptions {
  std::string directory;  // <instance>/companions
  std::string instance;
  std::string cgroup_root = "/sys/fs/cgroup";
  taskdir::CgroupMode cgroup_mode = taskdir::CgroupMode::v2;
};

class Companions {
 public:
  Companions(EventLoop& loop, CompanionsOptions options);
  ~Companions();  // they go on
  Companions(const Companions&) = delete;
  Companions& operator=(const Companions&) = delete;

  // Finds the one that an earlier daemon left.
  void add(CompanionKind kind);
  void use(const std::string& name, const std::string& user);
  void release(const std::string& name, const std::string& user);
  // All users are known now: one that has none is ended. Called once after a start.
  void settle();

  uint32_t pid(const std::string& name) const;  // 0: it does not run

  // What is there, running or not, of the instance whose directory is given. Any thread.
  struct Seen {
    std::string name;
    uint32_t pid = 0;  // 0: it has ended
  };
  static std::vector<Seen> list(const std::string& directory);
  // Ends every one and removes what it left; waits for some seconds at most. Any thread, while nobody runs the loop.
  static Result<void> end_all(const std::string& directory);

 private:
  struct Companion;
  void start(Companion& companion);
  Result<void> spawn(Companion& companion);
  void watch(Companion& companion);
  void ended(Companion& companion);
  void end(Companion& companion);
  std::string directory_of(const std::string& name) const { return options_.directory + "/" + name; }

  EventLoop& loop_;
  const CompanionsOptions options_;
  std::map<std::string, std::unique_ptr<Companion>> companions_;
  bool settled_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // timers outlive this object in the loop
};

}  // namespace berth::agent
