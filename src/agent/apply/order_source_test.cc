#include "agent/apply/order_source.h"

#include <gtest/gtest.h>

#include "agent/apply/observation_sink.h"
#include "records/read.h"
#include "state/memory_store.h"

namespace berth::agent {
namespace {

namespace keys = records::keys;

const keys::TaskPath kTask{{"1", "r"}, "c", std::string(32, 'a')};

// Writes down what it is told.
class Told final : public OrderSink {
 public:
  void adopt(std::vector<Assignment> assignments) override {
    for (const Assignment& one : assignments) told.push_back("adopt" + suffix(one));
  }
  void order(Assignment assignment) override {
    told.push_back("order" + suffix(assignment));
    revision = assignment.revision;
  }
  void over(const keys::TaskPath&) override { told.emplace_back("over"); }
  void forget(const keys::TaskPath&) override { told.emplace_back("forget"); }
  void resync() override { told.emplace_back("resync"); }
  static std::string suffix(const Assignment& one) { return one.stop ? " stop " + one.stop->reason : " run"; }

  std::vector<std::string> told;
  int64_t revision = 0;
};

class OrderSourceTest : public testing::Test {
 protected:
  void put_order(const std::string& host = "h") {
    write([&](state::Transaction& t) { records::put(t, keys::task_order(host, kTask), records::TaskOrder{}); });
  }
  void put_stop() {
    write([&](state::Transaction& t) { records::put(t, keys::task_stop("h", kTask), records::TaskStop{1, "why"}); });
  }
  void erase(const std::string& key) {
    write([&](state::Transaction& t) { t.erase(key); });
  }
  void write(const std::function<void(state::Transaction&)>& fill) {
    state::Transaction transaction;
    fill(transaction);
    ASSERT_TRUE(store.apply(std::move(transaction)));
  }
  using Words = std::vector<std::string>;

  state::MemoryStore store;
  Told sink;
  std::unique_ptr<OrderSource> source = std::make_unique<OrderSource>(store, sink, "h");
};

TEST_F(OrderSourceTest, FollowsATaskFromItsOrderToItsEnd) {
  put_order("another");
  source->start();
  put_order();
  EXPECT_EQ(sink.told, Words{}) << "it is not committed yet";
  store.settle();
  EXPECT_EQ(sink.revision, store.get(keys::task_order("h", kTask))->mod_revision);
  put_stop();
  store.settle();
  EXPECT_EQ(sink.revision, store.get(keys::task_stop("h", kTask))->mod_revision);
  erase(keys::task_order("h", kTask));
  store.settle();
  erase(keys::task_stop("h", kTask));
  store.settle();
  EXPECT_EQ(sink.told, (Words{"order run", "order stop why", "over", "forget"}));
}

TEST_F(OrderSourceTest, AdoptsWhatIsThereAtStart) {
  put_order();
  put_stop();
  source->start();
  EXPECT_EQ(sink.told, Words{"adopt stop why"});
}

TEST_F(OrderSourceTest, AStopIsToldOnceItIsCommitted) {
  source->start();
  put_order();
  store.settle();
  put_stop();
  put_order();  // and with it the task is looked at again
  store.fail_next_commits(1);
  store.settle();
  EXPECT_EQ(sink.told, (Words{"order run", "order run", "resync", "order run", "resync"}));
  put_stop();
  store.settle();
  EXPECT_EQ(sink.told.back(), "order stop why");
}

TEST_F(OrderSourceTest, AnOrderThatIsOverBeforeItWasToldOfIsNone) {
  source->start();
  put_order();
  put_stop();
  erase(keys::task_order("h", kTask));
  store.settle();
  EXPECT_EQ(sink.told, Words{"over"});
}

TEST_F(OrderSourceTest, ObservationsCarryTheEpochAndAreWrittenWhereTheyAreNews) {
  ObservationSink observations(store, 5);
  records::TaskObserved observed;
  observed.provisioned = true;
  observations.write(kTask, observed);
  EXPECT_FALSE(store.get(keys::task(keys::kTaskObserved, kTask))) << "of a task whose record is gone";
  write([&](state::Transaction& t) { records::put(t, keys::task(keys::kTaskSpec, kTask), records::TaskSpec{}); });
  observations.write(kTask, observed);
  const auto head = store.head();
  observations.write(kTask, observed);
  EXPECT_EQ(store.head(), head);
  EXPECT_EQ(records::get<records::TaskObserved>(store, keys::task(keys::kTaskObserved, kTask))->epoch, 5);
}

}  // namespace
}  // namespace berth::agent
