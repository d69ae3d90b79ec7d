#include "state/memory_store.h"

#include <gtest/gtest.h>

namespace berth::state {
namespace {

void put(Store& store, std::string key, Durability durability = Durability::derived) {
  Transaction transaction;
  transaction.put(std::move(key), "x");
  transaction.durability = durability;
  ASSERT_TRUE(store.apply(std::move(transaction)));
}

TEST(MemoryStore, KillLosesOnlyWhatWasNotCommitted) {
  MemoryStore store;
  put(store, "settled");
  store.settle();
  put(store, "committed");
  store.commit();  // the process dies before anybody hears of it
  put(store, "applied");
  MemoryStore restarted(store.after_kill());
  EXPECT_TRUE(restarted.get("settled"));
  EXPECT_TRUE(restarted.get("committed"));
  EXPECT_FALSE(restarted.get("applied"));
  EXPECT_EQ(restarted.head(), 2u);
}

TEST(MemoryStore, PowerLossTakesDerivedWritesAfterTheLastAcknowledgedOne) {
  MemoryStore store;
  put(store, "derived before");
  put(store, "acknowledged", Durability::acknowledged);
  put(store, "derived 1");
  store.settle();
  put(store, "derived 2");
  store.commit();
  put(store, "applied");
  MemoryStore none(store.after_power_loss());
  EXPECT_TRUE(none.get("derived before"));
  EXPECT_TRUE(none.get("acknowledged"));
  EXPECT_FALSE(none.get("derived 1"));
  EXPECT_EQ(none.head(), 2u);
  MemoryStore one(store.after_power_loss(1));
  EXPECT_TRUE(one.get("derived 1"));
  EXPECT_FALSE(one.get("derived 2"));
  EXPECT_EQ(one.head(), 3u);
  MemoryStore all(store.after_power_loss(9));
  EXPECT_TRUE(all.get("derived 2"));
  EXPECT_FALSE(all.get("applied"));
}

TEST(MemoryStore, FailsAsManyCommitsAsAsked) {
  MemoryStore store;
  store.fail_next_commits(1);
  store.settle();  // nothing to commit: does not count
  put(store, "lost");
  store.settle();
  EXPECT_FALSE(store.get("lost"));
  put(store, "kept");
  store.settle();
  EXPECT_TRUE(store.get("kept"));
  EXPECT_EQ(store.after_kill().size(), 1u);
}

TEST(MemoryStore, WakesForWorkToSettle) {
  int wakes = 0;
  MemoryStore store([&] { ++wakes; });
  put(store, "a");
  EXPECT_EQ(wakes, 1);
  store.settle();
  store.watch("", 0, [](const WatchBatch&) {});
  EXPECT_EQ(wakes, 2);
  store.watch("", 1, [](const WatchBatch&) {});
  EXPECT_EQ(wakes, 2);
}

}  // namespace
}  // namespace berth::state
