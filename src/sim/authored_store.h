// A store as one author sees it: what it writes is held against the table of writers in records/keys.h, and a
// transaction may meet a conflict that nobody else has caused.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "state/store.h"

namespace berth::sim {

enum class Author { user, control, agent };

class AuthoredStore final : public state::Store {
 public:
  // `violation` is told what was written by whom although it is not theirs. `conflict` says whether the next
  // transaction with reads is refused. `applied` hears of each that was not.
  AuthoredStore(state::Store& store, Author author, std::function<void(const std::string&)> violation,
                std::function<bool()> conflict, std::function<void(const state::Transaction&, state::Revision)> applied)
      : store_(store),
        author_(author),
        violation_(std::move(violation)),
        conflict_(std::move(conflict)),
        applied_(std::move(applied)) {}

  std::optional<state::Entry> get(std::string_view key) const override { return store_.get(key); }
  std::vector<state::Entry> range(std::string_view prefix, std::string_view after, size_t limit) const override {
    return store_.range(prefix, after, limit);
  }
  state::Revision range_revision(std::string_view prefix) const override { return store_.range_revision(prefix); }
  tl::expected<state::Revision, state::Refusal> apply(state::Transaction transaction) override;
  state::Revision head() const override { return store_.head(); }
  state::Revision durable() const override { return store_.durable(); }
  void when_durable(state::Revision revision, std::function<void(bool)> callback) override {
    store_.when_durable(revision, std::move(callback));
  }
  state::WatchId watch(std::string prefix, state::Revision from,
                       std::function<void(const state::WatchBatch&)> callback) override {
    return store_.watch(std::move(prefix), from, std::move(callback));
  }
  void cancel(state::WatchId id) override { store_.cancel(id); }
  void add_index(std::string prefix, state::Index* index) override { store_.add_index(std::move(prefix), index); }
  void settle() override { store_.settle(); }

 private:
  state::Store& store_;
  const Author author_;
  const std::function<void(const std::string&)> violation_;
  const std::function<bool()> conflict_;
  const std::function<void(const state::Transaction&, state::Revision)> applied_;
};

}  // namespace berth::sim
