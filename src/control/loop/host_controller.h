// Hosts: one whose agent has not been heard of for as long as its lease is given up. Its epoch grows, so that what its agent may
// still say counts for nothing, and its tasks are decided again: they are over, and their services start others elsewhere.
// Objects are hosts' ids.
#pragma once

#include <string>
#include <vector>

#include "control/loop/controller.h"
#include "control/loop/settings.h"
#include "control/loop/task_controller.h"
#include "records/task_index.h"

namespace berth::control {

class HostController final : public Controller {
 public:
  // Everything is borrowed and outlives it.
  HostController(state::Store& store, const records::TaskIndex& index, TaskController& tasks, const Settings& settings)
      : store_(store), index_(index), tasks_(tasks), settings_(settings) {}

  std::vector<std::string_view> prefixes() const override;
  void begin_again() override;
  void changed(const state::Change& change) override;
  void decide(const std::string& host, TimeMs now_ms) override;

 private:
  state::Store& store_;
  const records::TaskIndex& index_;
  TaskController& tasks_;
  const Settings settings_;
};

}  // namespace berth::control
