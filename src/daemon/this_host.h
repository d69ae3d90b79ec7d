// This machine as a host of tasks.
#pragma once

#include <string>

#include "base/random.h"
#include "base/result.h"
#include "records/host.h"

namespace berth {

// Its id is kept in `<state directory>/host-id`, made at the first start: the record in the store is found by it again.
Result<records::Host> describe_this_host(const std::string& state_directory, std::string name, int64_t memory_mib,
                                         int64_t cpu_units, Random& random);

}  // namespace berth
