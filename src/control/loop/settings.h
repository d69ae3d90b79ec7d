// What the controllers are told at their construction.
#pragma once

#include <cstdint>

#include "base/ipv4.h"
#include "base/rare.h"
#include "control/deployment/deployment.h"
#include "control/lifecycle/lifecycle.h"
#include "control/loop/retention.h"

namespace berth::control {

// Mistakes that the simulator plants to see that its checkers catch them; `none` everywhere else.
enum class PlantedBug {
  none,
  writes_what_the_agent_saw,  // says itself that a task is released
  forgets_timers,             // arms none
  ignores_failed_commits,     // goes on as if what was rolled back were there
  never_erases_services,      // INACTIVE ones stay for ever
  stops_are_derived,          // power loss may take the decision that a task stops
};

struct Settings {
  Ipv4Network public_pool{{0xC6120000}, 20};  // 198.18.0.0/20: what public addresses of tasks are taken from
  lifecycle::Settings lifecycle = {};
  deployment::Settings deployment = {};
  RetentionSettings retention = {};
  size_t decisions_max = 512;  // of one run(); more are left for the next, which is then due at once
  RareBranches* rare = nullptr;
  PlantedBug bug = PlantedBug::none;
};

// The decision that a task stops is on the disk before the agent hears of it and gives back the task's directory. Were it
// derived, power loss could take it after the directory is gone, and a task that had ended would run again: neither the store
// nor the machine would know of its end. Found by the simulator. All other plans are derived.
inline state::Durability stop_durability(const Settings& settings) {
  return settings.bug == PlantedBug::stops_are_derived ? state::Durability::derived : state::Durability::acknowledged;
}

}  // namespace berth::control
