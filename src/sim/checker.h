// What must hold, told from records and the played machine alone: nothing here is shared with the code it
// checks, but the records.
//
// Kept in step with the head by the store. What control changes is looked at after each of its passes; what
// must be true at rest, when nothing goes wrong any more and time has passed.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "agent_simulated/machine.h"
#include "base/clock.h"
#include "records/service.h"
#include "records/task.h"
#include "records/task_definition.h"
#include "state/store.h"

namespace berth::sim {

class Checker final : public state::Index {
 public:
  using Machines = std::vector<std::unique_ptr<agent_simulated::Machine>>;

  explicit Checker(std::function<void(const std::string&)> violation) : violation_(std::move(violation)) {}

  // Feeds itself from the store, which was just made; what was known of an earlier one is forgotten, but not
  // which failures there have been.
  void attach(state::Store& store);
  void changed(const std::string& key, const state::ValuePtr& before, const state::ValuePtr& after) override;

  // Around each pass of control. `finished`: it has left nothing for the next pass.
  void before_control(TimeMs now_ms);
  void after_control(bool finished);

  // After each pass of the agent: what it started, and what could be seen before that.
  void check_starts(const std::vector<agent_simulated::Machine::Start>& starts);

  // Faults are over, and everything that takes time has had its time.
  void at_rest(const Machines& machines, TimeMs now_ms, int64_t memory_mib);
  // An hour later, all bad services deleted.
  void at_the_end(const Machines& machines, TimeMs now_ms);

  size_t tasks() const { return tasks_.size(); }

 private:
  struct Task {
    std::shared_ptr<const records::TaskSpec> spec;
    std::shared_ptr<const records::TaskIntent> intent;
    std::shared_ptr<const records::TaskStatus> status;
    std::shared_ptr<const records::TaskObserved> observed;
    bool live() const { return spec && !(status && status->desired == records::DesiredStatus::stopped); }
    bool empty() const { return !spec && !intent && !status && !observed; }
  };
  struct Service {
    std::shared_ptr<const records::ServiceSpec> spec;
    std::shared_ptr<const records::ServiceStatus> status;
    std::map<std::string, std::shared_ptr<const records::ServiceEvent>> events;  // by key: the oldest first
    std::set<std::string> fresh;  // of these, told since the status was last written
    int desired() const { return spec->scheduling_strategy == "DAEMON" ? 1 : spec->desired_count; }
  };

  void interface_changed(const state::ValuePtr& before, const state::ValuePtr& after);
  void check_interfaces();
  void status_changed(const std::string& path, const records::TaskStatus* before, const records::TaskStatus& after);
  void check_status(const std::string& path, const records::TaskStatus* before, const records::TaskStatus& after);
  void check_explained(const std::string& path, const Task& task, const records::TaskStatus& status);
  static bool met(const records::TaskObserved& observed, const records::Dependency& dependency);
  void check_maximum(const std::string& service);
  void check_minimum(const std::string& service);
  void check_service(const std::string& name, const Service& service, bool finished);
  void event_changed(const std::string& key, const state::ValuePtr& after);
  void check_told(const std::string& name, const Service& service, const std::set<std::string>& fresh);
  void check_completed(const std::string& name, const Service& service, const records::ServiceStatus* before);
  bool check_given_up(const std::string& name, const Service& service);
  void check_satisfied(const std::string& name, const Service& service, int64_t memory_mib);
  void check_held_back(const std::string& service);
  void check_processes(const Machines& machines);
  bool healthy(const Task& task, const records::TaskStatus& status) const;
  int count(const std::string& service, const std::function<bool(const Task&)>& predicate) const;
  const records::TaskDefinition* definition(const Task& task) const;
  bool is_left_ill(const Task& task) const;
  bool is_bad(const Task& task) const;  // of a service whose tasks cannot stay up
  bool told(const Service& service, const std::string& text) const;
  int64_t reserved_mib() const;
  void violated(const std::string& what) { violation_(what); }

  const std::function<void(const std::string&)> violation_;
  std::map<std::string, Task> tasks_;        // by path
  std::map<std::string, Service> services_;  // by name
  std::map<int64_t, std::shared_ptr<const records::TaskDefinition>> definitions_;
  std::map<std::string, int64_t> epochs_;  // of hosts
  std::map<std::string, std::string> interfaces_;  // owners by address
  TimeMs now_ = 0;

  // Of the pass of control that is under way.
  bool in_control_ = false;
  std::set<std::string> touched_services_;
  std::map<std::string, int> started_;          // new tasks by service
  std::map<std::string, int> stopped_healthy_;  // by service: healthy ones stopped by the scheduler
  // By service, since its status was last written: the tasks that the next events have to name.
  std::map<std::string, std::set<std::string>> to_be_told_started_, to_be_told_stopped_;

  // Over the whole run, restarts included.
  std::map<std::string, std::set<std::string>> failures_;        // tasks that failed, by deployment
  std::map<std::string, std::multiset<TimeMs>> failing_starts_;  // by service, since its spec changed, a minute long
};

}  // namespace berth::sim
