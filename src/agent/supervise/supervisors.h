// The daemon's side of all supervisors: starts them, finds them again, sends them commands, reads their journals, and
// cleans up behind one that died.
//
//   spawn() or adopt() ──▶ facts … ──▶ gone() ──▶ remove()
//
// Thread: the loop's. Nothing here waits; files that are read and written are small. Callbacks come from the loop or
// from within adopt(), and may call anything here but the destructor. Destroying it leaves every task running.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "agent/event_loop.h"
#include "agent/runtime/sealed_program.h"
#include "agent/supervise/remover.h"
#include "base/result.h"
#include "taskdir/journal.h"
#include "taskdir/message.h"
#include "taskdir/plan.h"

namespace berth::agent {

struct SupervisorsOptions {
  std::string tasks_directory;  // <state>/tasks; absolute; made where missing
  std::string program;          // berth-supervisor; absolute
  std::string instance;         // names this Berth's cgroups
  std::string cgroup_root = "/sys/fs/cgroup";
  taskdir::CgroupMode cgroup_mode = taskdir::CgroupMode::v2;
};

struct Bundle {
  std::string container;
  std::string config;  // the text of config.json
};

class SupervisorEvents {
 public:
  virtual ~SupervisorEvents() = default;
  // One fact of the journal, which is read from its beginning whenever a task is adopted.
  virtual void fact(const std::string& task_id, const taskdir::Fact& fact) = 0;
  virtual void executed(const std::string& task_id, const taskdir::Reply& reply) = 0;
  // The supervisor has ended and nothing of the task runs any more. Without a reason it had finished its work;
  // otherwise the reason says what happened ("the task's supervisor was killed").
  virtual void gone(const std::string& task_id, const std::string& reason) = 0;
};

struct AdoptReport {
  size_t running = 0;      // supervisors found alive
  size_t over = 0;         // ended while nobody looked: gone() has been or will be called
  size_t never_begun = 0;  // prepared, but no supervisor had started: removed, and knows() says no
  size_t set_aside = 0;    // not understood: killed where they have a cgroup, and moved to <tasks>/.aside
};

class Supervisors {
 public:
  Supervisors(EventLoop& loop, SupervisorsOptions options, SupervisorEvents& events);
  ~Supervisors();
  Supervisors(const Supervisors&) = delete;
  Supervisors& operator=(const Supervisors&) = delete;

  // Finds what earlier daemons left, and reads its journals from their beginning.
  AdoptReport adopt();

  // Makes the task's directory with its plan and bundles, and starts its supervisor. Volumes' directories
  // (<task>/volumes/<name>) are the caller's to make, before.
  Result<void> spawn(const taskdir::Plan& plan, const std::vector<Bundle>& bundles);
  // Replaces a bundle's config.json, for a container that is not running.
  Result<void> write_bundle(const std::string& task_id, const Bundle& bundle);

  bool knows(const std::string& task_id) const { return tasks_.contains(task_id); }
  std::vector<std::string> known() const;  // ids, in no order
  // The daemon's copy of the plan; null where the task is not known.
  const taskdir::Plan* plan(const std::string& task_id) const;
  Result<void> send(const std::string& task_id, const taskdir::Command& command);

  // Ends the supervisor at once, whatever state it is in; what it looks after goes with it, and gone() says `why`.
  void kill(const std::string& task_id, const std::string& why);

  // Removes the directory of a task that is gone (or was never spawned). The files go on another thread.
  void remove(const std::string& task_id);

  std::string directory(const std::string& task_id) const { return options_.tasks_directory + "/" + task_id; }

 private:
  struct Task;

  void adopt_one(const std::string& name, AdoptReport& report);
  void set_aside(const std::string& name);
  bool connect(Task& task);
  void await_owner(const std::string& task_id, int64_t until_ms);
  void take_over(Task& task, uint32_t pid);
  void watch(Task& task);
  void socket_readable(const std::string& task_id);
  void read_journal(Task& task);
  void condemn(Task& task, std::string why);
  void condemn_for_journal(Task& task);
  void process_ended(const std::string& task_id);
  void clean_up(const std::string& task_id, int64_t until_ms);
  std::string last_words(const Task& task) const;
  Task* find(const std::string& task_id);

  EventLoop& loop_;
  const SupervisorsOptions options_;
  SupervisorEvents& events_;
  std::unordered_map<std::string, std::unique_ptr<Task>> tasks_;
  std::unique_ptr<Remover> remover_;
  runtime::SealedProgram runtime_;
  std::shared_ptr<bool> alive_;  // timers outlive this object in the loop; they look here first
};

}  // namespace berth::agent
