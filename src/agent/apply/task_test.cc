#include "agent/apply/task.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "agent/apply/task_plan.h"
#include "records/codec.h"

namespace berth::agent {
namespace {

using records::Health;
using taskdir::Fact;
using taskdir::FactKind;

// Remembers what was asked and answers when the test says so.
class FakeMachine final : public Machine {
 public:
  void prepare_images(const std::string&, std::vector<std::string> names, std::function<void(Prepared)> done) override {
    asked.push_back("images");
    images_done = [names, done = std::move(done)](bool good) {
      if (!good) return done({{}, berth::fail("CannotPullContainerError: no such image")});
      Prepared out;
      out.images.resize(names.size());
      for (auto& image : out.images) image.digest = "sha256:1";
      done(std::move(out));
    };
  }
  void cancel_images(const std::string&) override { asked.push_back("cancel images"); }
  void attach(const Assignment&, std::optional<Ipv4>,
              std::function<void(Result<std::pair<network::TaskNet, Ipv4>>)> done) override {
    asked.push_back("attach");
    attach_done = [done = std::move(done)] {
      done(std::pair{network::TaskNet{"/run/netns", "06:be:00:00:00:09", {}}, *parse_ipv4("172.31.0.9")});
    };
  }
  void detach(const Assignment&, std::function<void()> done) override {
    asked.push_back("detach");
    detach_done = std::move(done);
  }
  Result<std::vector<Uncreatable>> supervise(const Launch& launch) override {
    asked.push_back("supervise");
    kept = launch.observed;
    return uncreatable;
  }
  void start(const std::string&, uint32_t container, uint32_t attempt) override {
    asked.push_back(fmt::format("start {}#{}", container, attempt));
  }
  void stop(const std::string&, const std::string& why) override { asked.push_back("stop " + why); }
  void kill(const std::string&, const std::string& why) override { asked.push_back("kill " + why); }
  void execute(const std::string&, uint32_t, std::vector<std::string> command, uint32_t,
               std::function<void(Executed)> done) override {
    asked.push_back("execute " + command.front());
    executed = std::move(done);
  }
  void remove(const std::string&) override { asked.push_back("remove"); }
  void wake_at(TimeMs when, std::function<void()> callback) override { timers.emplace(when, std::move(callback)); }
  TimeMs now_ms() const override { return now; }

  void run_until(TimeMs when) {
    now = when;
    while (!timers.empty() && timers.begin()->first <= now) {
      auto callback = std::move(timers.begin()->second);
      timers.erase(timers.begin());
      callback();
    }
  }

  TimeMs now = 1000;
  std::vector<std::string> asked;
  std::string kept;
  std::vector<Uncreatable> uncreatable;
  std::function<void(bool)> images_done;
  std::function<void()> attach_done, detach_done;
  std::function<void(Executed)> executed;
  std::multimap<TimeMs, std::function<void()>> timers;
};

class TaskTest : public testing::Test {
 protected:
  TaskTest() {
    web.name = "web";
    web.health_check = records::HealthCheck{{"CMD-SHELL", "curl -f localhost"}, 10, 5, 1, 0};
    side.name = "side";
    side.depends_on = {{"web", records::Condition::healthy}};
  }
  enum class Order { run, stop };
  Assignment order(Order what) {
    Assignment out;
    out.path = {{"1", "r"}, "c", std::string(32, 'a')};
    out.order = std::make_shared<records::TaskOrder>(ordered);
    out.revision = 7;
    if (what == Order::stop) out.stop = std::make_shared<records::TaskStop>(records::TaskStop{1, "because"});
    return out;
  }
  std::shared_ptr<Task> make(Assignment with) {
    return std::make_shared<Task>(machine, std::move(with),
                                  [this](const auto&, const records::TaskObserved& seen) { observed = seen; });
  }
  std::shared_ptr<Task> running() {
    auto task = make(order(Order::run));
    task->begin();
    machine.images_done(true);
    machine.attach_done();
    Fact started{FactKind::container_started, machine.now, 0};
    started.attempt = 1;
    task->fact(started);
    machine.asked.clear();
    return task;
  }

  static Fact of(FactKind kind, uint32_t container, uint32_t attempt, TimeMs at) {
    Fact fact{kind, at, container};
    fact.attempt = attempt;
    return fact;
  }
  size_t asked_for(const std::string& what) const {
    return static_cast<size_t>(std::count_if(machine.asked.begin(), machine.asked.end(),
                                             [&](const std::string& one) { return one.starts_with(what); }));
  }

  FakeMachine machine;
  records::TaskOrder ordered{.memory_mib = 512, .containers = std::vector<records::ContainerDefinition>(2)};
  records::ContainerDefinition &web = ordered.containers[0], &side = ordered.containers[1];
  records::TaskObserved observed;
};

TEST_F(TaskTest, PreparesImagesAndNetworkSideBySideAndStartsWhatMayStart) {
  auto task = make(order(Order::run));
  task->begin();
  machine.attach_done();
  EXPECT_EQ(machine.asked, (std::vector<std::string>{"images", "attach"}));
  machine.images_done(true);
  EXPECT_EQ(machine.asked.back(), "start 0#1");
  EXPECT_TRUE(observed.provisioned);
  EXPECT_EQ(observed.address, "172.31.0.9");
  task->fact(of(FactKind::container_started, 0, 1, machine.now));
  EXPECT_EQ(asked_for("start"), 1u) << "the other waits for its health";
  machine.run_until(machine.now);
  machine.executed({true, ""});
  EXPECT_EQ(machine.asked.back(), "start 1#1") << "and nobody had to say so";
  task->take(order(Order::run));
  EXPECT_EQ(asked_for("start"), 2u);
}

// Before each step of a launch a stop may come. What was started is stopped once; what was not never starts.
TEST_F(TaskTest, AStopAtAnyStepOfALaunch) {
  side.depends_on = {{"web", records::Condition::start}};
  for (size_t stop_before = 0; stop_before <= 6; ++stop_before) {
    machine.asked.clear();
    machine.timers.clear();
    auto task = make(order(Order::run));
    const std::function<void()> steps[] = {
        [&] { task->begin(); },
        [&] { machine.images_done(true); },
        [&] { machine.attach_done(); },
        [&] { task->fact({FactKind::supervising, machine.now}); },
        [&] { task->fact(of(FactKind::container_started, 0, 1, machine.now)); },
        [&] { task->fact(of(FactKind::container_started, 1, 1, machine.now)); },
    };
    size_t starts_before = 0;
    for (size_t i = 0; i <= std::size(steps); ++i) {
      if (i == stop_before) {
        starts_before = asked_for("start");
        if (i == 0) task = make(order(Order::stop));
        else task->take(order(Order::stop));
        task->take(order(Order::stop));
      }
      // A supervisor that was not asked to start a container says nothing of one.
      if (i == 4 && asked_for("start 0") == 0) break;
      if (i == 5 && asked_for("start 1") == 0) break;
      if (i == 1 && asked_for("images") == 0) break;
      if (i < std::size(steps)) steps[i]();
    }
    EXPECT_EQ(asked_for("start"), starts_before) << stop_before;
    EXPECT_EQ(asked_for("stop"), starts_before > 0 ? 1u : 0u) << stop_before;
    EXPECT_EQ(asked_for("supervise"), starts_before > 0 ? 1u : 0u) << stop_before;
    if (starts_before > 0) task->gone("");
    EXPECT_EQ(asked_for("remove"), 1u) << stop_before;
  }
}

TEST_F(TaskTest, OneThatCannotStartAndIsNotEssentialLeavesTheOthers) {
  side.essential = false;
  side.depends_on.clear();
  ordered.containers.emplace_back();
  ordered.containers.back().name = "last";
  ordered.containers.back().essential = false;
  ordered.containers.back().depends_on = {{"side", records::Condition::start}};
  auto task = make(order(Order::run));
  task->begin();
  machine.attach_done();
  machine.images_done(true);
  task->fact(of(FactKind::container_started, 0, 1, machine.now));
  Fact failed = of(FactKind::start_failed, 1, 1, machine.now);
  failed.reason = "no such file";
  task->fact(failed);
  EXPECT_EQ(asked_for("stop"), 0u);
  EXPECT_EQ(observed.failure, "");
  EXPECT_EQ(observed.containers[1].reason, "CannotStartContainerError: no such file");
  EXPECT_EQ(observed.containers[1].exit_code, std::nullopt);
  EXPECT_EQ(observed.containers[2].exit_code, 143);
  EXPECT_TRUE(observed.containers[2].reason.ends_with("side could not be started")) << observed.containers[2].reason;

  machine.asked.clear();
  task->fact(of(FactKind::container_exited, 0, 1, machine.now));
  EXPECT_EQ(machine.asked, std::vector<std::string>{"stop container web is over"});
}

TEST_F(TaskTest, OneThatCannotBeCreatedIsNotStarted) {
  side.essential = false;
  side.depends_on.clear();
  machine.uncreatable = {{1, "unable to find user nobody"}};
  running();
  EXPECT_EQ(asked_for("start 1"), 0u);
  EXPECT_EQ(observed.containers[1].reason, "CannotCreateContainerError: unable to find user nobody");
  EXPECT_EQ(observed.failure, "");
}

TEST_F(TaskTest, AContainerThatWaitsTooLongEndsTheTaskAndNobodyHasToSaySo) {
  web.start_timeout_s = 5;
  auto task = running();
  machine.run_until(machine.now);
  machine.executed({false, ""});
  machine.run_until(machine.now + 4'999);
  EXPECT_EQ(asked_for("stop"), 0u);
  machine.run_until(machine.now + 1);
  EXPECT_EQ(machine.asked.back(), "stop container side is over");
  EXPECT_EQ(observed.containers[1].exit_code, 143);
}

TEST_F(TaskTest, ARestartPolicyIsAppliedByTheAgentAlone) {
  web.restart_policy = {{}, 60};
  auto task = running();
  machine.run_until(machine.now + 60'000);
  machine.asked.clear();
  task->fact(of(FactKind::container_exited, 0, 1, machine.now));
  EXPECT_EQ(machine.asked, std::vector<std::string>{"start 0#2"});
  task->fact(of(FactKind::container_started, 0, 2, machine.now));
  EXPECT_EQ(observed.containers[0].starts, 2);
  machine.asked.clear();
  task->fact(of(FactKind::container_exited, 0, 2, machine.now + 59'999));
  EXPECT_EQ(machine.asked, std::vector<std::string>{"stop container web is over"}) << "it ran too short";
}

TEST_F(TaskTest, NothingIsStartedOnceTheSupervisorHasBegunToStop) {
  side.depends_on = {{"web", records::Condition::complete}};
  web.essential = false;
  auto task = running();
  task->fact({FactKind::stop_begun, machine.now});
  task->fact(of(FactKind::container_exited, 0, 1, machine.now));
  EXPECT_EQ(asked_for("start"), 0u);
}

TEST_F(TaskTest, AnImageThatCannotBePulledGivesTheNetworkBack) {
  auto task = make(order(Order::run));
  task->begin();
  machine.images_done(false);
  EXPECT_FALSE(observed.stopped);  // the network is still on its way
  machine.attach_done();
  EXPECT_TRUE(observed.stopped);
  EXPECT_EQ(machine.asked.back(), "attach");  // nothing is given back before control's word
  task->take(order(Order::stop));
  machine.detach_done();
  EXPECT_EQ(observed.failure, "CannotPullContainerError: no such image");
  EXPECT_TRUE(observed.stopped && observed.released);
}

TEST_F(TaskTest, AStopCancelsThePullThatTheTaskWaitsFor) {
  auto task = make(order(Order::run));
  task->begin();
  machine.attach_done();
  task->take(order(Order::stop));
  EXPECT_EQ(machine.asked.back(), "cancel images");
  machine.images_done(false);
  machine.detach_done();
  EXPECT_TRUE(observed.stopped && observed.released);
  EXPECT_EQ(observed.failure, "") << "it was stopped, it did not fail";
  EXPECT_EQ(observed.containers[0].reason, "");
}

TEST_F(TaskTest, AStopThatComesEarlyIsCarriedOutWhenEverythingHasCome) {
  auto task = make(order(Order::run));
  task->begin();
  task->take(order(Order::stop));
  machine.images_done(true);
  machine.attach_done();
  EXPECT_EQ(machine.asked.back(), "detach");
  EXPECT_TRUE(observed.stopped);
  EXPECT_TRUE(observed.failure.empty());
}

TEST_F(TaskTest, ProbesHealthAtOnceAndThenByInterval) {
  auto task = running();
  machine.run_until(machine.now);
  EXPECT_EQ(machine.asked, std::vector<std::string>{"execute /bin/sh"});
  machine.executed({true, ""});
  EXPECT_EQ(observed.containers[0].health, Health::healthy);
  machine.asked.clear();
  machine.run_until(machine.now + 9'999);
  EXPECT_TRUE(machine.asked.empty());
  machine.run_until(machine.now + 1);
  machine.executed({false, ""});
  EXPECT_EQ(observed.containers[0].health, Health::unhealthy);
}

TEST_F(TaskTest, AnAnswerOfAnEarlierStartSaysNothingOfThisOne) {
  web.restart_policy = {{}, 60};
  auto task = running();
  machine.run_until(machine.now);
  auto late = machine.executed;
  machine.now += 60'000;
  Fact exited = of(FactKind::container_exited, 0, 1, machine.now);
  exited.exit_code = 137;
  exited.oom = true;
  task->fact(exited);
  EXPECT_EQ(observed.containers[0].reason, "OutOfMemoryError: Container killed due to memory usage");
  EXPECT_EQ(machine.asked.back(), "start 0#2");
  Fact again{FactKind::container_started, machine.now, 0};
  again.attempt = 2;
  task->fact(again);
  late({true, ""});
  EXPECT_EQ(observed.containers[0].health, Health::unknown);
  EXPECT_EQ(observed.containers[0].exit_code, std::nullopt);
}

TEST_F(TaskTest, ASupervisorThatDoesNotComeToAnEndIsKilled) {
  for (bool hangs : {true, false}) {
    machine.timers.clear();
    auto task = running();
    Assignment stop = order(Order::stop);
    task->take(stop);
    EXPECT_EQ(machine.asked, std::vector<std::string>{"stop because"});
    machine.asked.clear();
    machine.run_until(machine.now + 119'999);  // two containers of 30 s, and a minute
    EXPECT_TRUE(machine.asked.empty());
    if (!hangs) task->gone("");
    machine.asked.clear();
    machine.run_until(machine.now + 1);
    if (!hangs) {
      EXPECT_TRUE(machine.asked.empty());
      continue;
    }
    EXPECT_EQ(machine.asked, std::vector<std::string>{"kill the task's supervisor did not stop it in time"});
    task->gone("the task's supervisor did not stop it in time");
    EXPECT_TRUE(observed.stopped);
    EXPECT_EQ(observed.containers[0].reason, "ContainerRuntimeError: the task's supervisor did not stop it in time");
  }
}

TEST_F(TaskTest, FinishedReleasesEverything) {
  auto task = running();
  task->take(order(Order::stop));
  task->take(order(Order::stop));
  EXPECT_EQ(machine.asked, std::vector<std::string>{"stop because"});  // once
  task->fact({FactKind::finished, 5000});
  EXPECT_TRUE(observed.stopped);
  EXPECT_EQ(machine.asked.size(), 1u);  // the supervisor itself is still there
  task->gone("");
  EXPECT_FALSE(observed.released);
  machine.detach_done();
  EXPECT_TRUE(observed.released);
  EXPECT_EQ(observed.stopped_at_ms, 5000);
}

TEST_F(TaskTest, AnAdoptedTaskGoesOnFromItsJournal) {
  running();
  Fact started{FactKind::container_started, 1000, 0};
  started.attempt = 1;
  auto with = order(Order::run);
  auto before = std::make_shared<records::TaskObserved>();
  before->containers.resize(2);
  before->containers[0].starts = 1;
  before->containers[0].health = Health::healthy;
  with.observed = before;
  auto task = make(with);
  observed = {};
  task->resume(machine.kept);
  task->fact(started);
  EXPECT_TRUE(observed.containers.empty());  // what the journal repeats is no news
  task->resumed();
  EXPECT_TRUE(observed.containers[0].running);
  EXPECT_EQ(observed.containers[0].health, Health::healthy);
  EXPECT_EQ(observed.address, "172.31.0.9");
  EXPECT_EQ(machine.asked, (std::vector<std::string>{"attach", "start 1#1"}));  // web is not started twice
}

TEST_F(TaskTest, AnAdoptedTaskRemembersWhatWaitedInVain) {
  side.essential = false;
  side.depends_on = {{"web", records::Condition::success}};
  running();
  auto with = order(Order::run);
  auto before = std::make_shared<records::TaskObserved>(observed);
  containers::give_up(before->containers[1], "CannotStartContainerError: it waited", 1234);
  with.observed = before;
  auto task = make(with);
  task->resume(machine.kept);
  task->fact(of(FactKind::container_started, 0, 1, 1000));
  task->resumed();
  EXPECT_EQ(observed.containers[1].exited_at_ms, 1234);
  EXPECT_EQ(observed.containers[1].reason, "CannotStartContainerError: it waited");
}

TEST_F(TaskTest, AnAdoptedTaskWithADamagedNoteOfItsLaunchGoesOnFromWhatWasWrittenLast) {
  running();
  const auto written = std::make_shared<records::TaskObserved>(observed);
  for (const std::string& damaged :
       {std::string(), std::string(64, '\0'), machine.kept.substr(0, 40), std::string("{}"), std::string("[1]")}) {
    auto with = order(Order::run);
    with.observed = written;
    auto task = make(with);
    machine.asked.clear();
    observed = {};
    task->resume(damaged);
    Fact started{FactKind::container_started, 1000, 0};
    started.attempt = 1;
    task->fact(started);
    task->resumed();
    EXPECT_EQ(observed.address, "172.31.0.9") << damaged;
    EXPECT_EQ(machine.asked, std::vector<std::string>{"attach"});
  }
}

TEST_F(TaskTest, AnAdoptedTaskOfWhichNothingIsKnownIsKilled) {
  auto task = make(order(Order::run));
  task->resume("");
  task->resumed();
  EXPECT_EQ(machine.asked, std::vector<std::string>{"kill what was kept of the task's launch is damaged"});
  task->gone("what was kept of the task's launch is damaged");
  EXPECT_TRUE(observed.stopped);
  EXPECT_EQ(observed.failure, "ContainerRuntimeError: what was kept of the task's launch is damaged");
}

TEST_F(TaskTest, ADeadSupervisorStopsTheTaskWithAReason) {
  auto task = running();
  task->gone("killed by signal 9");
  EXPECT_EQ(observed.failure, "ContainerRuntimeError: killed by signal 9");
  EXPECT_FALSE(observed.containers[0].running);
  task->take(order(Order::stop));
  EXPECT_EQ(machine.asked, (std::vector<std::string>{"remove", "detach"}));
}

TEST(TaskPlan, CapsAtTheTasksSizeOnlyWhereTheMachineHasMore) {
  Assignment assigned;
  assigned.path.id = std::string(32, 'b');
  const auto order = std::make_shared<records::TaskOrder>();
  assigned.order = order;
  order->cpu_units = 4096;
  order->memory_mib = 8192;
  std::vector<records::ContainerDefinition> containers(2);
  containers[0].name = "db";
  containers[1].name = "web";
  containers[1].depends_on = {{"db", records::Condition::start}};
  containers[1].restart_policy.emplace();
  Host host;
  host.cpus = 2;
  const auto small = task_plan(assigned, containers, {{"/l"}, {"/l"}}, host, {"/logs", "/own"});
  EXPECT_EQ(small.cpu_quota_us, 0u);
  EXPECT_EQ(small.cpu_shares, 4096u);
  EXPECT_EQ(small.memory_limit_bytes, 8192ull << 20);
  EXPECT_EQ(small.containers[0].dependants, std::vector<uint32_t>{1});
  EXPECT_FALSE(small.containers[1].stops_task);  // its restart policy is the daemon's to consult
  EXPECT_EQ(small.containers[1].log.directory, "/own/0000000000000001");
  host.cpus = 8;
  EXPECT_EQ(task_plan(assigned, containers, {{}, {}}, host, {"/logs", "/own"}).cpu_quota_us, 400'000u);
}

TEST(TaskPlan, LeavesTheHostHalfOfItsProcessNumbers) {
  Assignment assigned;
  assigned.path.id = std::string(32, 'b');
  assigned.order = std::make_shared<records::TaskOrder>();
  const auto most = [&](int64_t of_host) {
    Host host;
    host.processes_max = of_host;
    return task_plan(assigned, {}, {}, host, {"/logs", "/own"}).processes_max;
  };
  EXPECT_EQ(most(4'194'304), 32'768u);
  EXPECT_EQ(most(32'768), 16'384u);
  EXPECT_EQ(most(0), 32'768u);
}

TEST(TaskPlan, ALogsBufferIsNoLargerThanTheTask) {
  Assignment assigned;
  assigned.path.id = std::string(32, 'b');
  const auto order = std::make_shared<records::TaskOrder>();
  assigned.order = order;
  order->memory_mib = 512;
  std::vector<records::ContainerDefinition> containers(1);
  containers[0].name = "main";
  containers[0].logs.emplace();
  order->logs = {{"main", "group", "stream"}};
  const auto buffer = [&](int64_t asked) {
    containers[0].logs->max_buffer_bytes = asked;
    return task_plan(assigned, containers, {{}}, Host{}, {"/logs", "/own"}).containers[0].log.buffer_bytes_max;
  };
  EXPECT_EQ(buffer(1024), 1024u);
  EXPECT_EQ(buffer(512ll << 20), 512u << 20);
  EXPECT_EQ(buffer(100ll << 30), 512u << 20);
}

}  // namespace
}  // namespace berth::agent
