// Which networks the VPCs of this Berth may have, beside the other ones on this machine.
//
// A VPC is made with its first task, but its network is chosen before that, and another Berth must not choose it meanwhile:
// the networks of an instance's VPCs are claimed in its directory under /run, one a line. Whoever looks and claims holds
// the machine's lock from the look to the claim.
#pragma once

#include <optional>
#include <string>

#include "agent/network/instance.h"
#include "base/result.h"
#include "daemon/options.h"
#include "services/handler.h"
#include "state/store.h"

namespace berth::daemon {

// Where default VPCs may lie on this host. A region that has its VPC keeps it, so the choice is for new ones only. The
// caller holds the lock.
Result<services::Network> choose_network(const Options& options, const state::Store& store,
                                         const std::optional<network::Instance>& instance);

// The claims of all VPCs in the store, in place of earlier ones. The caller holds the lock.
Result<void> claim_all(const network::Instance& instance, const state::Store& store);

}  // namespace berth::daemon
