// The backend of unit tests and the simulator: no thread, no disk. What is applied is committed by the next
// settle(), or by commit() when a crash between the commit and its delivery is to be played.
//
//   MemoryStore::Image disk = store.after_kill();      // uncommitted transactions are gone
//   MemoryStore::Image disk = store.after_power_loss();// and derived ones after the last acknowledged commit
//   MemoryStore restarted(disk);
#pragma once

#include "state/head_store.h"

namespace berth::state {

class MemoryStore final : public HeadStore {
 public:
  // What a disk would hold. Values are shared, not copied.
  class Image {
   public:
    Revision revision() const { return revision_; }
    size_t size() const { return entries_.size(); }

   private:
    friend class MemoryStore;
    Entries entries_;
    Revision revision_ = 0;
  };

  // `wake` is called after each apply() and where a new watch has something to catch up with; may be empty.
  explicit MemoryStore(std::function<void()> wake = {}) : HeadStore(std::move(wake)) {}
  explicit MemoryStore(Image image, std::function<void()> wake = {});

  // The next `count` commits of something fail, as on a full disk.
  void fail_next_commits(int count) { failures_ = count; }
  // Commits what is queued, without telling anybody; settle() does both.
  void commit();
  bool something_queued() const { return queued_through_ != committed_through_; }

  // The state a restarted process finds after kill -9.
  Image after_kill() const;
  // The same after power loss: of the commits since the last acknowledged one, the first `derived_kept`
  // survive.
  Image after_power_loss(size_t derived_kept = 0) const;

 private:
  void enqueue(std::shared_ptr<const Applied> applied) override;
  Outcome collect() override;
  void committed(Applied& applied) override;

  int failures_ = 0;
  bool failed_ = false;
  Revision queued_through_ = 0;
  Revision committed_through_ = 0;
  // Settled derived transactions after the last acknowledged commit, which power loss takes.
  std::vector<Applied> unsynced_;
};

}  // namespace berth::state
