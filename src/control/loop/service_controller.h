// Services: how many tasks of which revision there should be (control/deployment decides). Objects are services' paths,
// "<account>/<region>/<cluster>/<service>". A service is decided once a round, however many of its tasks have changed, from the
// index and without ranging.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "control/loop/controller.h"
#include "control/loop/settings.h"
#include "control/loop/task_controller.h"
#include "records/service.h"
#include "records/task_index.h"

namespace berth::control {

class ServiceController final : public Controller {
 public:
  // Everything is borrowed and outlives it. `tasks` is told of tasks that services make and stop.
  ServiceController(state::Store& store, records::TaskIndex& index, const Hosts& hosts, Random& random,
                    TaskController& tasks, const Settings& settings)
      : store_(store), index_(index), hosts_(hosts), random_(random), tasks_(tasks), settings_(settings) {}

  // Held: services are not decided, as when the daemon ends and takes its tasks along. What they want is still kept, and decided
  // when they are no longer held.
  void hold(bool held);
  // Of a task of a service (TaskController::Decided).
  void task_decided(const records::keys::TaskPath& path, const std::string& service, const records::TaskStatus* before,
                    const records::TaskStatus& after);

  std::vector<std::string_view> prefixes() const override;
  void begin_again() override;
  void changed(const state::Change& change) override;
  void look() override;
  void decide(const std::string& path, TimeMs now_ms) override;

 private:
  struct Work {
    bool all_tasks = false;       // look at STOPPED ones too: failures may be uncounted
    std::set<std::string> ended;  // ids of tasks whose end has been decided since the last look
  };
  struct Waiting {
    int64_t needed_mib = 0;  // by one of its tasks
    uint64_t asked = 0;      // at which of the times that memory was given back
  };
  enum class Applied { yes, conflict, too_large };

  void look_again(const std::string& path, bool all_tasks = false);
  bool keep_own_events(const records::keys::ServicePath& path, const records::ServiceSpec& spec,
                       const std::optional<state::Entry>& status);
  void put_events(state::Transaction& transaction, const records::keys::ServicePath& path,
                  const std::vector<records::ServiceEvent>& events, records::ServiceStatus& status) const;
  void erase_inactive(const std::string& path, const state::Entry& spec, const std::optional<state::Entry>& status,
                      TimeMs now_ms);
  Applied apply_service_plan(const std::string& path, const deployment::ServicePlan& plan,
                             const std::optional<state::Entry>& status, const state::Entry& spec, TimeMs now_ms);
  std::vector<deployment::ServiceTask> tasks_of(const records::keys::ServicePath& path, const Work& work) const;
  void note(std::string_view name) const { rare(settings_.rare, name); }

  state::Store& store_;
  records::TaskIndex& index_;
  const Hosts& hosts_;
  Random& random_;
  TaskController& tasks_;
  const Settings settings_;
  bool held_ = false;
  std::map<std::string, Work> work_;
  std::map<std::string, Waiting> waiting_for_room_;
  int64_t left_mib_ = INT64_MIN;  // of all hosts, at the last look
  uint64_t times_given_back_ = 0;
  bool room_to_give_ = false;  // perhaps not all of what was given back is taken again
};

}  // namespace berth::control
