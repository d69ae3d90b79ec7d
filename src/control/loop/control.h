// The loop with the controllers that Berth has, in their order.
#pragma once

#include <memory>
#include <optional>

#include "base/random.h"
#include "control/loop/hosts.h"
#include "control/loop/loop.h"
#include "control/loop/service_controller.h"
#include "control/loop/task_controller.h"
#include "records/task_index.h"
#include "state/store.h"

namespace berth::control {

class Control {
 public:
  // Everything is borrowed and outlives it.
  Control(state::Store& store, records::TaskIndex& index, const records::NetworkIndex& addresses, Random& random,
          const Settings& settings, NetworkController::Sink sink);

  std::optional<TimeMs> run(TimeMs now_ms) { return loop_->run(now_ms); }
  // Services are not decided any more: the daemon is ending and takes its tasks along. What they want is still kept.
  void hold_services(bool held = true) { services_->hold(held); }
  // What was handed on, whole.
  dataplane::HostNetwork network() const { return networks_->network(); }
  uint64_t decisions() const { return loop_->decisions(); }

 private:
  const Hosts hosts_;
  NetworkController* networks_;
  TaskController* tasks_;
  ServiceController* services_;
  std::unique_ptr<Loop> loop_;
};

}  // namespace berth::control
