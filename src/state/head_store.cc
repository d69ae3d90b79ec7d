#include "state/head_store.h"

#include <algorithm>
#include <limits>

#include "base/assert.h"

namespace berth::state {
namespace {

// Rolled-back stretches remembered, for replies that ask late. One is added each time commits begin to fail.
constexpr size_t kRolledBackMax = 256;

size_t size_of(const std::vector<Write>& writes) {
  size_t bytes = 0;
  for (const Write& write : writes) bytes += write.key.size() + (write.value ? write.value->bytes().size() : 0);
  return bytes;
}

bool touches(const std::vector<Write>& writes, std::string_view prefix) {
  return std::any_of(writes.begin(), writes.end(), [&](const Write& write) { return write.key.starts_with(prefix); });
}

}  // namespace

void HeadStore::load(Entries entries, Revision revision) {
  BERTH_ASSERT(entries_.empty() && last_given_ == 0);
  entries_ = std::move(entries);
  head_revision_ = durable_ = last_given_ = history_floor_ = revision;
}

std::optional<Entry> HeadStore::get(std::string_view key) const {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return std::nullopt;
  const Slot& slot = found->second;
  return Entry{found->first, slot.value, slot.create_revision(), slot.mod_revision};
}

std::vector<Entry> HeadStore::range(std::string_view prefix, std::string_view after, size_t limit) const {
  std::vector<Entry> found;
  auto at = after < prefix ? entries_.lower_bound(prefix) : entries_.upper_bound(after);
  // `after` empty and `prefix` empty: from the start, the empty key included.
  if (after.empty()) at = entries_.lower_bound(prefix);
  for (; at != entries_.end() && at->first.starts_with(prefix) && found.size() < limit; ++at) {
    found.push_back({at->first, at->second.value, at->second.create_revision(), at->second.mod_revision});
  }
  return found;
}

Revision HeadStore::range_revision(std::string_view prefix) const {
  Revision highest = tombstone_floor_;
  for (auto at = entries_.lower_bound(prefix); at != entries_.end() && at->first.starts_with(prefix); ++at) {
    highest = std::max(highest, at->second.mod_revision);
  }
  for (auto at = tombstones_.lower_bound(prefix); at != tombstones_.end() && at->first.starts_with(prefix); ++at) {
    highest = std::max(highest, at->second);
  }
  return highest;
}

bool HeadStore::read_holds(const Read& read) const {
  if (!read.prefix) {
    const auto found = entries_.find(read.key);
    return read.revision == (found == entries_.end() ? 0 : found->second.mod_revision);
  }
  if (was_rolled_back(read.revision)) return false;
  // Usually nothing has happened since, so look at what is newer than the read before ranging over the
  // prefix.
  for (const auto* log : {&pending_, &history_}) {
    for (auto at = log->rbegin(); at != log->rend() && (*at)->revision > read.revision; ++at) {
      if (touches((*at)->writes, read.key)) return false;
    }
  }
  return read.revision >= history_floor_ || range_revision(read.key) <= read.revision;
}

std::optional<Refusal> HeadStore::refusal(const Transaction& transaction) const {
  size_t bytes = size_of(transaction.writes);
  for (const Read& read : transaction.reads) bytes += read.key.size();
  if (transaction.reads.size() + transaction.writes.size() > kOperationsMax || bytes > kTransactionBytesMax) {
    return Refusal{Refusal::Kind::too_large, {}};
  }
  for (const Read& read : transaction.reads) {
    if (!read_holds(read)) return Refusal{Refusal::Kind::conflict, read.key};
  }
  return std::nullopt;
}

tl::expected<Revision, Refusal> HeadStore::apply(Transaction transaction) {
  if (auto refused = refusal(transaction)) return tl::unexpected(std::move(*refused));
  if (transaction.empty()) return head_revision_;

  auto applied = std::make_shared<Applied>();
  applied->revision = ++last_given_;
  applied->durability = transaction.durability;
  applied->writes.reserve(transaction.writes.size());
  applied->rows.reserve(transaction.writes.size());
  applied->undo.reserve(transaction.writes.size());
  head_revision_ = applied->revision;
  for (Write& write : transaction.writes) put(*applied, std::move(write));
  pending_.push_back(applied);
  enqueue(std::move(applied));
  return head_revision_;
}

void HeadStore::put(Applied& applied, Write write) {
  auto found = entries_.find(write.key);
  if (!write.value && found == entries_.end()) return;

  Undo undo;
  if (found != entries_.end()) undo.before = found->second;
  uint64_t row = undo.before.row;
  if (!write.value) {
    entries_.erase(found);
    remember_deletion(write.key, applied.revision);
  } else {
    if (found == entries_.end()) {
      found = entries_.emplace(write.key, Slot{nullptr, applied.revision * kRowsPerRevision + applied.writes.size(), 0})
                  .first;
      const auto tombstone = tombstones_.find(write.key);
      if (tombstone != tombstones_.end()) {
        undo.tombstone_before = tombstone->second;
        tombstones_.erase(tombstone);  // the new mod_revision is higher
      }
    }
    found->second.value = write.value;
    found->second.mod_revision = applied.revision;
    row = found->second.row;
  }
  tell_indexes(write.key, undo.before.value, write.value);
  applied.writes.push_back(std::move(write));
  applied.rows.push_back(row);
  applied.undo.push_back(std::move(undo));
}

void HeadStore::remember_deletion(const std::string& key, Revision revision) {
  tombstones_[key] = revision;
  tombstone_order_.emplace_back(revision, key);
  while (tombstone_order_.size() > kTombstonesMax) {
    const auto& [oldest, oldest_key] = tombstone_order_.front();
    const auto found = tombstones_.find(oldest_key);
    if (found != tombstones_.end() && found->second == oldest) {
      tombstones_.erase(found);
      tombstone_floor_ = std::max(tombstone_floor_, oldest);
    }
    tombstone_order_.pop_front();
  }
}

// Of a deletion whose key was there again for a while: it may have been forgotten meanwhile with all as old, and would not be
// forgotten another time.
void HeadStore::restore_tombstone(const std::string& key, Revision revision) {
  if (!tombstone_order_.empty() && tombstone_order_.front().first <= revision)
    tombstones_[key] = revision;
  else
    tombstone_floor_ = std::max(tombstone_floor_, revision);
}

void HeadStore::tell_indexes(const std::string& key, const ValuePtr& before, const ValuePtr& after) const {
  for (const auto& [prefix, index] : indexes_) {
    if (key.starts_with(prefix)) index->changed(key, before, after);
  }
}

void HeadStore::add_index(std::string prefix, Index* index) {
  for (auto at = entries_.lower_bound(prefix); at != entries_.end() && at->first.starts_with(prefix); ++at) {
    index->changed(at->first, nullptr, at->second.value);
  }
  indexes_.emplace_back(std::move(prefix), index);
}

void HeadStore::when_durable(Revision revision, std::function<void(bool)> callback) {
  BERTH_ASSERT(revision <= last_given_);
  if (was_rolled_back(revision)) return callback(false);
  if (revision <= durable_) return callback(true);
  auto at = waiters_.end();  // nearly always asked in ascending order
  while (at != waiters_.begin() && std::prev(at)->revision > revision) --at;
  waiters_.insert(at, Waiter{revision, std::move(callback)});
}

WatchId HeadStore::watch(std::string prefix, Revision from, std::function<void(const WatchBatch&)> callback) {
  const bool compacted = from < history_floor_ || from > head_revision_ || was_rolled_back(from);
  const WatchId id = next_watch_++;
  watches_[id] = std::make_shared<Watch>(Watch{std::move(prefix), from, compacted, std::move(callback)});
  if (compacted || from < durable_) wake();
  return id;
}

void HeadStore::cancel(WatchId id) {
  const auto found = watches_.find(id);
  if (found == watches_.end()) return;
  found->second->cancelled = true;
  watches_.erase(found);
}

void HeadStore::settle() {
  BERTH_ASSERT(!settling_);
  settling_ = true;
  const Outcome outcome = collect();
  advance(outcome.committed);
  if (outcome.failed) roll_back();
  run_waiters();
  deliver(outcome.failed);
  trim_history();
  settling_ = false;
}

void HeadStore::advance(Revision committed_through) {
  BERTH_ASSERT(committed_through >= durable_ && committed_through <= last_given_);
  while (!pending_.empty() && pending_.front()->revision <= committed_through) {
    std::shared_ptr<Applied> applied = std::move(pending_.front());
    pending_.pop_front();
    committed(*applied);
    applied->undo = {};
    history_bytes_ += size_of(applied->writes);
    history_.push_back(std::move(applied));
  }
  durable_ = committed_through;
}

void HeadStore::undo(Entries& entries, const Applied& applied) {
  for (size_t i = applied.writes.size(); i-- > 0;) {
    const Slot& before = applied.undo[i].before;
    if (before.value) {
      entries[applied.writes[i].key] = before;
    } else {
      entries.erase(applied.writes[i].key);
    }
  }
}

void HeadStore::roll_back() {
  if (!pending_.empty()) {
    const Revision first = pending_.front()->revision;
    if (!rolled_back_.empty() && rolled_back_.back().second + 1 == first) {
      rolled_back_.back().second = last_given_;
    } else {
      rolled_back_.emplace_back(first, last_given_);
    }
    if (rolled_back_.size() > kRolledBackMax) rolled_back_.erase(rolled_back_.begin());
  }
  for (; !pending_.empty(); pending_.pop_back()) {
    const Applied& applied = *pending_.back();
    undo(entries_, applied);
    for (size_t i = applied.writes.size(); i-- > 0;) {
      const Write& write = applied.writes[i];
      const Undo& undo = applied.undo[i];
      if (!write.value) tombstones_.erase(write.key);
      if (undo.tombstone_before != 0) restore_tombstone(write.key, undo.tombstone_before);
      tell_indexes(write.key, write.value, undo.before.value);
    }
  }
  head_revision_ = durable_;
}

bool HeadStore::was_rolled_back(Revision revision) const {
  if (rolled_back_.empty() || revision > rolled_back_.back().second) return false;
  return std::any_of(rolled_back_.begin(), rolled_back_.end(),
                     [&](const auto& stretch) { return revision >= stretch.first && revision <= stretch.second; });
}

void HeadStore::run_waiters() {
  std::vector<Waiter> ready;
  while (!waiters_.empty() && (waiters_.front().revision <= durable_ || was_rolled_back(waiters_.front().revision))) {
    ready.push_back(std::move(waiters_.front()));
    waiters_.pop_front();
  }
  for (Waiter& waiter : ready) waiter.callback(!was_rolled_back(waiter.revision));
}

void HeadStore::deliver(bool all_compacted) {
  std::vector<std::shared_ptr<Watch>> watches;  // those made by callbacks wait for the next settle()
  watches.reserve(watches_.size());
  for (const auto& [id, watch] : watches_) {
    watch->compacted = watch->compacted || all_compacted;
    watches.push_back(watch);
  }
  for (const auto& watch : watches) {
    if (!watch->cancelled) deliver_to(*watch);
  }
}

void HeadStore::deliver_to(Watch& watch) const {
  WatchBatch batch;
  batch.through = durable_;
  if (watch.compacted) {
    batch.compacted = true;
  } else {
    auto at = std::lower_bound(
        history_.begin(), history_.end(), watch.through,
        [](const std::shared_ptr<Applied>& applied, Revision through) { return applied->revision <= through; });
    for (; at != history_.end(); ++at) {
      for (const Write& write : (*at)->writes) {
        if (write.key.starts_with(watch.prefix)) {
          batch.changes.push_back({write.key, write.value, (*at)->revision});
        }
      }
    }
  }
  // A watch from the head, taken before the head was durable, is ahead of us: it stays where it is.
  watch.through = batch.compacted ? durable_ : std::max(watch.through, durable_);
  watch.compacted = false;
  if (batch.compacted || !batch.changes.empty()) watch.callback(batch);
}

void HeadStore::trim_history() {
  while (!history_.empty() && (history_bytes_ > kHistoryBytesMax || history_.size() > kHistoryTransactionsMax)) {
    history_bytes_ -= size_of(history_.front()->writes);
    history_floor_ = history_.front()->revision;
    history_.pop_front();
  }
}

}  // namespace berth::state
