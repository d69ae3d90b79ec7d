#include "control/placement/placement.h"

#include <algorithm>
#include <tuple>

#include "base/assert.h"

namespace berth::control::placement {

int64_t tasks_that_fit(const Room& room, int64_t task_memory_mib, int64_t wanted) {
  BERTH_ASSERT(task_memory_mib >= 0);
  if (wanted <= 0) return 0;
  if (task_memory_mib == 0) return wanted;
  int64_t fit = room.left_mib() / task_memory_mib;
  if (!room.left_of_hosts.empty()) {
    int64_t on_hosts = 0;
    for (const int64_t left : room.left_of_hosts) on_hosts += left / task_memory_mib;
    fit = std::min(fit, on_hosts);
  }
  return std::min(wanted, fit);
}

const HostRoom* choose_host(const std::vector<HostRoom>& hosts, Random& random) {
  const HostRoom* chosen = nullptr;
  uint64_t ties = 0;
  for (const HostRoom& host : hosts) {
    const int64_t left = host.room.memory_mib - host.room.reserved_memory_mib;
    const int64_t most = chosen ? chosen->room.memory_mib - chosen->room.reserved_memory_mib : 0;
    if (!chosen || left > most) {
      chosen = &host;
      ties = 1;
    } else if (left == most && random.below(++ties) == 0) {
      chosen = &host;
    }
  }
  return chosen;
}

const SubnetUse* choose_subnet(const std::vector<SubnetUse>& subnets, Random& random) {
  using Use = std::tuple<int64_t, int64_t, int64_t>;
  const auto use_of = [&](const SubnetUse& subnet) {
    Use use{0, 0, subnet.tasks};
    for (const SubnetUse& other : subnets) {
      if (other.availability_zone != subnet.availability_zone) continue;
      std::get<0>(use) += other.of_service;
      std::get<1>(use) += other.tasks;
    }
    return use;
  };
  const SubnetUse* chosen = nullptr;
  Use least;
  uint64_t ties = 0;
  for (const SubnetUse& subnet : subnets) {  // at most 16
    const Use use = use_of(subnet);
    if (!chosen || use < least) {
      chosen = &subnet;
      least = use;
      ties = 1;
    } else if (use == least && random.below(++ties) == 0) {
      chosen = &subnet;
    }
  }
  return chosen;
}

int next_provider(const std::vector<records::StrategyItem>& strategy, const ProviderCounts& counts) {
  BERTH_ASSERT(counts.size() == strategy.size());
  for (size_t i = 0; i < strategy.size(); ++i)
    if (counts[i] < strategy[i].base) return static_cast<int>(i);
  int best = -1;
  for (size_t i = 0; i < strategy.size(); ++i) {
    if (strategy[i].weight <= 0) continue;
    if (best < 0) {
      best = static_cast<int>(i);
      continue;
    }
    // (count - base + 1) / weight, compared without dividing.
    const auto& other = strategy[static_cast<size_t>(best)];
    const int64_t mine = (counts[i] - strategy[i].base + 1) * other.weight;
    const int64_t its = (counts[static_cast<size_t>(best)] - other.base + 1) * strategy[i].weight;
    if (mine < its) best = static_cast<int>(i);
  }
  return best;
}

bool gives_up_before(const std::vector<records::StrategyItem>& strategy, const ProviderCounts& counts, int a, int b) {
  struct Excess {
    int kind = 2;  // 0: within its base, 1: above it by so much of its weight, 2: should have none
    int64_t above = 0, weight = 1;
  };
  const auto excess_of = [&](int item) -> Excess {
    if (item < 0) return {};
    const auto at = static_cast<size_t>(item);
    const int64_t above = counts[at] - strategy[at].base;
    if (above <= 0) return {0};
    if (strategy[at].weight <= 0) return {};
    return {1, above, strategy[at].weight};
  };
  const Excess of_a = excess_of(a), of_b = excess_of(b);
  if (of_a.kind != of_b.kind) return of_a.kind > of_b.kind;
  if (of_a.kind == 1 && of_a.above * of_b.weight != of_b.above * of_a.weight)
    return of_a.above * of_b.weight > of_b.above * of_a.weight;
  return a < 0 ? b >= 0 : b >= 0 && a > b;
}

std::vector<std::string> split(const std::vector<records::StrategyItem>& strategy, int64_t count) {
  std::vector<std::string> out;
  ProviderCounts counts(strategy.size(), 0);
  for (int64_t n = 0; n < count; ++n) {
    const int at = next_provider(strategy, counts);
    if (at < 0) break;
    ++counts[static_cast<size_t>(at)];
    out.push_back(strategy[static_cast<size_t>(at)].capacity_provider);
  }
  return out;
}

}  // namespace berth::control::placement
