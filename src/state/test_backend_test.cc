#include "state/test_backend.h"

#include "state/memory_store.h"

namespace berth::state {
namespace {

class MemoryBackend final : public Backend {
 public:
  void open() override { store_ = std::make_unique<MemoryStore>(); }
  Store& store() override { return *store_; }
  void settle_all() override {
    do store_->settle();
    while (store_->something_queued());
    store_->settle();  // watches taken meanwhile
  }
  void fail_commits() override { store_->fail_next_commits(1'000'000); }
  void heal_commits() override { store_->fail_next_commits(0); }
  void restart() override { store_ = std::make_unique<MemoryStore>(store_->after_kill()); }

 private:
  std::unique_ptr<MemoryStore> store_;
};

}  // namespace

std::vector<BackendFactory> backend_factories() {
  return {{"Memory", [] { return std::make_unique<MemoryBackend>(); }}};
}

}  // namespace berth::state
