// How many tasks a service starts and stops in one decision, between its two bounds.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string_view>

#include "control/deployment/reconcile.h"
#include "control/deployment/task_spec.h"

namespace berth::control::deployment {

using records::Rollout;
using records::StopCode;
using records::TaskState;

namespace {
constexpr const char* kUnhealthy = "Task failed container health checks";
}

bool Reconcile::stop(Task& task, std::string reason) {
  if (static_cast<int>(plan_.stops.size()) >= settings_.writes_max) {
    plan_.again = true;
    return false;
  }
  task.stop = true;
  stopped_ids_.push_back(task.summary->path.id);
  if (settings_.bug == PlantedBug::stop_without_a_reason)
    plan_.stops.push_back({task.summary->path, StopCode::none, ""});
  else
    plan_.stops.push_back({task.summary->path, StopCode::service_scheduler_initiated, std::move(reason)});
  return true;
}

bool Reconcile::stop_unhealthy(Task& task) {
  if (!stop(task, kUnhealthy)) return false;
  events_.tell(fmt::format("(task {}) failed container health checks.", task.summary->path.id));
  if (task.current) failed(primary(), true);
  return true;
}

namespace {

// Where a service's live tasks are: by capacity provider and by zone. What AWS keeps in balance when it stops tasks is
// said of UpdateService: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_UpdateService.html
struct Spread {
  const std::vector<records::StrategyItem>& strategy;
  placement::ProviderCounts providers;
  const std::map<std::string, std::string>& zone_of_subnet;
  std::map<std::string_view, int> zones = {};

  int provider(const records::TaskSummary& task) const {
    const auto at = std::find_if(strategy.begin(), strategy.end(), [&](const records::StrategyItem& item) {
      return item.capacity_provider == task.capacity_provider;
    });
    return at == strategy.end() ? -1 : static_cast<int>(at - strategy.begin());
  }
  std::string_view zone(const records::TaskSummary& task) const {
    const auto at = zone_of_subnet.find(task.subnet_id);
    return at == zone_of_subnet.end() ? task.subnet_id : at->second;  // of a subnet that the service names no more
  }
  // Whether `a` goes before `b`: of the provider that has most, then of the zone that has most, then the younger one.
  bool goes_before(const records::TaskSummary& a, const records::TaskSummary& b) const {
    const int provider_a = provider(a), provider_b = provider(b);
    if (provider_a != provider_b) return placement::gives_up_before(strategy, providers, provider_a, provider_b);
    const int in_zone_a = zones.at(zone(a)), in_zone_b = zones.at(zone(b));
    return in_zone_a != in_zone_b ? in_zone_a > in_zone_b : a.created_at_ms > b.created_at_ms;
  }
  void take(const records::TaskSummary& task) {
    if (const int at = provider(task); at >= 0) --providers[static_cast<size_t>(at)];
    --zones.at(zone(task));
  }
};

}  // namespace

// Stops `count` tasks, those first that are worth least: not yet running, then ill, then not healthy yet; of these what
// leaves the rest best spread.
void Reconcile::stop_first(int count, bool current_only) {
  const auto worth = [](const Task& task) {
    const bool runs = task.summary->state == TaskState::running;
    return std::pair(task.healthy ? 3 : task.unhealthy ? 1 : runs ? 2 : 0, !task.current);
  };
  std::map<std::pair<int, bool>, std::vector<Task*>> candidates;
  Spread spread{primary().revision.strategy, provider_counts(), service_.zones};
  for (Task& task : tasks_) {
    if (task.stop) continue;
    ++spread.zones[spread.zone(*task.summary)];
    if ((task.current || !current_only) && !(current_only && task.unhealthy)) candidates[worth(task)].push_back(&task);
  }
  for (auto& [worth_of_all, alike] : candidates)
    for (; !alike.empty(); --count) {  // one look at all for each stop, and a plan has few
      const auto first = std::min_element(alike.begin(), alike.end(), [&](const Task* a, const Task* b) {
        return spread.goes_before(*a->summary, *b->summary);
      });
      if (count <= 0 || !stop(**first, scaling_reason())) return;
      spread.take(*(*first)->summary);
      alike.erase(first);
    }
}

// More than desired of the PRIMARY deployment. A failed one does not replace the older ones, so there they
// count too.
void Reconcile::scale_in() {
  const int usable = count([](const Task& task) { return task.current && !task.unhealthy; });
  if (usable > desired_) stop_first(usable - desired_, true);
  if (primary().rollout == Rollout::failed && live() > desired_) {
    note("scaled in after a failed deployment");
    stop_first(live() - desired_, false);
  }
}

// Unhealthy tasks go once there are healthy ones in their place; where the upper bound or the machine's memory leaves
// no room for a replacement, one goes first, and the next when its replacement is healthy.
void Reconcile::replace_unhealthy() {
  if (settings_.bug == PlantedBug::never_replace_unhealthy) return;
  const auto unhealthy = [](const Task& task) { return task.current && task.unhealthy; };
  const int ill = count(unhealthy);
  if (ill == 0) return;
  const int healthy = count([](const Task& task) { return task.current && task.healthy; });
  const int waiting = count([](const Task& task) { return !task.healthy && !task.unhealthy; });
  int replaced = std::clamp(healthy + ill - desired_, 0, ill);
  // What one that is stopping has will be given back: first that.
  const bool none_stops = not_stopped_ == static_cast<int>(tasks_.size());
  const bool no_memory =
      service_.target_definition && fitting(1) == 0 && none_stops && settings_.bug != PlantedBug::ill_wait_for_memory;
  const bool no_room = allowed() <= 0 || no_memory;
  if (replaced == 0 && waiting == 0 && no_room && primary().rollout != Rollout::failed) {
    note("unhealthy task stopped before its replacement");
    replaced = 1;
  }
  for (Task& task : tasks_) {
    if (replaced == 0) return;
    if (task.stop || !unhealthy(task)) continue;
    if (!stop_unhealthy(task)) return;
    --replaced;
  }
}

int Reconcile::missing() const {
  const int short_by = settings_.bug == PlantedBug::one_task_short && desired_ > 1 ? 1 : 0;
  return desired_ - short_by - count([](const Task& task) { return task.current && !task.unhealthy; });
}
int Reconcile::allowed() const { return upper() - live(); }

int Reconcile::fitting(int wanted) const {
  if (wanted <= 0 || !service_.target_definition) return 0;
  const int size = memory_mib(*service_.target_definition);
  return static_cast<int>(placement::tasks_that_fit(service_.room, size, wanted));
}

// Older deployments give way. What is healthy of them is kept while the PRIMARY cannot stand in for it: below
// the desired count only as far as the lower bound allows, and only to make room for a start.
void Reconcile::retire_old() {
  if (primary().rollout == Rollout::failed) return;
  for (Task& task : tasks_)
    if (!task.current && !task.healthy && !task.stop && !stop(task, scaling_reason())) return;
  const int old_healthy = count([](const Task& task) { return !task.current; });
  if (old_healthy == 0) return;
  const int healthy = count([](const Task& task) { return task.healthy; });
  int in_the_way = 0;
  if (missing() > 0 && may_start()) in_the_way = missing() - std::min(std::max(allowed(), 0), fitting(missing()));
  int stops = std::max(healthy - desired_, std::min(healthy - lower(), in_the_way));
  if (settings_.bug == PlantedBug::below_minimum_percent) stops = old_healthy;
  for (Task& task : tasks_) {
    if (stops <= 0) return;
    if (task.current || task.stop) continue;
    if (!stop(task, scaling_reason())) return;
    --stops;
  }
}

// What forbids any start now; says why where the user should know.
bool Reconcile::may_start() {
  if (rolled_back_ || primary().rollout == Rollout::failed || !service_.cluster_active) return false;
  const records::Revision& revision = primary().revision;
  if (revision.strategy.empty() && revision.launch_type != "FARGATE") {
    events_.tell_once(
        "was unable to place a task because no container instance met all of its requirements. Reason: No "
        "Container "
        "Instances were found in your cluster. For more information, see the Troubleshooting section of the "
        "Amazon ECS "
        "Developer Guide.",
        settings_.event_repeat_ms);
    return false;
  }
  if (!service_.target_definition) {
    events_.tell_once(fmt::format("was unable to place a task. Reason: the task definition {}:{} does not exist.",
                                  revision.family, revision.revision),
                      settings_.event_repeat_ms);
    return false;
  }
  if (now_ < status_.next_start_at_ms) {
    wake_at(status_.next_start_at_ms);
    return false;
  }
  return true;
}

void Reconcile::start() {
  int wanted = missing();
  if (wanted <= 0 || !may_start()) return;
  if (settings_.bug != PlantedBug::above_maximum_percent) wanted = std::min(wanted, allowed());
  if (wanted <= 0) return;
  const int fit = fitting(wanted);
  if (fit < wanted) {
    note("memory is short");
    const int size = memory_mib(*service_.target_definition);
    plan_.waits_for_room_mib = size;
    events_.tell_once(
        fmt::format("was unable to place a task. Reason: RESOURCE:MEMORY. A task needs {} MiB of memory, and "
                    "{} of the "
                    "{} MiB that tasks may use are free. Stop other tasks, or start berth with a higher "
                    "--memory-overcommit.",
                    size, service_.room.left_mib() - int64_t{fit} * size, service_.room.memory_mib),
        settings_.event_repeat_ms, "was unable to place a task. Reason: RESOURCE:MEMORY.", primary().created_at_ms);
  }
  start_tasks(std::min(fit, settings_.writes_max));
  if (fit > settings_.writes_max) plan_.again = true;
}

placement::ProviderCounts Reconcile::provider_counts() const {
  const auto& strategy = primary().revision.strategy;
  placement::ProviderCounts counts(strategy.size(), 0);
  for (size_t i = 0; i < strategy.size(); ++i)
    counts[i] = count([&](const Task& task) {
      return task.current && task.summary->capacity_provider == strategy[i].capacity_provider;
    });
  return counts;
}

void Reconcile::start_tasks(int count) {
  placement::ProviderCounts counts = provider_counts();
  const auto& strategy = primary().revision.strategy;
  for (int i = 0; i < count; ++i) {
    std::string provider;
    if (!strategy.empty()) {
      const int at = placement::next_provider(strategy, counts);
      if (at < 0) return;  // the API refuses strategies without a weight
      ++counts[static_cast<size_t>(at)];
      provider = strategy[static_cast<size_t>(at)].capacity_provider;
    }
    plan_.starts.push_back({new_hex_id(random_), task_spec(service_.path, service_.spec, primary(),
                                                           *service_.target_definition, provider, now_, random_)});
  }
}

// Bounds that leave no step: neither a start nor a stop is allowed, and nothing is under way that would
// change that.
void Reconcile::tell_stuck() {
  if (desired_ == 0 || missing() <= 0 || allowed() > 0 || !plan_.starts.empty() || !plan_.stops.empty()) return;
  if (plan_.waits_for_room_mib > 0 || count([](const Task& task) { return !task.healthy; }) > 0 || !may_start()) return;
  note("bounds leave no step");
  events_.tell_once(
      "was unable to stop or start tasks during a deployment because of the service deployment "
      "configuration. Update "
      "the minimumHealthyPercent or maximumPercent value and try again.",
      settings_.event_repeat_ms);
}

}  // namespace berth::control::deployment
