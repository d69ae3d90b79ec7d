// Rules that more than one service asks of the network's records. Pure; state thread, as the store is.
#pragma once

#include <string>
#include <vector>

#include "records/keys.h"
#include "state/store.h"

namespace berth::records {

// Whether interfaces of the subnets may have the groups: all must be there, and of one VPC.
struct Belonging {
  enum class Fault { none, no_such_subnet, subnets_apart, no_such_group, group_elsewhere };
  Fault fault = Fault::none;
  std::string id;  // the first that is at fault
};
Belonging check_belonging(const state::Store& store, const Scope& scope, const std::vector<std::string>& subnets,
                          const std::vector<std::string>& groups);

}  // namespace berth::records
