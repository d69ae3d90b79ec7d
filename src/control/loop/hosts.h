// The hosts that there are, as placement sees them; and what a host's agent asks of control: to be registered. Reads and writes
// the store; state thread.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "control/placement/placement.h"
#include "records/host.h"
#include "records/task_index.h"
#include "state/store.h"

namespace berth::control {

class Hosts {
 public:
  // Both are borrowed and outlive it.
  Hosts(const state::Store& store, const records::TaskIndex& index) : store_(store), index_(index) {}

  // Of hosts that are not lost.
  std::vector<placement::HostRoom> rooms() const;
  placement::Room room() const;                  // of all of them together
  int64_t epoch(const std::string& host) const;  // 0 where there is no such host

 private:
  const state::Store& store_;
  const records::TaskIndex& index_;
};

// Makes the host known, or known again, with what it says of itself; its epoch stays what it was. Returns the record.
records::Host register_host(state::Store& store, records::Host described, TimeMs now_ms);

}  // namespace berth::control
