// Where tasks go: which subnet, which capacity provider, and whether the machine has room. Pure functions,
// used by the service controller and by RunTask.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "records/cluster.h"

namespace berth::control::placement {

// Memory is what placement counts: a hard limit for each task. CPU is a weight, and never a reason to refuse.
struct Room {
  int64_t memory_mib = 0;           // of the machine, times its overcommit factor
  int64_t reserved_memory_mib = 0;  // records::TaskIndex::reserved()
  // Of several hosts: what is left on each, for a task is on one of them. Empty: there is one.
  std::vector<int64_t> left_of_hosts = {};

  int64_t left_mib() const { return memory_mib > reserved_memory_mib ? memory_mib - reserved_memory_mib : 0; }
};

// How many of `wanted` tasks of this size there is room for; 0 and more. What does not fit is, for RunTask, a
// failure with the reason "RESOURCE:MEMORY".
int64_t tasks_that_fit(const Room& room, int64_t task_memory_mib, int64_t wanted);

struct HostRoom {
  std::string id;
  int64_t epoch = 0;
  Room room;
};

// Where the most is left, ties by chance; also where it is too little: whether there is room was asked before, and who asked may
// have been told yes. Null where there is no host.
const HostRoom* choose_host(const std::vector<HostRoom>& hosts, Random& random);

struct SubnetUse {
  std::string id;
  std::string availability_zone;
  int64_t tasks = 0;       // not STOPPED, whose ever
  int64_t of_service = 0;  // of these, of the same service
};

// In the zone with the fewest tasks of the service, then with the fewest of all; there the least used subnet, ties by
// chance. Null where there is none to choose from.
const SubnetUse* choose_subnet(const std::vector<SubnetUse>& subnets, Random& random);

// Tasks of one deployment (or of one RunTask call) by capacity provider, in the strategy's order.
using ProviderCounts = std::vector<int64_t>;

// Which item of the strategy gets the next task: bases first, then the one that is furthest below its share
// of the weights, ties in the order of the list. Weight 0 gets nothing beyond its base. -1 where nothing may
// get one.
int next_provider(const std::vector<records::StrategyItem>& strategy, const ProviderCounts& counts);

// The other way round: whether item `a` of the strategy gives up a task before item `b`. Bases go last; before them goes
// what is furthest above its share, ties from the end of the list. An index of -1 stands for what is not in the list, and
// goes first.
bool gives_up_before(const std::vector<records::StrategyItem>& strategy, const ProviderCounts& counts, int a, int b);

// The providers of `count` tasks, one after the other.
std::vector<std::string> split(const std::vector<records::StrategyItem>& strategy, int64_t count);

}  // namespace berth::control::placement
