// Cloud Map's part of control: ends operations, lets a change of health come true after its 30 s, and forgets operations that
// ended a day ago. An object is a record's key.
#pragma once

#include "control/loop/controller.h"
#include "state/store.h"

namespace berth::control {

class DiscoveryController final : public Controller {
 public:
  explicit DiscoveryController(state::Store& store) : store_(store) {}

  std::vector<std::string_view> prefixes() const override;
  void begin_again() override;
  void changed(const state::Change& change) override;
  void decide(const std::string& object, TimeMs now_ms) override;

 private:
  void decide_operation(const std::string& key, TimeMs now_ms);
  void decide_health(const std::string& key, TimeMs now_ms);
  void commit(const std::string& key, state::Transaction transaction);

  state::Store& store_;
};

inline constexpr TimeMs kOperationKeptMs = 24 * 60 * 60 * 1000;

}  // namespace berth::control
