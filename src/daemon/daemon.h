// `berth serve`: where everything is made, most general first, and joined.
//
// Threads: main (waits for signals), state, commit (the store's), io (wire's), agent, and workers for what blocks.
#pragma once

#include "daemon/options.h"

namespace berth::daemon {

// Returns the exit status. Says `ready …` on standard output once it serves.
int serve(const Options& options);

}  // namespace berth::daemon
