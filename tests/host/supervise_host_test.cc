// How a task starts, goes on without its daemon, and ends, with real containers.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "agent/supervise/process.h"
#include "supervise_world.h"
#include "taskdir/cgroups.h"
#include "taskdir/owner.h"

namespace berth::host_test {
namespace {

using taskdir::Fact;
using taskdir::FactKind;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

class SuperviseHostTest : public SuperviseWorld {};

TEST_F(SuperviseHostTest, RunsAContainerAndTellsItsEnd) {
  const Fact exited = run_to_end(container("main", "echo out; echo err >&2; echo -n last; exit 7"));
  EXPECT_EQ(exited.exit_code, 7u);
  EXPECT_EQ(exited.signal, 0u);
  EXPECT_FALSE(exited.oom);
  EXPECT_THAT(last_lines(), testing::UnorderedElementsAre("out", "err", "last"));
  EXPECT_NE(find(last_task_, FactKind::finished), nullptr);
  EXPECT_EQ(find(last_task_, FactKind::stop_begun)->container, 0u);
}

TEST_F(SuperviseHostTest, TellsASignalAsAShellDoes) {
  const std::string task = run({idle("main")});
  const Fact started = await(task, FactKind::container_started);
  EXPECT_TRUE(is_alive(started.pid));
  ASSERT_TRUE(supervisors_->send(task, {.kind = taskdir::CommandKind::signal, .signal = SIGKILL}));
  const Fact exited = await(task, FactKind::container_exited);
  EXPECT_EQ(exited.exit_code, 137u);
  EXPECT_EQ(exited.signal, 9u);
  EXPECT_FALSE(exited.oom);
  EXPECT_TRUE(await_gone(task));
}

TEST_F(SuperviseHostTest, TellsWhyAContainerDidNotStart) {
  Container one = container("main", "");
  one.spec.command = {"/no/such/program"};
  const std::string task = run({one});
  EXPECT_THAT(await(task, FactKind::start_failed).reason, HasSubstr("/no/such/program"));
  EXPECT_TRUE(await_gone(task));
  EXPECT_EQ(gone_[task], "");
  EXPECT_EQ(find(task, FactKind::container_started), nullptr);
}

TEST_F(SuperviseHostTest, NothingRunsWhereASupervisorCannotBeGivenItsDescriptors) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit little = before;
  little.rlim_cur = 64;  // they are parked above
  const std::string task = new_task_id();
  const Container one = idle("main");
  const taskdir::Plan plan = plan_of(task, {one});
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &little), 0);
  const auto spawned = spawn(plan, {one});
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_FALSE(spawned);
  EXPECT_FALSE(supervisors_->knows(task));
  EXPECT_FALSE(agent::is_locked(supervisors_->directory(task) + "/plan")) << "a supervisor holds it";
}

TEST_F(SuperviseHostTest, StopsDependantsFirst) {
  const auto traps = [&](const std::string& name) {
    return container(name, "trap 'echo ended; exit 0' TERM; echo ready; while :; do sleep 0.02; done");
  };
  Container database = traps("database");
  database.plan.dependants = {1};
  Container web = traps("web");
  web.plan.dependants = {2};
  const std::string task = run({database, web, traps("proxy")});
  for (uint32_t i : {0u, 1u, 2u}) await(task, FactKind::container_started, i);
  for (const char* name : {"database", "web", "proxy"}) {
    ASSERT_TRUE(wait([&] { return !lines(task, name).empty(); }));
  }
  stop(task);
  ASSERT_TRUE(await_gone(task));
  std::vector<std::pair<FactKind, uint32_t>> order;
  for (const Seen& seen : facts_) {
    if (seen.fact.kind == FactKind::stop_signalled || seen.fact.kind == FactKind::container_exited) {
      order.emplace_back(seen.fact.kind, seen.fact.container);
      EXPECT_EQ(seen.fact.exit_code, 0u);
    }
  }
  EXPECT_THAT(order, ElementsAre(std::pair(FactKind::stop_signalled, 2u), std::pair(FactKind::container_exited, 2u),
                                 std::pair(FactKind::stop_signalled, 1u), std::pair(FactKind::container_exited, 1u),
                                 std::pair(FactKind::stop_signalled, 0u), std::pair(FactKind::container_exited, 0u)));
}

TEST_F(SuperviseHostTest, TheEndOfAnEssentialContainerStopsTheRestWithoutADaemon) {
  Container side = container("side", "exit 0");
  side.plan.stops_task = false;
  const std::string release = directory_ + "/release";
  Container essential = container("essential", "until [ -e /gate/open ]; do sleep 0.02; done; exit 3");
  std::filesystem::create_directory(release);
  essential.spec.binds = {{release, "/gate", true}};
  Container other = idle("other");
  other.plan.stops_task = false;
  const std::string task = run({side, essential, other});
  await(task, FactKind::container_started, 1);
  await(task, FactKind::container_started, 2);
  await(task, FactKind::container_exited, 0);
  EXPECT_EQ(find(task, FactKind::stop_begun), nullptr);
  supervisors_.reset();  // the daemon is away while it happens
  std::ofstream(release + "/open");
  const auto owner = agent::read_owner(directory_ + "/tasks/" + task);
  ASSERT_TRUE(owner);
  const Fd supervisor = agent::open_pidfd(owner->pid);
  pollfd ended{supervisor.get(), POLLIN, 0};
  ASSERT_EQ(poll(&ended, 1, 20'000), 1);
  const auto report = restart_daemon();
  EXPECT_EQ(report.over, 1u);
  ASSERT_TRUE(await_gone(task));
  EXPECT_EQ(gone_[task], "");
  EXPECT_EQ(find(task, FactKind::container_exited, 1)->exit_code, 3u);
  EXPECT_EQ(find(task, FactKind::stop_begun)->container, 1u);
  EXPECT_NE(find(task, FactKind::container_exited, 2), nullptr);
}

TEST_F(SuperviseHostTest, KillsWhatDoesNotStopInTime) {
  Container stubborn = container("main", "trap '' TERM; echo ready; while :; do sleep 0.05; done");
  stubborn.plan.stop_timeout_ms = 300;
  const std::string task = run({stubborn});
  ASSERT_TRUE(wait([&] { return !lines(task, "main").empty(); }));
  stop(task);
  ASSERT_TRUE(await_gone(task));
  const Fact* begun = find(task, FactKind::stop_begun);
  EXPECT_EQ(begun->reason, "the test says so");
  const Fact* exited = find(task, FactKind::container_exited);
  EXPECT_EQ(exited->exit_code, 137u);
  EXPECT_GE(exited->time_ms - begun->time_ms, 290);
  EXPECT_LT(exited->time_ms - begun->time_ms, 5000);
}

TEST_F(SuperviseHostTest, SendsTheImagesOwnSignal) {
  Container one = container("main", "trap 'echo usr1; exit 4' USR1; echo ready; while :; do sleep 0.05; done");
  one.plan.stop_signal = SIGUSR1;
  const std::string task = run({one});
  ASSERT_TRUE(wait([&] { return !lines(task, "main").empty(); }));
  stop(task);
  EXPECT_EQ(await(task, FactKind::container_exited).exit_code, 4u);
  ASSERT_TRUE(await_gone(task));
  EXPECT_THAT(lines(task, "main"), ElementsAre("ready", "usr1"));
}

TEST_F(SuperviseHostTest, TellsOutOfMemory) {
  Container hungry = container("main", "x=$(dd if=/dev/zero bs=1M count=200 2>/dev/null | tr '\\0' x); echo survived");
  hungry.spec.memory_limit_bytes = 32 << 20;
  const std::string image_tr = image_ + "/bin/tr";
  std::filesystem::create_symlink("busybox", image_tr);
  const Fact exited = run_to_end(hungry);
  EXPECT_TRUE(exited.oom);
  EXPECT_EQ(exited.exit_code, 137u);
  EXPECT_THAT(last_lines(), testing::Not(Contains("survived")));
}

TEST_F(SuperviseHostTest, TheTasksMemoryIsAHardLimitForAllOfItsContainers) {
  std::filesystem::create_symlink("busybox", image_ + "/bin/tr");
  Container hungry = container("main", "x=$(dd if=/dev/zero bs=1M count=200 2>/dev/null | tr '\\0' x); echo survived");
  const std::string task = run({hungry}, 32 << 20);
  const Fact exited = await(task, FactKind::container_exited);
  EXPECT_TRUE(exited.oom);
  EXPECT_EQ(exited.exit_code, 137u);
  EXPECT_TRUE(await_gone(task));
}

TEST_F(SuperviseHostTest, AContainerOutlivesTheDaemonAndIsFoundAgain) {
  Container one = container("main", "trap 'exit 0' TERM; i=0; while :; do i=$((i+1)); echo line $i; sleep 0.01; done");
  const std::string task = run({one});
  const Fact started = await(task, FactKind::container_started);
  ASSERT_TRUE(wait([&] { return lines(task, "main").size() > 3; }));
  supervisors_.reset();
  EXPECT_TRUE(is_alive(started.pid));
  facts_.clear();
  const auto report = restart_daemon();
  EXPECT_EQ(report.running, 1u);
  EXPECT_EQ(report.over + report.set_aside, 0u);
  EXPECT_TRUE(facts_.empty()) << "what was read before is not told again";
  EXPECT_EQ(execute(task, {"/bin/true"}, 5000).exit_code, 0u);
  stop(task);
  const Fact exited = await(task, FactKind::container_exited);
  EXPECT_EQ(exited.pid, started.pid);
  ASSERT_TRUE(await_gone(task));
  const auto written = lines(task, "main");
  for (size_t i = 0; i < written.size(); ++i) ASSERT_EQ(written[i], "line " + std::to_string(i + 1));
}

// A process of its own plays the daemon, and dies as hard as there is.
TEST_F(SuperviseHostTest, KillingTheDaemonWithSignal9KeepsTheContainer) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  supervisors_.reset();
  const std::string task = new_task_id();
  const pid_t daemon = fork();
  if (daemon == 0) {
    loop_.release();  // the child has its own
    loop_ = std::make_unique<agent::EventLoop>();
    restart_daemon();
    const std::vector<Container> containers = {idle("main")};
    if (!spawn(plan_of(task, containers), containers)) _exit(1);
    start(task, 0);
    wait([&] { return find(task, FactKind::container_started) != nullptr; });
    [[maybe_unused]] const ssize_t put = write(ends[1], "x", 1);
    for (;;) pause();
  }
  char byte = 0;
  ASSERT_EQ(read(ends[0], &byte, 1), 1);
  close(ends[0]);
  close(ends[1]);
  kill(daemon, SIGKILL);
  waitpid(daemon, nullptr, 0);
  EXPECT_EQ(restart_daemon().running, 1u);
  const Fact started = await(task, FactKind::container_started);
  EXPECT_TRUE(is_alive(started.pid));
  stop(task);
  EXPECT_TRUE(await_gone(task));
}

TEST_F(SuperviseHostTest, KillingTheSupervisorEndsItsTaskWithAReason) {
  const std::string task = run({idle("main")});
  const Fact started = await(task, FactKind::container_started);
  kill(static_cast<pid_t>(await(task, FactKind::supervising).pid), SIGKILL);
  ASSERT_TRUE(await_gone(task));
  EXPECT_EQ(gone_[task], "the task's supervisor ended unexpectedly");
  EXPECT_FALSE(is_alive(started.pid));
  EXPECT_TRUE(taskdir::cgroup_directories(runtime_.cgroup_root, runtime_.cgroup_mode, "").size() > 0);
  for (const std::string& directory :
       taskdir::cgroup_directories(runtime_.cgroup_root, runtime_.cgroup_mode, "berth-" + instance_ + "/" + task)) {
    EXPECT_NE(access(directory.c_str(), F_OK), 0) << directory;
  }
}

TEST_F(SuperviseHostTest, ASupervisorThatHangsCanBeKilled) {
  const std::string task = run({idle("main")});
  const Fact started = await(task, FactKind::container_started);
  kill(static_cast<pid_t>(await(task, FactKind::supervising).pid), SIGSTOP);
  stop(task);
  supervisors_->kill(task, "it hangs");
  ASSERT_TRUE(await_gone(task));
  EXPECT_EQ(gone_[task], "it hangs");
  EXPECT_FALSE(is_alive(started.pid));
}

TEST_F(SuperviseHostTest, KillingDaemonAndSupervisorLeavesNothingBehind) {
  const std::string task = run({idle("main")});
  const Fact started = await(task, FactKind::container_started);
  const uint32_t supervisor = await(task, FactKind::supervising).pid;
  supervisors_.reset();
  kill(static_cast<pid_t>(supervisor), SIGKILL);
  waitpid(static_cast<pid_t>(supervisor), nullptr, 0);
  EXPECT_EQ(restart_daemon().over, 1u);
  ASSERT_TRUE(await_gone(task));
  EXPECT_NE(gone_[task], "");
  EXPECT_FALSE(is_alive(started.pid));
}

TEST_F(SuperviseHostTest, AForgedBootIdIsNotAdopted) {
  const std::string task = run({idle("main")});
  const Fact started = await(task, FactKind::container_started);
  const std::string path = directory_ + "/tasks/" + task + "/owner";
  auto owner = taskdir::decode_owner(read_file(path));
  ASSERT_TRUE(owner);
  supervisors_.reset();
  owner->boot_id[0] = owner->boot_id[0] == '0' ? '1' : '0';
  std::ofstream(path, std::ios::binary | std::ios::trunc) << taskdir::encode_owner(*owner);
  const auto report = restart_daemon();
  EXPECT_EQ(report.running, 0u);
  EXPECT_EQ(report.over, 1u);
  ASSERT_TRUE(await_gone(task));
  EXPECT_FALSE(is_alive(started.pid));
}

TEST_F(SuperviseHostTest, ADamagedJournalEndsItsTaskWithAReason) {
  for (bool cut_short : {false, true}) {
    const std::string task = run({idle("main")});
    const Fact started = await(task, FactKind::container_started);
    supervisors_.reset();
    const std::string path = directory_ + "/tasks/" + task + "/journal";
    if (cut_short) {
      std::filesystem::resize_file(path, 0);
    } else {
      std::fstream(path, std::ios::binary | std::ios::in | std::ios::out).seekp(20).put('\0');
    }
    facts_known_[task] = 0;
    EXPECT_EQ(restart_daemon().running, 1u);
    ASSERT_TRUE(await_gone(task));
    EXPECT_EQ(gone_[task], "the journal of the task's supervisor is damaged");
    EXPECT_FALSE(is_alive(started.pid));
  }
}

// The lock alone tells of it, while it has not written yet who it is: taken for one that never began, its task would be
// launched again beside it.
TEST_F(SuperviseHostTest, ASupervisorThatHasJustTakenItsTaskIsWaitedFor) {
  supervisors_.reset();
  const std::string task = new_task_id(), path = directory_ + "/tasks/" + task;
  std::filesystem::create_directories(path);
  std::ofstream(path + "/plan") << taskdir::encode_plan(plan_of(task, {container("main", "")}));
  Fd lock(::open((path + "/plan").c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(::flock(lock.get(), LOCK_EX), 0);
  const auto report = restart_daemon();
  EXPECT_EQ(report.running, 1u);
  EXPECT_EQ(report.never_begun, 0u);
  EXPECT_TRUE(std::filesystem::exists(path + "/plan"));
  lock.reset();  // it dies before it has said a word
  EXPECT_TRUE(await_gone(task));
}

TEST_F(SuperviseHostTest, DirectoriesThatAreNotUnderstoodAreSetAside) {
  supervisors_.reset();
  const std::string tasks = directory_ + "/tasks/";
  std::filesystem::create_directories(tasks + "empty");
  std::filesystem::create_directories(tasks + "garbage");
  std::ofstream(tasks + "garbage/plan") << "BERTHPLN but not quite";
  std::filesystem::create_directories(tasks + "otherversion");
  std::string plan = taskdir::encode_plan(plan_of("otherversion", {container("main", "")}));
  plan[8] = 99;
  std::ofstream(tasks + "otherversion/plan") << plan;
  std::filesystem::create_directories(tasks + "elsewhere");
  std::ofstream(tasks + "elsewhere/plan") << taskdir::encode_plan(plan_of("another", {container("main", "")}));
  std::ofstream(tasks + "file");
  std::filesystem::create_directories(tasks + "prepared");
  std::ofstream(tasks + "prepared/plan") << taskdir::encode_plan(plan_of("prepared", {container("main", "")}));
  const auto report = restart_daemon();
  EXPECT_EQ(report.set_aside, 4u);
  EXPECT_EQ(report.never_begun, 2u);  // "empty" and "prepared": a launch that was cut short is no riddle
  EXPECT_FALSE(std::filesystem::exists(tasks + "prepared"));
  EXPECT_TRUE(std::filesystem::exists(tasks + ".aside/garbage/plan"));
  EXPECT_EQ(restart_daemon().set_aside, 0u);
}

TEST_F(SuperviseHostTest, AContainerStartsAgainWhereTheDaemonSaysSo) {
  Container one = container("main", "echo run; echo more >> /kept; cat /kept");
  one.plan.stops_task = false;
  const std::string task = run({one});
  await(task, FactKind::container_exited, 0, 1);
  start(task, 0);
  const Fact again = await(task, FactKind::container_exited, 0, 2);
  EXPECT_EQ(again.exit_code, 0u);
  EXPECT_THAT(lines(task, "main"), ElementsAre("run", "more", "run", "more", "more")) << "its own writes are kept";
  stop(task);
  EXPECT_TRUE(await_gone(task));
}

TEST_F(SuperviseHostTest, RuncWillDoToo) {
  runtime_.path = "/usr/sbin/runc";
  ASSERT_EQ(access(runtime_.path.c_str(), X_OK), 0) << "apt install runc";
  const std::string task = run({idle("main")});
  await(task, FactKind::container_started);
  const taskdir::Reply reply = execute(task, {"/bin/sh", "-c", "echo healthy; exit 3"}, 5000);
  EXPECT_EQ(reply.exit_code, 3u);
  EXPECT_EQ(reply.output, "healthy\n");
  stop(task);
  EXPECT_EQ(await(task, FactKind::container_exited).exit_code, 143u);
  ASSERT_TRUE(await_gone(task));
  EXPECT_TRUE(std::filesystem::is_empty(directory_ + "/runtime"));
  Container wrong = container("main", "");
  wrong.spec.command = {"/no/such/program"};
  const std::string second = run({wrong});
  EXPECT_THAT(await(second, FactKind::start_failed).reason, HasSubstr("/no/such/program"));
  EXPECT_TRUE(await_gone(second));
}

TEST_F(SuperviseHostTest, ATaskGoneCanBeRemoved) {
  run_to_end(container("main", "seq 1 100 > /a; mkdir /b; touch /b/c"));
  EXPECT_FALSE(std::filesystem::exists(directory_ + "/tasks/" + last_task_ + "/containers"));
  supervisors_->remove(last_task_);
  EXPECT_FALSE(std::filesystem::exists(directory_ + "/tasks/" + last_task_));
  EXPECT_FALSE(supervisors_->knows(last_task_));
  EXPECT_TRUE(std::filesystem::is_empty(directory_ + "/runtime"));
}

TEST_F(SuperviseHostTest, AProgramThatHasNotInstalledItsHandlerYetDoesNotMissItsOnlySignal) {
  // Some 100 ms of work before the handler is there, as an interpreter loading its libraries.
  const std::string task = run({container("main",
                                          "i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done; trap 'exit 7' TERM; "
                                          "while :; do sleep 0.05; done")});
  await(task, FactKind::container_started);
  stop(task);
  EXPECT_EQ(await(task, FactKind::container_exited).exit_code, 7u) << "137: killed after the whole of its patience";
  EXPECT_TRUE(await_gone(task));
}

TEST_F(SuperviseHostTest, TheSupervisorLivesOutsideOfTheTasksCgroupAndTheDaemonsSession) {
  const std::string task = run({idle("main")});
  const Fact started = await(task, FactKind::container_started);
  const uint32_t supervisor = await(task, FactKind::supervising).pid;
  EXPECT_THAT(read_file("/proc/" + std::to_string(supervisor) + "/cgroup"),
              HasSubstr("/berth-" + instance_ + "/supervisors"));
  EXPECT_THAT(read_file("/proc/" + std::to_string(supervisor) + "/cgroup"), testing::Not(HasSubstr(task)));
  EXPECT_THAT(read_file("/proc/" + std::to_string(started.pid) + "/cgroup"), HasSubstr(task + "/main"));
  EXPECT_NE(getsid(static_cast<pid_t>(supervisor)), getsid(0));
  EXPECT_EQ(read_file("/proc/" + std::to_string(started.pid) + "/oom_score_adj"), "0\n");
  stop(task);
  EXPECT_TRUE(await_gone(task));
}

}  // namespace
}  // namespace berth::host_test
