// What every backend shares: the head in memory, the applied and not yet committed transactions with their
// way back, the history that watches resume from, indexes, and who waits for durability. A backend only
// commits.
//
//   apply() ─▶ head_ ─▶ pending_ ─▶ enqueue()   ...backend...   collect() ─▶ history_ ─▶ waiters, watches
//                          └────────── failed: undone, newest first ◀──┘
//
// Thread: the state thread. Only enqueue()'d transactions are read elsewhere (their writes, which never
// change).
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "state/store.h"

namespace berth::state {

// A watch that is further behind than this much history is told `compacted`.
inline constexpr size_t kHistoryBytesMax = 512 * 1024;
inline constexpr size_t kHistoryTransactionsMax = 4096;
// Deleted keys remembered for range_revision(); beyond, it answers with an upper bound.
inline constexpr size_t kTombstonesMax = 1024;

class HeadStore : public Store {
 public:
  HeadStore(const HeadStore&) = delete;
  HeadStore& operator=(const HeadStore&) = delete;

  std::optional<Entry> get(std::string_view key) const override;
  std::vector<Entry> range(std::string_view prefix, std::string_view after = {},
                           size_t limit = SIZE_MAX) const override;
  Revision range_revision(std::string_view prefix) const override;
  tl::expected<Revision, Refusal> apply(Transaction transaction) override;
  Revision head() const override { return head_revision_; }
  Revision durable() const override { return durable_; }
  void when_durable(Revision revision, std::function<void(bool)> callback) override;
  WatchId watch(std::string prefix, Revision from, std::function<void(const WatchBatch&)> callback) override;
  void cancel(WatchId id) override;
  void add_index(std::string prefix, Index* index) override;
  void settle() override;

 protected:
  // A row names one life of a key, from its creation to its deletion: the creating revision and the place in
  // that transaction. Rows ascend with time, so that a backend which stores by row appends.
  static constexpr uint64_t kRowsPerRevision = 256;
  static_assert(kOperationsMax <= kRowsPerRevision);
  struct Slot {
    ValuePtr value;  // null: absent (in `undo` only)
    uint64_t row = 0;
    Revision mod_revision = 0;
    Revision create_revision() const { return row / kRowsPerRevision; }
  };
  using Entries = std::map<std::string, Slot, std::less<>>;

  struct Undo {
    Slot before;
    Revision tombstone_before = 0;
  };
  struct Applied {
    Revision revision = 0;
    Durability durability = Durability::derived;
    std::vector<Write> writes;   // those that changed something; read by the commit thread
    std::vector<uint64_t> rows;  // one for each write, likewise
    std::vector<Undo> undo;      // one for each write; state thread only
  };
  struct Outcome {
    Revision committed = 0;  // everything up to here is durable in its own class
    bool failed = false;     // everything after it must be rolled back; the backend has forgotten it
  };

  // `wake` asks for a settle(); it may be called on any thread and on the state thread itself.
  explicit HeadStore(std::function<void()> wake) : wake_(std::move(wake)) {}

  // Before first use: what was on disk.
  void load(Entries entries, Revision revision);

  virtual void enqueue(std::shared_ptr<const Applied> applied) = 0;
  virtual Outcome collect() = 0;
  // A transaction has been found committed; its undo records are about to be dropped.
  virtual void committed(Applied&) {}

  void wake() const {
    if (wake_) wake_();
  }
  const Entries& entries() const { return entries_; }
  const std::deque<std::shared_ptr<Applied>>& pending() const { return pending_; }
  // Takes `applied` back out of `entries`.
  static void undo(Entries& entries, const Applied& applied);

 private:
  struct Waiter {
    Revision revision;
    std::function<void(bool)> callback;
  };
  struct Watch {
    std::string prefix;
    Revision through;  // delivered up to here
    bool compacted;    // must be told so at the next settle()
    std::function<void(const WatchBatch&)> callback;
    bool cancelled = false;
  };

  std::optional<Refusal> refusal(const Transaction& transaction) const;
  bool read_holds(const Read& read) const;
  void put(Applied& applied, Write write);
  void remember_deletion(const std::string& key, Revision revision);
  void restore_tombstone(const std::string& key, Revision revision);
  void tell_indexes(const std::string& key, const ValuePtr& before, const ValuePtr& after) const;
  void advance(Revision committed_through);
  void roll_back();
  bool was_rolled_back(Revision revision) const;
  void run_waiters();
  void deliver(bool all_compacted);
  void deliver_to(Watch& watch) const;
  void trim_history();

  std::function<void()> wake_;
  Entries entries_;
  std::map<std::string, Revision, std::less<>> tombstones_;
  std::deque<std::pair<Revision, std::string>> tombstone_order_;
  Revision tombstone_floor_ = 0;  // the newest deletion that is no longer remembered
  Revision head_revision_ = 0;
  Revision durable_ = 0;
  Revision last_given_ = 0;                                 // revisions of rolled-back transactions are not given again
  std::vector<std::pair<Revision, Revision>> rolled_back_;  // first and last, ascending
  std::deque<std::shared_ptr<Applied>> pending_;
  std::deque<std::shared_ptr<Applied>> history_;  // committed; writes only
  size_t history_bytes_ = 0;
  Revision history_floor_ = 0;  // history_ has every change after this
  std::deque<Waiter> waiters_;  // ascending by revision
  std::map<WatchId, std::shared_ptr<Watch>> watches_;
  WatchId next_watch_ = 1;
  std::vector<std::pair<std::string, Index*>> indexes_;
  bool settling_ = false;
};

}  // namespace berth::state
