#include "agent/apply/observation_sink.h"

#include "base/assert.h"
#include "records/read.h"

namespace berth::agent {

namespace keys = records::keys;

void ObservationSink::write(const keys::TaskPath& path, records::TaskObserved observed) {
  if (!store_.get(keys::task(keys::kTaskSpec, path))) return;
  observed.epoch = epoch_;
  const std::string key = keys::task(keys::kTaskObserved, path);
  std::string bytes = records::encode(observed);
  if (const auto before = store_.get(key); before && before->value->bytes() == bytes) return;
  state::Transaction transaction;
  transaction.put(key, std::move(bytes));
  const auto applied = store_.apply(std::move(transaction));
  // It reads nothing, so it cannot conflict; a task's observations are far below a transaction's bounds.
  BERTH_ASSERT(applied.has_value());
}

}  // namespace berth::agent
