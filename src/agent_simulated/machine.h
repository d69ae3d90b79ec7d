// The machine that is played. It outlives the agent as supervisors outlive the daemon: an agent that is made
// again finds what runs. Time is an argument; nothing happens but in advance().
//
// Every process that is started is counted by task, container and number of the start, so that a checker can
// tell that none ran twice.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent_simulated/script.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/rare.h"
#include "records/host.h"
#include "records/task.h"
#include "records/task_definition.h"

namespace berth::agent_simulated {

// How long things take and how often they go wrong. The default is a machine on which all goes well, at once.
struct Conduct {
  struct Range {
    int64_t min_ms = 0;
    int64_t max_ms = 0;
  };
  Range pull, start, end, release;
  // Chances in a thousand.
  uint32_t pull_fails = 0;
  uint32_t start_fails = 0;
  uint32_t crashes = 0;          // a container ends by itself within crash_within
  uint32_t out_of_memory = 0;    // the same, killed for memory
  uint32_t turns_unhealthy = 0;  // a check turns bad within crash_within
  uint32_t supervisor_lost = 0;  // within crash_within
  Range crash_within{1, 20'000};
};

// A mistake that the simulator plants to see that its checkers catch it; `none` everywhere else.
enum class PlantedBug {
  none,
  starts_again_after_restart,  // does not adopt what runs
  restart_without_end,         // a container of a restart policy restarts at once, however short it ran
  ignore_dependencies,         // starts every container at once
};

class Machine {
 public:
  // `counts`: processes() is wanted; it grows for as long as the machine lives.
  Machine(Random& random, Conduct conduct, bool counts = true) : random_(random), conduct_(conduct), counts_(counts) {}

  void set_conduct(const Conduct& conduct) { conduct_ = conduct; }
  void set_rare(RareBranches* rare) { rare_ = rare; }
  void plant(PlantedBug bug) { bug_ = bug; }

  // Orders, as often as the agent likes: each only goes forward. `path` is records::keys::TaskPath::str().
  void order_run(const std::string& path, std::shared_ptr<const records::TaskOrder> order, TimeMs now_ms);
  void order_stop(const std::string& path, TimeMs now_ms);
  void forget(const std::string& path);  // what is left of it goes, whatever it was
  void reboot(TimeMs now_ms);            // every process is gone; task directories are not
  bool turn_unhealthy(TimeMs now_ms);    // every check of what runs turns bad; false where nothing is checked

  void advance(TimeMs now_ms);
  std::optional<TimeMs> next() const;

  bool has(const std::string& path) const { return tasks_.contains(path); }
  const records::TaskObserved* observed(const std::string& path) const;
  std::set<std::string> take_changed() { return std::exchange(changed_, {}); }
  std::vector<std::string> tasks() const;

  // For checkers. Running containers of a task; how often each start of each container has happened.
  int running(const std::string& path) const;
  const std::map<std::string, int>& processes() const { return processes_; }  // "path/container#n" → times
  struct Start {
    std::string path;
    size_t container;
    records::TaskObserved before;  // what it was decided by
  };
  std::vector<Start> take_starts() { return std::exchange(starts_, {}); }  // decided since the last call

 private:
  struct Container {
    const records::ContainerDefinition* definition = nullptr;
    Script script;
    TimeMs start_at_ms = 0;
    TimeMs exit_at_ms = 0;
    int exit_code = 0;
    bool out_of_memory = false;
    TimeMs healthy_at_ms = 0;
    TimeMs unhealthy_at_ms = 0;
  };
  struct Task {
    std::shared_ptr<const records::TaskOrder> order;
    std::vector<Container> containers;  // in the order of observed.containers
    std::vector<int> ordered;           // starts of each
    TimeMs decide_at_ms = 0;
    records::TaskObserved observed;
    bool stop = false;
    TimeMs provisioned_at_ms = 0;
    bool pull_fails = false;
    TimeMs lost_at_ms = 0;  // the supervisor's end
    TimeMs release_at_ms = 0;
  };

  void create(const std::string& path, Task& task, TimeMs now_ms);
  bool step(const std::string& path, Task& task, TimeMs now_ms);  // true: something happened
  bool decide(const std::string& path, Task& task, TimeMs now_ms);
  void order_start(const std::string& path, Task& task, size_t i, TimeMs now_ms);
  bool step_container(const std::string& path, Task& task, size_t i, TimeMs now_ms);
  void start(const std::string& path, Task& task, size_t i, TimeMs now_ms);
  void exit(Task& task, size_t i, TimeMs now_ms);
  void stop_all(Task& task, TimeMs now_ms);
  void fail(Task& task, std::string failure, TimeMs now_ms);
  TimeMs due(const Task& task) const;
  void schedule(const std::string& path, const Task& task);
  int64_t pick(Conduct::Range range);
  bool happens(uint32_t in_thousand) { return in_thousand > 0 && random_.below(1000) < in_thousand; }

  Random& random_;
  Conduct conduct_;
  const bool counts_;
  std::map<std::string, Task> tasks_;
  std::set<std::pair<TimeMs, std::string>> due_;
  std::map<std::string, TimeMs> due_of_;
  std::set<std::string> changed_;
  std::map<std::string, int> processes_;
  std::vector<Start> starts_;
  RareBranches* rare_ = nullptr;
  PlantedBug bug_ = PlantedBug::none;
  uint32_t addresses_ = 0;
};

}  // namespace berth::agent_simulated
