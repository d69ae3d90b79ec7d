#include "control/loop/discovery_controller.h"

#include "base/assert.h"
#include "control/loop/entries.h"
#include "records/discovery.h"
#include "records/read.h"

namespace berth::control {

namespace keys = records::keys;

std::vector<std::string_view> DiscoveryController::prefixes() const {
  return {keys::kOperation, keys::kInstanceHealth};
}

void DiscoveryController::begin_again() {
  for (const std::string_view prefix : prefixes())
    for (const state::Entry& entry : store_.range(prefix)) agenda().now(entry.key);
}

void DiscoveryController::changed(const state::Change& change) { agenda().now(change.key); }

void DiscoveryController::decide(const std::string& key, TimeMs now_ms) {
  if (key.starts_with(keys::kOperation))
    decide_operation(key, now_ms);
  else
    decide_health(key, now_ms);
}

void DiscoveryController::decide_operation(const std::string& key, TimeMs now_ms) {
  const auto entry = store_.get(key);
  if (!entry) return agenda().at(key, 0);
  const auto operation = records::decoded<records::Operation>(entry->value);
  state::Transaction transaction;
  transaction.reads = {read_of(key, entry)};
  if (!operation->over()) {
    records::Operation ended = *operation;
    ended.status = ended.error_code.empty() ? "SUCCESS" : "FAIL";
    ended.updated_at_ms = now_ms;
    records::put(transaction, key, ended);
  } else if (now_ms >= operation->updated_at_ms + kOperationKeptMs) {
    transaction.erase(key);
  } else {
    return agenda().at(key, operation->updated_at_ms + kOperationKeptMs);
  }
  commit(key, std::move(transaction));
}

void DiscoveryController::decide_health(const std::string& key, TimeMs now_ms) {
  const auto entry = store_.get(key);
  if (!entry) return agenda().at(key, 0);
  const auto health = records::decoded<records::InstanceHealth>(entry->value);
  agenda().at(key, health->due_at_ms);
  if (health->due_at_ms == 0 || now_ms < health->due_at_ms) return;
  state::Transaction transaction;
  transaction.reads = {read_of(key, entry)};
  records::put(transaction, key, records::InstanceHealth{health->wanted, health->wanted, 0});
  commit(key, std::move(transaction));
}

// Its own change wakes it again, once that is committed.
void DiscoveryController::commit(const std::string& key, state::Transaction transaction) {
  if (const auto applied = store_.apply(std::move(transaction)); !applied) {
    BERTH_ASSERT(applied.error().kind == state::Refusal::Kind::conflict);
    agenda().now(key);
  }
}

}  // namespace berth::control
