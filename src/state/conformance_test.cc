// One suite over every backend: what store.h promises.
#include <gmock/gmock.h>

#include <map>

#include "state/test_backend.h"

namespace berth::state {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Transaction put(std::string key, std::string value, Durability durability = Durability::derived) {
  Transaction transaction;
  transaction.put(std::move(key), std::move(value));
  transaction.durability = durability;
  return transaction;
}

Transaction erase(std::string key) {
  Transaction transaction;
  transaction.erase(std::move(key));
  return transaction;
}

// Reads as "key=value@revision", deletions as "key-@revision".
struct Seen {
  std::vector<std::string> changes;
  int compactions = 0;
  Revision through = 0;
  std::function<void(const WatchBatch&)> callback() {
    return [this](const WatchBatch& batch) {
      if (batch.compacted) ++compactions;
      EXPECT_TRUE(!batch.compacted || batch.changes.empty());
      EXPECT_GE(batch.through, through);
      through = batch.through;
      for (const Change& change : batch.changes) {
        changes.push_back(change.key + (change.value ? "=" + change.value->bytes() : "-") + "@" +
                          std::to_string(change.revision));
      }
    };
  }
};

struct Copy : Index {
  std::map<std::string, std::string> entries;
  void changed(const std::string& key, const ValuePtr& before, const ValuePtr& after) override {
    const auto found = entries.find(key);
    ASSERT_EQ(before != nullptr, found != entries.end()) << key;
    if (before) {
      ASSERT_EQ(before->bytes(), found->second);
    }
    if (after) {
      entries[key] = after->bytes();
    } else {
      entries.erase(key);
    }
  }
};

std::map<std::string, std::string> contents(const Store& store, std::string_view prefix = "") {
  std::map<std::string, std::string> found;
  for (const Entry& entry : store.range(prefix)) found[entry.key] = entry.value->bytes();
  return found;
}

class Conformance : public ::testing::TestWithParam<BackendFactory> {
 protected:
  void SetUp() override {
    backend_ = GetParam().make();
    backend_->open();
  }
  Store& store() { return backend_->store(); }
  Revision apply(Transaction transaction) {
    const auto applied = store().apply(std::move(transaction));
    EXPECT_TRUE(applied.has_value()) << applied.error().key;
    return applied.value_or(0);
  }
  void settle() { backend_->settle_all(); }

  std::unique_ptr<Backend> backend_;
};

TEST_P(Conformance, HeadIsReadBeforeItIsCommitted) {
  EXPECT_EQ(store().head(), 0u);
  EXPECT_EQ(apply(put("a", "1")), 1u);
  ASSERT_TRUE(store().get("a"));
  EXPECT_EQ(store().get("a")->value->bytes(), "1");
  EXPECT_EQ(apply(put("a", "2")), 2u);
  EXPECT_EQ(store().get("a")->create_revision, 1u);
  EXPECT_EQ(store().get("a")->mod_revision, 2u);
  EXPECT_EQ(store().head(), 2u);
  settle();
  EXPECT_EQ(store().durable(), 2u);
  apply(erase("a"));
  EXPECT_FALSE(store().get("a"));
  apply(put("a", "3"));
  EXPECT_EQ(store().get("a")->create_revision, 4u);
}

TEST_P(Conformance, RangePagesInKeyOrder) {
  for (const char* key : {"b/2", "b/1", "a", "b/3", "c", "b"}) apply(put(key, key));
  const auto keys = [&](std::string_view prefix, std::string_view after, size_t limit) {
    std::vector<std::string> found;
    for (const Entry& entry : store().range(prefix, after, limit)) found.push_back(entry.key);
    return found;
  };
  EXPECT_THAT(keys("b/", "", SIZE_MAX), ElementsAre("b/1", "b/2", "b/3"));
  EXPECT_THAT(keys("b/", "b/1", 1), ElementsAre("b/2"));
  EXPECT_THAT(keys("b/", "b/2", 9), ElementsAre("b/3"));
  EXPECT_THAT(keys("b/", "b/3", 9), IsEmpty());
  EXPECT_THAT(keys("b/", "a", 9), ElementsAre("b/1", "b/2", "b/3"));
  EXPECT_THAT(keys("", "", 2), ElementsAre("a", "b"));
  EXPECT_THAT(keys("", "b/3", 2), ElementsAre("c"));
  EXPECT_THAT(keys("b/", "", 0), IsEmpty());
}

TEST_P(Conformance, BeyondTheLimitsIsRefusedAndChangesNothing) {
  Transaction many;
  for (size_t i = 0; i < kOperationsMax; ++i) many.put("k" + std::to_string(i), "");
  apply(many);
  Transaction one_more = many;
  one_more.reads.push_back({"k0", false, 1});
  const auto too_many = store().apply(one_more);
  ASSERT_FALSE(too_many);
  EXPECT_EQ(too_many.error().kind, Refusal::Kind::too_large);

  apply(put("b", std::string(kTransactionBytesMax - 1, 'x')));
  const auto too_big = store().apply(put("b", std::string(kTransactionBytesMax, 'x')));
  ASSERT_FALSE(too_big);
  EXPECT_EQ(too_big.error().kind, Refusal::Kind::too_large);
  EXPECT_EQ(store().head(), 2u);
}

TEST_P(Conformance, ConflictsOnWhatWasRead) {
  const Revision first = apply(put("a", "1"));
  Transaction transaction = put("b", "1");
  transaction.reads = {{"a", false, first}, {"absent", false, 0}};
  apply(transaction);

  apply(put("a", "2"));
  auto refused = store().apply(transaction);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, Refusal::Kind::conflict);
  EXPECT_EQ(refused.error().key, "a");

  transaction.reads = {{"a", false, 0}};
  EXPECT_FALSE(store().apply(transaction));
  apply(erase("a"));
  apply(transaction);  // absent is revision 0 again
  Transaction only_reads;
  only_reads.reads = {{"a", false, 1}};
  EXPECT_FALSE(store().apply(only_reads));
  only_reads.reads = {{"a", false, 0}};
  EXPECT_EQ(store().apply(only_reads), store().head());
}

TEST_P(Conformance, ConflictsOnWhatWasRangedOver) {
  Transaction transaction = put("x", "1");
  transaction.reads = {{"t/", true, store().range_revision("t/")}};
  apply(transaction);  // empty, and still empty
  apply(put("u/1", "1"));
  apply(transaction);
  apply(put("t/1", "1"));
  auto refused = store().apply(transaction);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().key, "t/");

  transaction.reads[0].revision = store().range_revision("t/");
  apply(transaction);
  settle();
  apply(transaction);
  apply(erase("t/1"));  // a deletion is a change too
  EXPECT_FALSE(store().apply(transaction));
  settle();
  EXPECT_FALSE(store().apply(transaction));
  transaction.reads[0].revision = store().range_revision("t/");
  apply(transaction);
}

TEST_P(Conformance, ForgottenDeletionsStillConflict) {
  apply(put("t/1", "1"));
  Transaction transaction = put("x", "1");
  transaction.reads = {{"t/", true, store().range_revision("t/")}};
  apply(erase("t/1"));
  for (size_t i = 0; i < kTombstonesMax + kHistoryTransactionsMax; ++i) {
    const std::string key = "churn/" + std::to_string(i);
    apply(put(key, ""));
    apply(erase(key));
    if (i % 512 == 0) settle();
  }
  settle();
  EXPECT_FALSE(store().apply(transaction));
  transaction.reads[0].revision = store().range_revision("t/");
  apply(transaction);
  settle();
  apply(transaction);
}

TEST_P(Conformance, DurabilityIsToldInOrderAndOnce) {
  std::vector<std::string> told;
  const auto note = [&](std::string name) {
    return [&told, name](bool durable) { told.push_back(name + (durable ? "+" : "-")); };
  };
  store().when_durable(0, note("zero"));
  EXPECT_THAT(told, ElementsAre("zero+"));
  const Revision one = apply(put("a", "1", Durability::acknowledged));
  const Revision two = apply(put("b", "1"));
  store().when_durable(two, note("two"));
  store().when_durable(one, note("one"));
  store().when_durable(two, note("two again"));
  settle();
  EXPECT_THAT(told, ElementsAre("zero+", "one+", "two+", "two again+"));
  settle();
  store().when_durable(one, note("late"));
  EXPECT_EQ(told.size(), 5u);
}

TEST_P(Conformance, WatchesSeeCommittedChangesOfTheirPrefix) {
  Seen all, some;
  store().watch("", 0, all.callback());
  const WatchId id = store().watch("t/", 0, some.callback());
  Transaction both;
  both.put("t/1", "a");
  both.put("s/1", "b");
  apply(both);
  EXPECT_THAT(all.changes, IsEmpty());
  settle();
  EXPECT_THAT(all.changes, ElementsAre("t/1=a@1", "s/1=b@1"));
  EXPECT_THAT(some.changes, ElementsAre("t/1=a@1"));
  apply(erase("t/1"));
  apply(erase("t/absent"));
  settle();
  EXPECT_THAT(some.changes, ElementsAre("t/1=a@1", "t/1-@2"));
  store().cancel(id);
  apply(put("t/2", "c"));
  settle();
  EXPECT_EQ(some.changes.size(), 2u);
  EXPECT_EQ(all.changes.back(), "t/2=c@4");
}

TEST_P(Conformance, WatchesResumeFromARevision) {
  for (int i = 1; i <= 4; ++i) apply(put("k", std::to_string(i)));
  settle();
  Seen resumed, now;
  store().watch("", 2, resumed.callback());
  apply(put("k", "5"));
  store().watch("", store().head(), now.callback());  // ahead of what is committed
  settle();
  EXPECT_THAT(resumed.changes, ElementsAre("k=3@3", "k=4@4", "k=5@5"));
  EXPECT_THAT(now.changes, IsEmpty());
  apply(put("k", "6"));
  settle();
  EXPECT_THAT(now.changes, ElementsAre("k=6@6"));
  EXPECT_EQ(resumed.changes.size(), 4u);
}

TEST_P(Conformance, AWatchTooFarBehindIsToldToListAgain) {
  for (size_t i = 0; i < kHistoryTransactionsMax + 10; ++i) apply(put("k", std::to_string(i)));
  settle();
  Seen behind, future;
  store().watch("", 1, behind.callback());
  store().watch("", store().head() + 1, future.callback());
  settle();
  EXPECT_EQ(behind.compactions, 1);
  EXPECT_EQ(behind.through, store().durable());
  EXPECT_EQ(future.compactions, 1);
  apply(put("k", "new"));
  settle();
  EXPECT_EQ(behind.changes.size(), 1u);
  EXPECT_EQ(behind.compactions, 1);
}

TEST_P(Conformance, CallbacksMayUseTheStore) {
  std::vector<std::string> log;
  WatchId second = 0;
  store().watch("in/", 0, [&](const WatchBatch& batch) {
    for (const Change& change : batch.changes) {
      const Revision revision = apply(put("out/" + change.key, change.value->bytes()));
      store().when_durable(revision, [&log](bool durable) { log.push_back(durable ? "out durable" : "lost"); });
    }
    store().cancel(second);
  });
  second = store().watch("", 0, [&](const WatchBatch&) { log.push_back("cancelled before its turn"); });
  apply(put("in/1", "x"));
  settle();
  settle();
  EXPECT_THAT(log, ElementsAre("out durable"));
  EXPECT_TRUE(store().get("out/in/1"));
}

TEST_P(Conformance, AFailedCommitTakesBackEverythingSince) {
  Copy index;
  store().add_index("k/", &index);
  Seen seen;
  store().watch("", 0, seen.callback());
  apply(put("k/1", "kept"));
  apply(put("k/2", "kept"));
  settle();
  const auto before = contents(store());
  const Revision head = store().head();

  backend_->fail_commits();
  std::vector<bool> told;
  Transaction transaction = erase("k/1");
  transaction.put("k/2", "lost");
  transaction.put("k/3", "lost");
  transaction.put("k/3", "lost twice");
  const Revision lost = apply(transaction);
  store().when_durable(lost, [&](bool durable) { told.push_back(durable); });
  store().when_durable(apply(put("k/1", "again")), [&](bool durable) { told.push_back(durable); });
  EXPECT_NE(index.entries, before);
  settle();
  EXPECT_THAT(told, ElementsAre(false, false));
  EXPECT_EQ(contents(store()), before);
  EXPECT_EQ(index.entries, before);
  EXPECT_EQ(store().head(), head);
  EXPECT_EQ(store().get("k/1")->mod_revision, 1u);
  EXPECT_EQ(seen.compactions, 1);
  EXPECT_EQ(seen.changes.size(), 2u);

  backend_->heal_commits();  // space has come back
  const Revision next = apply(put("k/4", "new", Durability::acknowledged));
  EXPECT_GT(next, lost);  // a revision never means two things
  store().when_durable(next, [&](bool durable) { told.push_back(durable); });
  settle();
  EXPECT_THAT(told, ElementsAre(false, false, true));
  store().when_durable(lost, [&](bool durable) { told.push_back(durable); });  // asked late
  EXPECT_FALSE(told.back());
  EXPECT_EQ(seen.changes.size(), 3u);
  Seen confused;  // who read before the roll-back cannot go on from there
  store().watch("", lost, confused.callback());
  settle();
  EXPECT_EQ(confused.compactions, 1);
  EXPECT_EQ(index.entries, contents(store()));
}

TEST_P(Conformance, RolledBackReadsConflict) {
  apply(put("t/1", "1"));
  settle();
  backend_->fail_commits();
  const Revision lost = apply(put("t/1", "2"));
  EXPECT_EQ(store().range_revision("t/"), lost);
  settle();
  backend_->heal_commits();
  Transaction transaction = put("x", "");
  transaction.reads = {{"t/1", false, lost}};
  EXPECT_FALSE(store().apply(transaction));
  transaction.reads = {{"t/", true, lost}};
  EXPECT_FALSE(store().apply(transaction));
  transaction.reads = {{"t/", true, store().range_revision("t/")}};
  apply(transaction);
}

TEST_P(Conformance, ARestartKeepsWhatWasCommitted) {
  apply(put("a", "1", Durability::acknowledged));
  apply(put("b", std::string("zero\0byte", 9)));
  apply(put("c", ""));
  apply(put("d", "1"));
  apply(erase("d"));
  settle();
  const auto before = contents(store());
  const Entry b = *store().get("b");
  backend_->restart();
  EXPECT_EQ(contents(store()), before);
  EXPECT_EQ(store().get("b")->mod_revision, b.mod_revision);
  EXPECT_EQ(store().get("b")->create_revision, b.create_revision);
  EXPECT_EQ(store().head(), 5u);
  EXPECT_EQ(store().durable(), 5u);
  Copy index;
  store().add_index("", &index);
  EXPECT_EQ(index.entries, before);
  Seen behind, level;
  store().watch("", 3, behind.callback());
  store().watch("", 5, level.callback());
  apply(put("e", "1"));
  settle();
  EXPECT_EQ(behind.compactions, 1);
  EXPECT_THAT(level.changes, ElementsAre("e=1@6"));
}

INSTANTIATE_TEST_SUITE_P(Backends, Conformance, ::testing::ValuesIn(backend_factories()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace berth::state
