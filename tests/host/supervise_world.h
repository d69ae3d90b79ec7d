// A little machine for one test: a state directory, an image of busybox, an instance of its own, and the daemon's side of
// supervisors with everything that they reported. Ends and removes all of it when the test ends, however it ends.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/runtime/container_spec.h"
#include "agent/runtime/filters.h"
#include "agent/runtime/probe.h"
#include "agent/supervise/supervisors.h"

namespace berth::host_test {

struct Seen {
  std::string task;
  taskdir::Fact fact;
};

class SuperviseWorld : public testing::Test, public agent::SupervisorEvents {
 protected:
  void SetUp() override;
  void TearDown() override;

  // A task definition in small: what a test changes, it changes before run().
  struct Container {
    taskdir::ContainerPlan plan;
    runtime::ContainerSpec spec;
  };
  // A container "<name>" that runs `script` by the image's shell.
  Container container(const std::string& name, const std::string& script) const;
  // One that waits until it is told to stop, and does so at whatever moment: a first process without a handler ignores
  // SIGTERM, the init process does not.
  Container idle(const std::string& name) const;
  // Spawns the task's supervisor and starts its containers in order.
  std::string run(std::vector<Container> containers, uint64_t memory_limit_bytes = 0);
  taskdir::Plan plan_of(const std::string& task, const std::vector<Container>& containers) const;
  // Spawns without starting.
  Result<void> spawn(const taskdir::Plan& plan, std::vector<Container> containers);
  void start(const std::string& task, uint32_t index);
  void stop(const std::string& task);
  std::string new_task_id();

  // Runs the loop until the condition holds; false after 30 s.
  bool wait(const std::function<bool()>& condition);
  const taskdir::Fact* find(const std::string& task, taskdir::FactKind kind, uint32_t container = taskdir::kNoContainer,
                            uint32_t attempt = 0) const;
  // Waits for the fact; fails the test and gives an empty one when it does not come.
  taskdir::Fact await(const std::string& task, taskdir::FactKind kind, uint32_t container = taskdir::kNoContainer,
                      uint32_t attempt = 0);
  bool await_gone(const std::string& task);
  // Runs one container to its end.
  taskdir::Fact run_to_end(Container one);
  // What the last run_to_end() or the named container wrote to its log, an event a line.
  std::vector<std::string> lines(const std::string& task, const std::string& container) const;
  std::vector<std::string> last_lines() const { return lines(last_task_, "main"); }
  taskdir::Reply execute(const std::string& task, std::vector<std::string> arguments, uint32_t timeout_ms);

  // A new daemon takes the place of the old one.
  agent::AdoptReport restart_daemon();

  void fact(const std::string& task_id, const taskdir::Fact& fact) override;
  void executed(const std::string& task_id, const taskdir::Reply& reply) override;
  void gone(const std::string& task_id, const std::string& reason) override;

  std::string directory_;  // of the whole world
  std::string instance_;
  std::string image_;  // a layer
  runtime::Runtime runtime_;
  runtime::Filters filters_{BERTH_SECCOMP};
  bool compiled_filters_ = true;  // false: the runtime makes its filter of the profile
  std::unique_ptr<agent::EventLoop> loop_;
  std::unique_ptr<agent::Supervisors> supervisors_;
  std::deque<Seen> facts_;
  // By task: facts that were told, and those that this daemon has read. A daemon reads each journal from its beginning.
  std::map<std::string, size_t> facts_known_, facts_read_;
  std::map<std::string, std::string> gone_;  // task → reason
  std::vector<taskdir::Reply> replies_;
  std::string last_task_;
  uint64_t executions_ = 0;

 private:
  void make_image();
  int tasks_ = 0;
};

// True while the process is there and not a zombie.
bool is_alive(uint32_t pid);
std::string read_file(const std::string& path);
std::string log_directory(const std::string& world, const std::string& task, const std::string& container);

}  // namespace berth::host_test
