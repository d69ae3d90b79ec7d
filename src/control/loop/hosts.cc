#include "control/loop/hosts.h"

#include <algorithm>

#include "base/assert.h"
#include "records/keys.h"
#include "records/read.h"

namespace berth::control {

namespace keys = records::keys;
using records::Host;

std::vector<placement::HostRoom> Hosts::rooms() const {
  std::vector<placement::HostRoom> out;
  for (const auto& [key, host] : records::range<Host>(store_, keys::kHost))
    if (!host->lost)
      out.push_back({host->id, host->epoch, {host->memory_mib, index_.reserved_on(host->id).memory_mib}});
  return out;
}

placement::Room Hosts::room() const {
  placement::Room all;
  const auto rooms = this->rooms();
  for (const placement::HostRoom& host : rooms) {
    all.memory_mib += host.room.memory_mib;
    all.reserved_memory_mib += host.room.reserved_memory_mib;
    if (rooms.size() > 1) all.left_of_hosts.push_back(host.room.left_mib());
  }
  // What is asked for and not placed yet takes room somewhere.
  all.reserved_memory_mib += index_.reserved_on("").memory_mib;
  return all;
}

int64_t Hosts::epoch(const std::string& host) const {
  const auto found = records::get<Host>(store_, keys::host(keys::kHost, host));
  return found ? found->epoch : 0;
}

Host register_host(state::Store& store, Host described, TimeMs now_ms) {
  const std::string key = keys::host(keys::kHost, described.id);
  const auto before = records::get<Host>(store, key);
  if (before) {
    described.epoch = before->epoch;
    described.registered_at_ms = before->registered_at_ms;
    if (described == *before) return described;
  }
  if (!before || before->lost) described.registered_at_ms = now_ms;
  state::Transaction transaction;
  transaction.durability = state::Durability::acknowledged;
  records::put(transaction, key, described);
  BERTH_ASSERT(store.apply(std::move(transaction)).has_value());  // it reads nothing and is small
  return described;
}

}  // namespace berth::control
