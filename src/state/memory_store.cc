#include "state/memory_store.h"

#include <utility>

namespace berth::state {

MemoryStore::MemoryStore(Image image, std::function<void()> wake) : HeadStore(std::move(wake)) {
  queued_through_ = committed_through_ = image.revision_;
  load(std::move(image.entries_), image.revision_);
}

void MemoryStore::enqueue(std::shared_ptr<const Applied> applied) {
  queued_through_ = applied->revision;
  wake();
}

void MemoryStore::commit() {
  if (!something_queued() || failed_) return;
  if (failures_ > 0) {
    --failures_;
    failed_ = true;
    return;
  }
  committed_through_ = queued_through_;
}

HeadStore::Outcome MemoryStore::collect() {
  commit();
  const Outcome outcome{committed_through_, std::exchange(failed_, false)};
  if (outcome.failed) queued_through_ = committed_through_;
  return outcome;
}

void MemoryStore::committed(Applied& applied) {
  if (applied.durability == Durability::acknowledged) {
    unsynced_.clear();
  } else {
    unsynced_.push_back(applied);
  }
}

MemoryStore::Image MemoryStore::after_kill() const {
  Image image;
  image.entries_ = entries();
  image.revision_ = committed_through_;
  for (auto at = pending().rbegin(); at != pending().rend(); ++at) {
    if ((*at)->revision > committed_through_) undo(image.entries_, **at);
  }
  return image;
}

MemoryStore::Image MemoryStore::after_power_loss(size_t derived_kept) const {
  // Committed and perhaps not yet on the platter, oldest first: settled ones, then those that settle() has
  // not seen.
  std::vector<const Applied*> loose;
  for (const Applied& applied : unsynced_) loose.push_back(&applied);
  for (const auto& applied : pending()) {
    if (applied->revision > committed_through_) break;
    loose.push_back(applied.get());
    if (applied->durability == Durability::acknowledged) loose.clear();
  }
  Image image = after_kill();
  while (loose.size() > derived_kept) {
    undo(image.entries_, *loose.back());
    image.revision_ = loose.back()->revision - 1;
    loose.pop_back();
  }
  return image;
}

}  // namespace berth::state
