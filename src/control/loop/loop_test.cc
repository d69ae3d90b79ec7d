#include <gtest/gtest.h>

#include "agent_simulated/agent.h"
#include "control/loop/control.h"
#include "control/loop/hosts.h"
#include "records/network.h"
#include "records/read.h"
#include "records/service_events.h"
#include "state/memory_store.h"

namespace berth::control {
namespace {

namespace keys = records::keys;
using records::DesiredStatus;
using records::StopCode;
using records::TaskState;

const records::Scope kScope{"123456789012", "eu-central-1"};
const keys::ServicePath kService{kScope, "default", "web"};

// Store, loop and agent as the daemon joins them, on a clock moved by hand.
class LoopTest : public ::testing::Test {
 protected:
  LoopTest() {
    state::Transaction transaction;
    records::Cluster cluster;
    cluster.name = "default";
    records::put(transaction, keys::cluster(kScope, "default"), cluster);
    records::Subnet subnet;
    subnet.id = "subnet-1";
    subnet.vpc_id = "vpc-1";
    subnet.cidr = "10.0.0.0/24";
    subnet.availability_zone = "eu-central-1a";
    records::put(transaction, keys::ec2("subnet", kScope, "subnet-1"), subnet);
    records::Vpc vpc;
    vpc.id = "vpc-1";
    vpc.cidr = "10.0.0.0/16";
    vpc.default_security_group_id = "sg-1";
    records::put(transaction, keys::ec2("vpc", kScope, "vpc-1"), vpc);
    apply(std::move(transaction));
    define("nginx");
  }

  void apply(state::Transaction transaction) {
    transaction.durability = state::Durability::acknowledged;
    ASSERT_TRUE(store.apply(std::move(transaction)));
  }
  records::Host hosting(int64_t memory_mib) {
    records::Host described;
    described.id = "host-1";
    described.memory_mib = memory_mib;
    return register_host(store, described, now);
  }
  void define(const std::string& image, int64_t revision = 1) {
    records::TaskDefinition definition;
    definition.family = "web";
    definition.revision = revision;
    definition.memory_mib = 512;
    definition.network_mode = "awsvpc";
    definition.containers.resize(1);
    definition.containers[0].name = "app";
    definition.containers[0].image = image;
    state::Transaction transaction;
    records::put(transaction, keys::task_definition(kScope, "web", revision), definition);
    apply(std::move(transaction));
  }
  records::ServiceSpec& spec() {
    if (spec_.name.empty()) {
      spec_.name = "web";
      spec_.target = {"web", 1, "FARGATE", {}, "LATEST", {{"subnet-1"}, {}, false}, ""};
      spec_.deployment_id = "ecs-svc/1111111111111111111";
      spec_.incarnation = "one";
    }
    return spec_;
  }
  void put_service() {
    state::Transaction transaction;
    records::put(transaction, keys::service(keys::kServiceSpec, kService), spec());
    apply(std::move(transaction));
  }
  keys::TaskPath run_task(const std::string& id) {
    keys::TaskPath path{kScope, "default", id};
    records::TaskSpec task;
    task.family = "web";
    task.revision = 1;
    task.memory_mib = 512;
    task.network.subnets = {"subnet-1"};
    task.eni_id = "eni-" + id;
    state::Transaction transaction;
    records::put(transaction, keys::task(keys::kTaskSpec, path), task);
    apply(std::move(transaction));
    return path;
  }

  std::optional<TimeMs> round() {
    store.settle();
    const auto a = loop->run(now);
    store.settle();
    const auto b = agent->run(now);
    if (a && b) return std::min(*a, *b);
    return a ? a : b;
  }
  void rest() {
    state::Revision before = 0;
    do {
      before = store.head();
      round();
    } while (store.head() != before);
  }
  std::shared_ptr<const records::TaskStatus> status(const keys::TaskPath& path) {
    return records::get<records::TaskStatus>(store, keys::task(keys::kTaskStatus, path));
  }
  records::ServiceStatus service() {
    const auto found = records::get<records::ServiceStatus>(store, keys::service(keys::kServiceStatus, kService));
    return found ? *found : records::ServiceStatus{};
  }
  std::vector<records::ServiceEvent> events() { return records::service_events(store, kService); }
  int running() {
    int n = 0;
    for (const auto& [id, task] : index.live_of_service(kService)) n += task->state == TaskState::running;
    return n;
  }

  TimeMs now = 1'700'000'000'000;
  state::MemoryStore store;
  records::TaskIndex index{store};
  records::NetworkIndex addresses{store};
  Prng random{3};
  records::ServiceSpec spec_;
  agent_simulated::Machine machine{random, {}};
  Settings settings;
  records::Host host = hosting(1 << 20);
  std::vector<dataplane::NetworkChange> network_changes;
  std::unique_ptr<Control> make() {
    return std::make_unique<Control>(store, index, addresses, random, settings,
                                     [this](dataplane::NetworkChange c) { network_changes.push_back(std::move(c)); });
  }
  std::unique_ptr<Control> loop = make();
  std::unique_ptr<agent_simulated::Agent> agent = std::make_unique<agent_simulated::Agent>(store, machine, random, host);
};

TEST_F(LoopTest, OrdersATaskInOnePass) {
  const auto path = run_task("a");
  store.settle();
  loop->run(now);
  ASSERT_TRUE(status(path));
  EXPECT_EQ(status(path)->order, records::Order::run);
  EXPECT_EQ(status(path)->subnet_id, "subnet-1");
  EXPECT_EQ(status(path)->availability_zone, "eu-central-1a");
  rest();
  EXPECT_EQ(status(path)->state, TaskState::running);
}

TEST_F(LoopTest, StopTaskStopsAndAnHourLaterNothingIsLeft) {
  const auto path = run_task("a");
  rest();
  state::Transaction transaction;
  records::put(transaction, keys::task(keys::kTaskIntent, path), records::TaskIntent{now, "Task stopped by user"});
  apply(std::move(transaction));
  rest();
  EXPECT_EQ(status(path)->state, TaskState::stopped);
  EXPECT_EQ(status(path)->stop_code, StopCode::user_initiated);
  EXPECT_EQ(status(path)->stopped_reason, "Task stopped by user");
  EXPECT_EQ(round(), now + 3'600'000);
  now += 3'600'000;
  rest();
  EXPECT_TRUE(store.range("ecs/task-").empty());
  EXPECT_FALSE(round());
}

TEST_F(LoopTest, ScalesUpAndDownAndKeepsTheService) {
  spec().desired_count = 100;
  put_service();
  rest();
  EXPECT_EQ(running(), 100);
  EXPECT_EQ(service().deployments.front().rollout, records::Rollout::completed);
  EXPECT_EQ(events().front().message, "(service web) has reached a steady state.");
  spec().desired_count = 0;
  put_service();
  rest();
  EXPECT_EQ(running(), 0);
  EXPECT_EQ(service().status, "ACTIVE");
  EXPECT_EQ(index.reserved().memory_mib, 0);
  EXPECT_EQ(events().front().message, "(service web) has reached a steady state.");
}

TEST_F(LoopTest, ATaskHasItsInterfaceFromItsPlacementUntilItIsStopped) {
  const auto path = run_task("a");
  store.settle();
  loop->run(now);
  const std::string key = keys::ec2("interface", kScope, "eni-a");
  const auto interface = records::get<records::Interface>(store, key);
  ASSERT_TRUE(interface);
  EXPECT_EQ(interface->address, "10.0.0.4");
  EXPECT_EQ(interface->groups, std::vector<std::string>{"sg-1"});
  EXPECT_EQ(interface->owner, "task:" + path.str());
  EXPECT_EQ(network_changes.size(), 1u) << "the VPC is there before the task's order is";
  rest();
  state::Transaction transaction;
  records::put(transaction, keys::task(keys::kTaskIntent, path), records::TaskIntent{now, "go"});
  apply(std::move(transaction));
  rest();
  EXPECT_FALSE(store.get(key));
  EXPECT_EQ(addresses.used_in_subnet("subnet-1"), 0);
}

TEST_F(LoopTest, ATaskOfAnOlderBerthGetsTheRecordOfWhatItHas) {
  const auto path = run_task("a");
  rest();
  state::Transaction transaction;
  transaction.erase(keys::ec2("interface", kScope, "eni-a"));
  auto observed = *records::get<records::TaskObserved>(store, keys::task(keys::kTaskObserved, path));
  observed.address = "10.0.0.77";
  records::put(transaction, keys::task(keys::kTaskObserved, path), observed);
  apply(std::move(transaction));
  rest();
  ASSERT_TRUE(store.get(keys::ec2("interface", kScope, "eni-a")));
  EXPECT_TRUE(addresses.is_used("subnet-1", *parse_ipv4("10.0.0.77")));
}

TEST_F(LoopTest, ASubnetWithoutAFreeAddressIsAReason) {
  state::Transaction transaction;
  auto subnet = *records::get<records::Subnet>(store, keys::ec2("subnet", kScope, "subnet-1"));
  subnet.cidr = "10.0.0.0/28";
  records::put(transaction, keys::ec2("subnet", kScope, "subnet-1"), subnet);
  apply(std::move(transaction));
  for (int i = 0; i < 11; ++i) run_task("t" + std::to_string(i));
  rest();
  const auto path = run_task("one-more");
  rest();
  EXPECT_EQ(status(path)->stopped_reason,
            "ResourceInitializationError: unable to create the task's network: subnet subnet-1 has no free address");
}

TEST_F(LoopTest, EventsHaveKeysOfTheirOwnAndTheLastHundredStay) {
  spec().desired_count = 1;
  put_service();
  rest();
  for (int i = 0; i < 60; ++i) {
    spec().desired_count = i % 2;
    put_service();
    rest();
    now += 1000;
  }
  EXPECT_EQ(events().size(), static_cast<size_t>(records::kServiceEventsMax));
  EXPECT_GT(service().events_told, records::kServiceEventsMax);
  const auto status_bytes = store.get(keys::service(keys::kServiceStatus, kService))->value->bytes().size();
  EXPECT_LT(status_bytes, 2000u) << "a plan does not write the events again";
}

TEST_F(LoopTest, EventsOfAnOlderBerthBecomeKeys) {
  put_service();
  rest();
  auto bytes = store.get(keys::service(keys::kServiceStatus, kService))->value->bytes();
  bytes.replace(bytes.find("\"eventsTold\":"), std::string("\"eventsTold\":1").size(),
                R"("events":[{"id":"b","createdAt":2,"message":"second"},{"id":"a","createdAt":1,"message":"first"}])");
  state::Transaction transaction;
  transaction.put(keys::service(keys::kServiceStatus, kService), bytes);
  for (const auto& entry : store.range(keys::kServiceEvent)) transaction.erase(entry.key);
  apply(std::move(transaction));
  loop = make();
  rest();
  ASSERT_GE(events().size(), 2u);
  EXPECT_EQ(events().back().message, "first");
  EXPECT_EQ(events().at(events().size() - 2).message, "second");
}

TEST_F(LoopTest, ARestartChangesNothing) {
  spec().desired_count = 3;
  put_service();
  rest();
  const auto head = store.head();
  loop = make();
  rest();
  EXPECT_EQ(store.head(), head);
}

TEST_F(LoopTest, AFailedCommitIsDecidedAgain) {
  spec().desired_count = 3;
  put_service();
  store.settle();
  loop->run(now);
  store.fail_next_commits(1);
  rest();
  EXPECT_EQ(running(), 3);
  EXPECT_EQ(index.of_service(kService).size(), 3u);
}

TEST_F(LoopTest, DecidesAServiceOnceAPassHoweverManyTasksChange) {
  spec().desired_count = 100;
  put_service();
  rest();
  // 100 specs, 100 statuses, observations, interfaces and states: some decisions for each task, few for the service.
  EXPECT_LT(loop->decisions(), 550u);
}

TEST_F(LoopTest, MemoryGivenBackWakesThoseWhoWaitForIt) {
  hosting(1024);
  loop = make();
  const auto path = run_task("a");
  rest();
  spec().desired_count = 2;
  put_service();
  rest();
  EXPECT_EQ(running(), 1);
  EXPECT_EQ(events().at(1).message,
            "(service web) was unable to place a task. Reason: RESOURCE:MEMORY. A task needs 512 MiB of "
            "memory, and 0 "
            "of the 1024 MiB that tasks may use are free. Stop other tasks, or start berth with a higher "
            "--memory-overcommit.");
  state::Transaction transaction;
  records::put(transaction, keys::task(keys::kTaskIntent, path), records::TaskIntent{now, "go"});
  apply(std::move(transaction));
  rest();
  EXPECT_EQ(running(), 2);
}

TEST_F(LoopTest, MemoryGivenBackWakesAsManyAsItIsEnoughFor) {
  hosting(2 * 512);
  loop = make();
  const auto first = run_task("a"), second = run_task("b");
  rest();
  for (int i = 0; i < 50; ++i) {
    spec().name = fmt::format("s{:02}", i);
    spec().desired_count = 1;
    state::Transaction transaction;
    records::put(transaction, keys::service(keys::kServiceSpec, {kScope, "default", spec().name}), spec());
    apply(std::move(transaction));
  }
  rest();
  EXPECT_EQ(index.reserved().tasks, 2);
  for (const auto& task : {first, second}) {
    const uint64_t before = loop->decisions();
    state::Transaction transaction;
    records::put(transaction, keys::task(keys::kTaskIntent, task), records::TaskIntent{now, "room"});
    apply(std::move(transaction));
    rest();
    EXPECT_LT(loop->decisions() - before, 20u);
    EXPECT_EQ(index.reserved().tasks, 2);
  }
  EXPECT_EQ(index.of_cluster(kScope, "default").size(), 4u);
}

TEST_F(LoopTest, TasksOnTheirWayAreNoneOfTheServicesBusiness) {
  spec().desired_count = 10;
  put_service();
  store.settle();
  loop->run(now);
  store.settle();
  agent->run(now);  // they run at once, and have never been seen on their way
  const uint64_t before = loop->decisions();
  store.settle();
  loop->run(now);
  EXPECT_EQ(loop->decisions() - before, 21u) << "ten tasks, their ten interfaces, one service";
  for (const auto& [id, task] : index.live_of_service(kService)) EXPECT_EQ(task->state, TaskState::running);
}

TEST_F(LoopTest, TasksOfAServiceAreSpreadOverZonesWhateverOthersDo) {
  state::Transaction transaction;
  records::Subnet subnet;
  subnet.id = "subnet-2";
  subnet.vpc_id = "vpc-1";
  subnet.cidr = "10.0.1.0/24";
  subnet.availability_zone = "eu-central-1b";
  records::put(transaction, keys::ec2("subnet", kScope, "subnet-2"), subnet);
  apply(std::move(transaction));
  for (const char* id : {"a", "b", "c", "d", "e"}) run_task(id);  // all in the first zone
  rest();
  spec().target.network.subnets = {"subnet-1", "subnet-2"};
  spec().desired_count = 4;
  put_service();
  rest();
  EXPECT_EQ(index.in_subnet("subnet-1", kService), 2);
  EXPECT_EQ(index.in_subnet("subnet-2", kService), 2);
  EXPECT_EQ(index.in_subnet("subnet-1"), 7);
}

TEST_F(LoopTest, APlanThatIsTooLargeForATransactionIsMadeSmaller) {
  for (int i = 0; i < 50; ++i) {
    std::string key = std::to_string(i), value;
    while (key.size() < 500) key += "\U0001D49C";
    while (value.size() < 1000) value += "\U0001D49C";
    spec().tags.emplace_back(key, value);
  }
  spec().propagate_tags = "SERVICE";
  spec().desired_count = 20;  // of 75 KB each
  put_service();
  rest();
  EXPECT_EQ(running(), 20);
}

TEST_F(LoopTest, AStatusThatIsTooLargeIsLeftAloneAndNobodyElseSuffers) {
  spec().target.kept = std::string((1 << 20) - 5000, 'x');
  spec().desired_count = 1;
  put_service();
  const auto path = run_task("a");
  rest();
  ASSERT_TRUE(status(path));
  EXPECT_EQ(status(path)->state, TaskState::running);
}

TEST_F(LoopTest, ADeletedServiceDrainsAndIsInactive) {
  spec().desired_count = 30;
  put_service();
  rest();
  spec().deleted_at_ms = now;
  put_service();
  rest();
  EXPECT_EQ(service().status, "INACTIVE");
  EXPECT_TRUE(service().deployments.empty());
  EXPECT_EQ(running(), 0);
}

TEST_F(LoopTest, AnInactiveServiceIsGoneAnHourLaterWithAllThatStoodForIt) {
  spec().desired_count = 1;
  put_service();
  const std::string token = keys::token(kScope, "CreateService", "default/web");
  state::Transaction transaction;
  records::put(transaction, token, records::ClientToken{"hash", {kService.arn()}, now});
  apply(std::move(transaction));
  rest();
  spec().deleted_at_ms = now;
  put_service();
  rest();
  EXPECT_EQ(service().status, "INACTIVE");
  loop = make();  // a restart forgets no timer
  now += 3'599'999;
  rest();
  EXPECT_EQ(service().status, "INACTIVE");
  now += 1;
  rest();
  EXPECT_FALSE(store.get(keys::service(keys::kServiceSpec, kService)));
  EXPECT_FALSE(store.get(keys::service(keys::kServiceStatus, kService)));
  EXPECT_FALSE(store.get(token));
  EXPECT_TRUE(store.range(keys::kTaskSpec).empty());
}

TEST_F(LoopTest, ANameUsedAgainIsNotErasedWithItsPredecessor) {
  put_service();
  rest();
  spec().deleted_at_ms = now;
  put_service();
  rest();
  now += 3'000'000;
  spec().deleted_at_ms = 0;
  spec().incarnation = "two";
  put_service();
  rest();
  now += 3'600'000;
  rest();
  EXPECT_EQ(service().status, "ACTIVE");
}

TEST_F(LoopTest, CrashingTasksAreCountedOnceEachAndStartsBackOff) {
  define("pull-fails", 2);
  spec().target.revision = 2;
  spec().desired_count = 1;
  put_service();
  for (int i = 0; i < 6; ++i) {
    rest();
    EXPECT_EQ(service().deployments.front().failed_tasks, i + 1);
    EXPECT_EQ(service().next_start_at_ms - now, 1000 << i);
    loop = make();  // a restart counts none again
    rest();
    now = service().next_start_at_ms;
  }
}

TEST_F(LoopTest, ACircuitBreakerGoesBackToWhatWasComplete) {
  spec().desired_count = 4;
  spec().deployment.circuit_breaker = spec().deployment.rollback = true;
  put_service();
  rest();
  EXPECT_EQ(service().deployments.at(0).rollout, records::Rollout::in_progress) << "nothing is proved yet";
  now += 10'000;
  rest();
  EXPECT_EQ(service().deployments.at(0).rollout, records::Rollout::completed);
  define("pull-fails", 2);
  spec().target.revision = 2;
  spec().generation = 2;
  spec().deployment_id = "ecs-svc/2222222222222222222";
  put_service();
  rest();
  EXPECT_EQ(service().deployments.size(), 2u) << "the one that failed is shown for a while";
  now += settings.deployment.failed_shown_ms;
  rest();
  const auto after = service();
  ASSERT_EQ(after.deployments.size(), 1u);
  EXPECT_EQ(after.deployments[0].id, "ecs-svc/1111111111111111111");
  EXPECT_EQ(after.deployments[0].rollout, records::Rollout::completed);
  EXPECT_EQ(running(), 4);
  std::vector<std::string> told;
  for (const auto& event : events()) told.push_back(event.message);
  EXPECT_EQ(told[0], "(service web) has reached a steady state.");
  EXPECT_EQ(told[1], "(service web) (deployment ecs-svc/1111111111111111111) deployment completed.");
  EXPECT_EQ(told[2], "(service web) rolling back to deployment ecs-svc/1111111111111111111.");
  EXPECT_EQ(told[3],
            "(service web) (deployment ecs-svc/2222222222222222222) deployment failed: tasks failed to start.");
}

}  // namespace
}  // namespace berth::control
