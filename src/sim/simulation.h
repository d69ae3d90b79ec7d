// One seeded run of the control plane: a user asks, things go wrong, then nothing goes wrong any more and the
// system must come to rest. The same seed is the same run on every machine.
//
//   trouble: steps of the user, kills, power losses, failing commits, machines that misbehave or are cut off
//   calm:    kRestMs in which all services must have come to rest, or say why not
//   end:     bad services deleted, an hour passes, every STOPPED task is gone
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent_simulated/agent.h"
#include "agent_simulated/machine.h"
#include "base/random.h"
#include "base/rare.h"
#include "control/loop/control.h"
#include "control/loop/hosts.h"
#include "records/network_index.h"
#include "records/task_index.h"
#include "sim/authored_store.h"
#include "sim/checker.h"
#include "sim/workload.h"
#include "state/memory_store.h"

namespace berth::sim {

// The stated bound: the longest back-off, 15 minutes, and what comes after it.
inline constexpr int64_t kRestMs = 20 * 60'000;

// One mistake planted, or none.
struct Planted {
  control::PlantedBug loop = control::PlantedBug::none;
  control::lifecycle::PlantedBug lifecycle = control::lifecycle::PlantedBug::none;
  control::deployment::PlantedBug deployment = control::deployment::PlantedBug::none;
  agent_simulated::PlantedBug agent = agent_simulated::PlantedBug::none;
  bool answers_before_durable = false;  // callers are told as soon as a write is applied
};

struct Outcome {
  std::string violation;           // empty: everything held
  std::vector<std::string> story;  // the last steps and faults, with the time since the start
  int steps = 0;
  int faults = 0;
};

class Simulation final : private RareBranches {
 public:
  // `rare` collects how often each rare branch was taken.
  Simulation(uint64_t seed, Planted planted, std::map<std::string, int>& rare);
  Outcome run();

 private:
  // What a kill takes with it.
  struct Daemon {
    Daemon(Simulation& simulation, state::MemoryStore::Image image);
    state::MemoryStore store;
    AuthoredStore for_control, for_agent, for_user;
    records::TaskIndex index;
    records::NetworkIndex addresses;
    std::unique_ptr<control::Control> loop;
    std::vector<std::unique_ptr<agent_simulated::Agent>> agents;  // one a host
  };

  void taken(std::string_view name) override { ++rare_[std::string(name)]; }
  void trouble();
  void calm();
  void end();
  void fault();
  void fail_commits();
  void cut_off();
  std::optional<TimeMs> agents_pass();
  void join(Daemon& daemon, size_t host);
  void kill(bool power_loss);
  void restart(state::MemoryStore::Image image);
  std::optional<TimeMs> round();
  void control_pass(std::optional<TimeMs>& next);
  void settle();
  void promise(Daemon& daemon, const state::Transaction& applied, state::Revision at);
  void keep_promises();
  void pass_time(int64_t ms);
  void say(const std::string& what);
  void violated(const std::string& what);
  bool failed() const { return !outcome_.violation.empty(); }
  control::Settings settings();
  agent_simulated::Faults faults();
  agent_simulated::Conduct misconduct();

  Prng random_;
  const Planted planted_;
  std::map<std::string, int>& rare_;
  const TimeMs began_;
  TimeMs now_;
  bool calm_ = false;
  int64_t memory_mib_;
  Outcome outcome_;
  std::deque<std::string> story_;
  std::map<std::string, state::Revision>
      promised_;  // keys that a caller was told of, and the revision that it was told
  // One a host. The first is the daemon's own, which needs no lease; the others may be cut off from the daemon until a moment.
  std::vector<std::unique_ptr<agent_simulated::Machine>> machines_;
  std::vector<TimeMs> cut_off_until_;
  Checker checker_;
  Workload workload_;
  std::unique_ptr<Daemon> daemon_;
};

}  // namespace berth::sim
