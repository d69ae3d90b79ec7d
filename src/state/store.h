// Objects with revisions: get, range, transaction, watch. Shaped like etcd, so that nothing above assumes one process.
//
// Thread: every method is called on one thread, the state thread (the simulator's only thread). A backend may commit on
// a thread of its own; it then calls the `wake` function given at its construction, and the state thread calls
// settle(), inside which watch callbacks and durability callbacks run. Callbacks may call any method but settle().
//
//          apply()                    commit thread                     settle()
//   head ───────────▶ queued batch ─────────────────▶ committed (disk) ─────────▶ watches, when_durable
//
// Reads (get, range) see the head: what has been applied, committed or not. So no reply may leave before
// when_durable(head at the time of the read) has said true.
//
// Two classes of write. `acknowledged` (an API caller was told): durable means fsynced. `derived` (plans,
// observations): durable means that it survives kill -9; power loss may take it, task directories bring it back.
//
// A failed commit (disk full) fails everything applied since: the head goes back to what is committed, their
// when_durable callbacks get false, and every watch gets `compacted`, after which its reader lists again.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace berth::state {

// One counter for the whole store; grows by one with each transaction. Revisions that were rolled back are not given
// again while the process lives, so a failed commit leaves a gap.
using Revision = uint64_t;

// Transactions beyond these are refused by every backend.
inline constexpr size_t kOperationsMax = 128;  // reads + writes
inline constexpr size_t kTransactionBytesMax = 1 << 20;

// A stored value. Immutable bytes, and one slot in which records/ keeps the decoded form, so that a value is parsed
// once however often it is read. The slot is touched on the state thread only; the decoded object is immutable and may
// travel to other threads by its shared_ptr.
class Value {
 public:
  explicit Value(std::string bytes) : bytes_(std::move(bytes)) {}
  const std::string& bytes() const { return bytes_; }

  const std::shared_ptr<const void>& decoded(const void* type) const {
    static const std::shared_ptr<const void> none;
    return type == decoded_type_ ? decoded_ : none;
  }
  void keep_decoded(const void* type, std::shared_ptr<const void> object) const {
    decoded_type_ = type;
    decoded_ = std::move(object);
  }

 private:
  std::string bytes_;
  mutable const void* decoded_type_ = nullptr;
  mutable std::shared_ptr<const void> decoded_;
};
using ValuePtr = std::shared_ptr<const Value>;

struct Entry {
  std::string key;
  ValuePtr value;
  Revision create_revision = 0;
  Revision mod_revision = 0;
};

// What the transaction's author saw. For a key: its mod_revision, 0 when absent. For a prefix: the highest mod_revision
// seen under it *including deletions*, as range_revision() tells (an empty range counts).
struct Read {
  std::string key;
  bool prefix = false;
  Revision revision = 0;
};

struct Write {
  std::string key;
  ValuePtr value;  // null deletes; deleting an absent key is no error and no change
};

enum class Durability { derived, acknowledged };

struct Transaction {
  std::vector<Read> reads = {};
  std::vector<Write> writes = {};
  Durability durability = Durability::derived;

  bool empty() const { return writes.empty(); }
  void put(std::string key, std::string bytes) {
    writes.push_back({std::move(key), std::make_shared<const Value>(std::move(bytes))});
  }
  void erase(std::string key) { writes.push_back({std::move(key), nullptr}); }
};

struct Refusal {
  enum class Kind { conflict, too_large } kind;
  std::string key;  // conflict: the first read that no longer holds
};

struct Change {
  std::string key;
  ValuePtr value;  // null: deleted
  Revision revision = 0;
};

struct WatchBatch {
  // True: the watch cannot continue from where it was (a failed commit, or history not kept that far back). `changes`
  // is then empty; the reader must range() and go on from `through`.
  bool compacted = false;
  Revision through = 0;              // every committed change up to here has been delivered
  std::vector<Change> changes = {};  // in revision order
};

using WatchId = uint64_t;

// Kept in step with the head, for what must be known without ranging (reserved memory, tasks by cluster). Called on the
// state thread for every change of a key under its prefix, a roll-back's inverse changes and the load at start included.
class Index {
 public:
  virtual ~Index() = default;
  virtual void changed(const std::string& key, const ValuePtr& before, const ValuePtr& after) = 0;
};

class Store {
 public:
  virtual ~Store() = default;

  virtual std::optional<Entry> get(std::string_view key) const = 0;
  // Ascending by key, beginning after `after` (exclusive; empty: from the start), at most `limit` entries.
  virtual std::vector<Entry> range(std::string_view prefix, std::string_view after = {},
                                   size_t limit = SIZE_MAX) const = 0;
  // Highest revision of any change under the prefix, deletions included, since this process started (older deletions
  // cannot be remembered by anybody, so that is enough). Only the newest deletions are remembered one by one: where
  // there were more, an upper bound, which serves as a Read just as well.
  virtual Revision range_revision(std::string_view prefix) const = 0;

  // Applies to the head at once. An empty transaction is allowed and gives the head's revision.
  virtual tl::expected<Revision, Refusal> apply(Transaction transaction) = 0;

  virtual Revision head() const = 0;
  virtual Revision durable() const = 0;
  // Calls back with true once everything up to `revision` is durable in its own class (at once where it is already),
  // with false if it was rolled back.
  virtual void when_durable(Revision revision, std::function<void(bool)> callback) = 0;

  // Committed changes under `prefix` with a revision > `from`. A `from` older than the history kept: compacted.
  virtual WatchId watch(std::string prefix, Revision from, std::function<void(const WatchBatch&)> callback) = 0;
  virtual void cancel(WatchId id) = 0;

  // The index is fed with all present keys under the prefix before this returns. Borrowed; outlives the store's use.
  virtual void add_index(std::string prefix, Index* index) = 0;

  // Delivers what the backend has committed since the last call. Called on the state thread after `wake`.
  virtual void settle() = 0;
};

// In memory only, for unit tests and the simulator: apply() is committed at the next settle(); fail_next_commits() and
// a snapshot/restore pair let the simulator play disk-full and kill -9. Declared in memory_store.h.
// The durable one over SQLite (WAL), with its commit thread, is in sqlite_store.h.

}  // namespace berth::state
