// What the user asks for: clusters, definitions good and bad, services, scaling, deployments, tasks. Every
// choice comes from the run's chance.
#pragma once

#include <functional>
#include <string>

#include "base/clock.h"
#include "base/random.h"
#include "records/keys.h"
#include "records/service.h"
#include "state/store.h"

namespace berth::sim {

inline const records::Scope kScope{"123456789012", "eu-central-1"};
inline constexpr const char* kCluster = "default";
inline constexpr int kTaskMemoryMib = 512;
inline constexpr int kServicesMax = 3;

// Revisions of the family "app". The good ones come up and stay up on a machine that behaves; what the bad
// ones do is in their name.
enum class App : int64_t {
  plain = 1,
  checked,
  chained,
  restarting,
  slow,
  deaf,
  side_fails,
  side_waits,
  last_good = side_waits,
  crashes,
  crashes_late,
  pull_fails,
  start_fails,
  out_of_memory,
  turns_unhealthy,
  not_served,
  success_never,
  healthy_late,
  last = healthy_late,
};
inline bool is_good(int64_t revision) { return revision <= static_cast<int64_t>(App::last_good); }

// Tasks of these never stay up long enough to end a row of failures.
bool never_runs(int64_t revision);

class Workload {
 public:
  // `say` is told what the user does, for the story.
  Workload(Random& random, std::function<void(const std::string&)> say) : random_(random), say_(std::move(say)) {}

  void prepare(state::Store& store);              // cluster, subnets, definitions
  void step(state::Store& store, TimeMs now_ms);  // one thing
  // Before the calm: services of bad definitions may be left as they are; chance decides.
  void bring_to_good(state::Store& store, TimeMs now_ms);

 private:
  void create_or_update(state::Store& store, TimeMs now_ms);
  void scale(state::Store& store);
  void delete_service(state::Store& store, TimeMs now_ms);
  void run_task(state::Store& store, TimeMs now_ms);
  void stop_task(state::Store& store, TimeMs now_ms);
  void put(state::Store& store, const records::ServiceSpec& spec, const std::string& what);
  int64_t choose_revision();
  void choose_bounds(records::ServiceSpec& spec);
  int choose_count();

  Random& random_;
  const std::function<void(const std::string&)> say_;
};

}  // namespace berth::sim
