// Tasks: from what was asked and what the agent saw to what shall be (control/lifecycle decides). Objects are tasks' paths,
// "<account>/<region>/<cluster>/<id>".
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "control/loop/controller.h"
#include "control/loop/hosts.h"
#include "control/loop/network_controller.h"
#include "control/loop/order_writer.h"
#include "control/loop/settings.h"
#include "control/placement/placement.h"
#include "records/keys.h"
#include "records/task.h"
#include "records/task_index.h"

namespace berth::control {

class TaskController final : public Controller {
 public:
  // Told of each decided status of a service's task; the status before is null for the first.
  using Decided = std::function<void(const records::keys::TaskPath&, const std::string& service,
                                     const records::TaskStatus* before, const records::TaskStatus& after)>;

  // Everything is borrowed and outlives it.
  TaskController(state::Store& store, records::TaskIndex& index, const records::NetworkIndex& addresses,
                 const Hosts& hosts, NetworkController& networks, Random& random, const Settings& settings)
      : store_(store),
        index_(index),
        addresses_(addresses),
        hosts_(hosts),
        networks_(networks),
        random_(random),
        orders_(store, random),
        settings_(settings) {}
  void tell(Decided decided) { decided_ = std::move(decided); }
  // Of a task whose keys somebody else in control has written.
  void decide_again(const std::string& path) { agenda().now(path); }

  std::vector<std::string_view> prefixes() const override;
  void begin_again() override;
  void changed(const state::Change& change) override;
  void decide(const std::string& path, TimeMs now_ms) override;

 private:
  void find_subnets(lifecycle::TaskSnapshot& snapshot) const;
  // The plan as writes; the order to the task's host with it. The error's context is why no host can run the task.
  Result<void> write(state::Transaction& transaction, const lifecycle::TaskSnapshot& task,
                     const lifecycle::TaskPlan& plan, TimeMs now_ms) const;
  void keep_interface(state::Transaction& transaction, const lifecycle::TaskSnapshot& task,
                      const records::TaskStatus& after, TimeMs now_ms) const;
  void keep_registrations(state::Transaction& transaction, const lifecycle::TaskSnapshot& task,
                          const records::TaskStatus& after, TimeMs now_ms) const;
  void note(std::string_view name) const { rare(settings_.rare, name); }

  state::Store& store_;
  records::TaskIndex& index_;
  const records::NetworkIndex& addresses_;
  const Hosts& hosts_;
  NetworkController& networks_;
  Random& random_;
  const OrderWriter orders_;
  const Settings settings_;
  Decided decided_;
};

}  // namespace berth::control
