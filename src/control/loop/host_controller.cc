#include "control/loop/host_controller.h"

#include <algorithm>

#include "base/log.h"
#include "control/loop/entries.h"
#include "records/host.h"

namespace berth::control {

namespace keys = records::keys;

std::vector<std::string_view> HostController::prefixes() const { return {keys::kHost, keys::kHostLease}; }

void HostController::begin_again() {
  for (const state::Entry& entry : store_.range(keys::kHost)) agenda().now(path_of(entry.key, keys::kHost));
}

void HostController::changed(const state::Change& change) {
  for (const std::string_view kind : prefixes())
    if (change.key.starts_with(kind)) agenda().now(path_of(change.key, kind));
}

void HostController::decide(const std::string& id, TimeMs now_ms) {
  const auto entry = store_.get(keys::host(keys::kHost, id));
  const auto host = value_of<records::Host>(entry);
  if (!host || host->lost || host->lease_ms == 0) return agenda().at(id, 0);
  const auto lease_entry = store_.get(keys::host(keys::kHostLease, id));
  const auto lease = value_of<records::HostLease>(lease_entry);
  const bool of_this_epoch = lease && lease->epoch == host->epoch;
  const TimeMs seen = std::max(host->registered_at_ms, of_this_epoch ? lease->last_seen_ms : 0);
  if (now_ms < seen + host->lease_ms) return agenda().at(id, seen + host->lease_ms);
  records::Host given_up = *host;
  given_up.lost = true;
  ++given_up.epoch;
  state::Transaction transaction;
  // Were it derived, power loss could bring the old epoch back, and with it what the host said meanwhile.
  transaction.durability = state::Durability::acknowledged;
  transaction.reads = {read_of(entry->key, entry), read_of(keys::host(keys::kHostLease, id), lease_entry)};
  records::put_decoded(transaction, entry->key, given_up);
  if (!store_.apply(std::move(transaction))) return agenda().now(id);
  rare(settings_.rare, "host's lease was over");
  log_warning("host {} ({}) was not heard of for {} s and is given up", host->name, id, (now_ms - seen) / 1000);
  for (const std::string& task : index_.on_host(id)) tasks_.decide_again(task);
  agenda().at(id, 0);
}

}  // namespace berth::control
