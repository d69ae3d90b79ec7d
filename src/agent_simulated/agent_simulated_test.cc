#include <gtest/gtest.h>

#include "agent_simulated/agent.h"
#include "records/keys.h"
#include "records/read.h"
#include "state/memory_store.h"

namespace berth::agent_simulated {
namespace {

namespace keys = records::keys;

constexpr TimeMs kStart = 1'700'000'000'000;
const keys::TaskPath kTask{{"123456789012", "eu-central-1"}, "default", "0123456789abcdef0123456789abcdef"};

records::ContainerDefinition container(std::string name, std::string image) {
  records::ContainerDefinition definition;
  definition.name = std::move(name);
  definition.image = std::move(image);
  return definition;
}

class AgentTest : public ::testing::Test {
 protected:
  void define(std::vector<records::ContainerDefinition> containers) {
    ordered.epoch = host.epoch;
    ordered.containers = std::move(containers);
    state::Transaction transaction;
    records::put(transaction, keys::task(keys::kTaskSpec, kTask), records::TaskSpec{});
    ASSERT_TRUE(store.apply(std::move(transaction)));
  }
  void order(records::Order order) {
    state::Transaction transaction;
    if (order == records::Order::run)
      records::put(transaction, keys::task_order(host.id, kTask), ordered);
    else
      records::put(transaction, keys::task_stop(host.id, kTask), records::TaskStop{host.epoch, "because"});
    ASSERT_TRUE(store.apply(std::move(transaction)));
  }
  std::optional<TimeMs> pass() {
    store.settle();
    const auto next = agent->run(now);
    store.settle();
    return next;
  }
  records::TaskObserved seen() {
    const auto observed = records::get<records::TaskObserved>(store, keys::task(keys::kTaskObserved, kTask));
    return observed ? *observed : records::TaskObserved{};
  }

  TimeMs now = kStart;
  state::MemoryStore store;
  records::Host host{.id = "host-1", .epoch = 3};
  records::TaskOrder ordered;
  Prng random{7};
  Machine machine{random, {}};
  std::unique_ptr<Agent> agent = std::make_unique<Agent>(store, machine, random, host);
};

TEST(Script, TakesWordsOfImagesAndOfTheEnvironment) {
  records::ContainerDefinition definition = container("a", "exit:3+after:2s");
  const Script from_image = script_of(definition);
  EXPECT_EQ(from_image.exit_code, 3);
  EXPECT_EQ(from_image.after_ms, 2000);
  definition.image = "nginx:latest";
  definition.environment = {{"BERTH_SIMULATED", "exit:0 after:50ms"}};
  EXPECT_EQ(script_of(definition).exit_code, 0);
  EXPECT_EQ(script_of(definition).after_ms, 50);
  EXPECT_FALSE(script_of(container("b", "registry.example/exit/image:exit")).exit_code);
}

TEST_F(AgentTest, RunsWhatIsOrderedAndSaysSoAtOnce) {
  define({container("a", "nginx"), container("b", "nginx")});
  order(records::Order::run);
  pass();
  EXPECT_TRUE(seen().provisioned);
  EXPECT_TRUE(seen().containers[0].running);
  EXPECT_TRUE(seen().containers[1].running);
  order(records::Order::stop);
  pass();
  EXPECT_TRUE(seen().stopped);
  EXPECT_TRUE(seen().released);
  EXPECT_EQ(seen().containers[0].exit_code, 143);
}

TEST_F(AgentTest, DoesNotFollowWhatIsNotCommitted) {
  define({container("a", "nginx")});
  order(records::Order::run);
  agent->run(now);
  EXPECT_FALSE(machine.has(kTask.str()));
  store.fail_next_commits(1);
  pass();
  EXPECT_FALSE(machine.has(kTask.str()));
}

TEST_F(AgentTest, EssentialExitStopsTheRestWithoutAnOrder) {
  define({container("a", "exit:1+after:50ms"), container("b", "nginx")});
  order(records::Order::run);
  EXPECT_EQ(pass(), kStart + 50);
  now += 50;
  pass();
  EXPECT_EQ(seen().containers[0].exit_code, 1);
  EXPECT_TRUE(seen().stopped);
}

// Nobody writes anything but the agent: control is away.
TEST_F(AgentTest, ATaskGoesThroughItsLifeWhileControlIsAway) {
  auto init = container("init", "exit:0+after:2s");
  init.essential = false;
  auto app = container("app", "exit:1+after:70s");
  app.depends_on = {{"init", records::Condition::success}};
  app.restart_policy = {{}, 60};
  auto late = container("late", "exit:0+after:100s");
  late.depends_on = {{"app", records::Condition::start}};
  define({init, app, late});
  order(records::Order::run);
  pass();
  EXPECT_FALSE(seen().containers[1].running);
  now += 2'000;
  pass();
  EXPECT_TRUE(seen().containers[1].running);
  EXPECT_TRUE(seen().containers[2].running);
  now += 70'000;
  pass();
  EXPECT_TRUE(seen().containers[1].running);
  EXPECT_EQ(seen().containers[1].starts, 2);
  now += 30'000;
  pass();
  EXPECT_TRUE(seen().stopped) << "an essential container is over";
  EXPECT_EQ(seen().containers[1].exit_code, 143);
}

TEST_F(AgentTest, SaysWhatItKnewAndOfWhichEpochItIs) {
  define({container("a", "nginx")});
  order(records::Order::run);
  pass();
  EXPECT_EQ(seen().epoch, 3);
  EXPECT_EQ(seen().order_revision, store.get(keys::task_order(host.id, kTask))->mod_revision);
  order(records::Order::stop);
  pass();
  EXPECT_EQ(seen().order_revision, store.get(keys::task_stop(host.id, kTask))->mod_revision);
}

TEST_F(AgentTest, APartitionDelaysWordsAndNotTasks) {
  define({container("a", "exit:3+after:2s")});
  order(records::Order::run);
  pass();
  agent->set_partitioned(true);
  now += 2'000;
  pass();
  EXPECT_TRUE(seen().containers[0].running);
  agent->set_partitioned(false);
  pass();
  EXPECT_EQ(seen().containers[0].exit_code, 3);
  EXPECT_EQ(seen().containers[0].exited_at_ms, now);
}

TEST_F(AgentTest, DoesNotFollowOrdersOfAnEpochThatItDoesNotKnow) {
  host.epoch = 4;
  define({container("a", "nginx")});
  order(records::Order::run);
  pass();
  EXPECT_FALSE(machine.has(kTask.str()));
}

TEST_F(AgentTest, IgnoredTermEndsByKillAfterTheStopTimeout) {
  define({container("a", "ignore-term")});
  order(records::Order::run);
  pass();
  order(records::Order::stop);
  EXPECT_EQ(pass(), kStart + 30'000);
  now += 30'000;
  pass();
  EXPECT_EQ(seen().containers[0].exit_code, 137);
}

TEST_F(AgentTest, TellsAPullThatFails) {
  define({container("a", "pull-fails")});
  order(records::Order::run);
  pass();
  EXPECT_EQ(seen().failure.substr(0, 24), "CannotPullContainerError");
  EXPECT_TRUE(seen().released);
}

TEST_F(AgentTest, ANewAgentAdoptsWhatRuns) {
  define({container("a", "nginx")});
  order(records::Order::run);
  pass();
  agent = std::make_unique<Agent>(store, machine, random, host);
  pass();
  EXPECT_TRUE(seen().containers[0].running);
  EXPECT_EQ(machine.processes().at(kTask.str() + "/a#1"), 1);
}

TEST_F(AgentTest, WhatANewMachineDoesNotKnowHasVanished) {
  define({container("a", "nginx")});
  order(records::Order::run);
  pass();
  Machine empty{random, {}};
  agent = std::make_unique<Agent>(store, empty, random, host);
  pass();
  EXPECT_EQ(seen().failure.substr(0, 17), "TaskVanishedError");
  EXPECT_TRUE(seen().released);
}

TEST_F(AgentTest, EndsWhatTheStoreDoesNotKnow) {
  define({container("a", "nginx")});
  order(records::Order::run);
  pass();
  state::Transaction transaction;
  for (auto kind : {keys::kTaskSpec, keys::kTaskObserved}) transaction.erase(keys::task(kind, kTask));
  transaction.erase(keys::task_order(host.id, kTask));
  ASSERT_TRUE(store.apply(std::move(transaction)));
  pass();
  EXPECT_FALSE(machine.has(kTask.str()));
}

TEST_F(AgentTest, ReportsAgainWhatAFailedCommitHasTaken) {
  define({container("a", "nginx")});
  order(records::Order::run);
  store.settle();
  agent->run(now);
  store.fail_next_commits(1);
  store.settle();
  EXPECT_TRUE(seen().containers.empty());
  pass();
  EXPECT_TRUE(seen().containers[0].running);
}

}  // namespace
}  // namespace berth::agent_simulated
