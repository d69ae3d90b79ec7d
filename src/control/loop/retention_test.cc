#include "control/loop/retention.h"

#include <gtest/gtest.h>

#include "control/loop/loop.h"
#include "records/cluster.h"
#include "records/keys.h"
#include "records/network.h"
#include "records/read.h"
#include "records/service.h"
#include "records/task_definition.h"
#include "state/memory_store.h"

namespace berth::control {
namespace {

namespace keys = records::keys;

const records::Scope kScope{"123456789012", "eu-central-1"};
constexpr int64_t kHour = 3'600'000;

class RetentionTest : public ::testing::Test {
 protected:
  template <class T>
  void put(const std::string& key, const T& record) {
    state::Transaction transaction;
    records::put(transaction, key, record);
    ASSERT_TRUE(store.apply(std::move(transaction)));
  }
  void erase(const std::string& key) {
    state::Transaction transaction;
    transaction.erase(key);
    ASSERT_TRUE(store.apply(std::move(transaction)));
  }
  // Until it has nothing more to do now; the moment of its next wish.
  TimeMs rest() {
    std::optional<TimeMs> next;
    do {
      store.settle();
      next = retention->run(now);
      ++runs;
    } while (next && *next <= now);
    return next.value_or(0);
  }
  std::unique_ptr<Loop> make() {
    std::vector<std::unique_ptr<Controller>> controllers;
    controllers.push_back(std::make_unique<Retention>(store, index, RetentionSettings{}));
    return std::make_unique<Loop>(store, Settings{}, std::move(controllers));
  }
  void begin_again() { retention = make(); }
  std::string put_token(const char* operation, const std::string& token, std::vector<std::string> arns = {}) {
    const std::string key = keys::token(kScope, operation, token);
    put(key, records::ClientToken{"hash", std::move(arns), now});
    return key;
  }
  std::string put_leaving_definition() {
    records::TaskDefinition definition;
    definition.family = "web";
    definition.revision = 3;
    definition.status = "DELETE_IN_PROGRESS";
    const std::string key = keys::task_definition(kScope, "web", 3);
    put(key, definition);
    put(keys::leaving_definition(kScope, "web", 3), records::LeavingDefinition{now});
    return key;
  }

  TimeMs now = 1'700'000'000'000;
  state::MemoryStore store;
  records::TaskIndex index{store};
  int runs = 0;
  std::unique_ptr<Loop> retention = make();
};

TEST_F(RetentionTest, NatGatewaysThatAreOverGoAfterAnHourWithTheirTags) {
  const std::string key = keys::ec2("nat-gateway", kScope, "nat-1"), tags = keys::ec2("tags", kScope, "nat-1");
  records::NatGateway gateway;
  gateway.id = "nat-1";
  put(key, gateway);
  put(tags, records::ResourceTags{{{"Name", "n"}}});
  EXPECT_EQ(rest(), 0);
  gateway.state = "deleted";
  gateway.deleted_at_ms = now;
  put(key, gateway);
  EXPECT_GT(rest(), now);
  now += kHour;
  rest();
  EXPECT_FALSE(store.get(key));
  EXPECT_FALSE(store.get(tags));
}

TEST_F(RetentionTest, TokensOfEc2GoAfterADay) {
  const std::string key = std::string(keys::kEc2Token) + "123456789012/eu-central-1/CreateNatGateway/x";
  put(key, records::ClientToken{"hash", {"nat-1"}, now});
  now += 23 * kHour;
  rest();
  EXPECT_TRUE(store.get(key));
  now += kHour;
  rest();
  EXPECT_FALSE(store.get(key));
}

TEST_F(RetentionTest, NothingToDoIsNoTimer) {
  EXPECT_EQ(rest(), 0);
  records::Cluster cluster;
  put(keys::cluster(kScope, "active"), cluster);
  EXPECT_EQ(rest(), 0);
}

TEST_F(RetentionTest, DeletedClustersAreDescribedForAnHour) {
  records::Cluster cluster;
  put(keys::cluster(kScope, "active"), cluster);
  cluster.status = "INACTIVE";
  cluster.inactive_at_ms = now;
  rest();
  put(keys::cluster(kScope, "gone"), cluster);
  EXPECT_EQ(rest(), now + kHour);
  begin_again();
  EXPECT_EQ(rest(), now + kHour);
  now += kHour - 1;
  rest();
  EXPECT_TRUE(store.get(keys::cluster(kScope, "gone")));
  now += 1;
  EXPECT_EQ(rest(), 0);
  EXPECT_FALSE(store.get(keys::cluster(kScope, "gone")));
  EXPECT_TRUE(store.get(keys::cluster(kScope, "active")));
}

TEST_F(RetentionTest, TokensAreGoodForADayAndAsLongAsTheirTasks) {
  const keys::TaskPath task{kScope, "c", "0123456789abcdef0123456789abcdef"};
  put(keys::task(keys::kTaskSpec, task), records::TaskSpec{});
  const std::string used = put_token("RunTask", "used", {task.arn()}), idle = put_token("RunTask", "idle", {"no arn"});
  const std::string of_service = put_token("CreateService", "c/web");
  EXPECT_EQ(rest(), now + 24 * kHour);
  now += 24 * kHour;
  rest();
  EXPECT_TRUE(store.get(used));
  EXPECT_FALSE(store.get(idle));
  EXPECT_TRUE(store.get(of_service)) << "it goes with its service";
  erase(keys::task(keys::kTaskSpec, task));
  now += kHour;
  EXPECT_EQ(rest(), 0);
  EXPECT_FALSE(store.get(used));
}

TEST_F(RetentionTest, DefinitionsStayWhileTheyAreNamed) {
  const std::string definition = put_leaving_definition();
  const keys::TaskPath task{kScope, "c", "a"};
  records::TaskSpec task_spec;
  task_spec.family = "web";
  task_spec.revision = 3;
  put(keys::task(keys::kTaskSpec, task), task_spec);
  records::TaskStatus stopped;
  stopped.state = records::TaskState::stopped;
  put(keys::task(keys::kTaskStatus, task), stopped);
  const keys::ServicePath service{kScope, "c", "web"};
  records::ServiceSpec spec;
  spec.target.family = "web";
  spec.target.revision = 4;
  put(keys::service(keys::kServiceSpec, service), spec);
  records::ServiceStatus status;
  status.last_completed = {{"web", 3, "FARGATE"}};
  put(keys::service(keys::kServiceStatus, service), status);

  EXPECT_EQ(rest(), now + kHour);
  now += kHour;
  rest();
  EXPECT_TRUE(store.get(definition)) << "a stopped task shows its containers";
  erase(keys::task(keys::kTaskSpec, task));
  erase(keys::task(keys::kTaskStatus, task));
  now += kHour;
  rest();
  EXPECT_TRUE(store.get(definition)) << "a service may roll back to it";
  status.status = "INACTIVE";
  put(keys::service(keys::kServiceStatus, service), status);
  now += kHour;
  EXPECT_EQ(rest(), 0);
  EXPECT_FALSE(store.get(definition));
  EXPECT_TRUE(store.range(keys::kLeavingDefinition).empty());
}

TEST_F(RetentionTest, AWalkIsBoundedAndSeldom) {
  for (int i = 0; i < 1000; ++i) put_token("RunTask", fmt::format("{:04}", i));
  now += 24 * kHour;
  store.settle();
  EXPECT_EQ(retention->run(now), now) << "a part of it, and then others have their turn";
  EXPECT_LE(1000 - store.range(keys::kToken).size(), 256u);
  rest();
  EXPECT_TRUE(store.range(keys::kToken).empty());
  // One after the other comes due, and they wait for each other.
  for (int i = 0; i < 100; ++i) put_token("RunTask", fmt::format("{:04}", i)), now += 1000;
  runs = 0;
  now += 24 * kHour - 100'000;
  while (!store.range(keys::kToken).empty()) now = std::max(rest(), now + 1);
  EXPECT_LE(runs, 12);
}

TEST_F(RetentionTest, AFailedCommitIsTriedAgain) {
  const std::string token = put_token("RunTask", "t");
  rest();
  now += 24 * kHour;
  store.fail_next_commits(1);
  while (retention->run(now) == now) continue;
  EXPECT_FALSE(store.get(token));
  store.settle();
  EXPECT_TRUE(store.get(token));
  now += kHour;
  rest();
  EXPECT_FALSE(store.get(token));
}

}  // namespace
}  // namespace berth::control
