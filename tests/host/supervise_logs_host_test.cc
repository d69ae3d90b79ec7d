// What becomes of the output of real containers, on disks that are healthy, full or slow.
#include <gmock/gmock.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "supervise_world.h"

namespace berth::host_test {
namespace {

using taskdir::Fact;
using taskdir::FactKind;
using testing::Contains;

class SuperviseLogsHostTest : public SuperviseWorld {};

TEST_F(SuperviseLogsHostTest, KeepsEveryOneOf100000Lines) {
  const Fact exited = run_to_end(container("main", "seq 1 100000"));
  EXPECT_EQ(exited.exit_code, 0u);
  const auto written = last_lines();
  ASSERT_EQ(written.size(), 100'000u);
  for (size_t i = 0; i < written.size(); ++i) ASSERT_EQ(written[i], std::to_string(i + 1));
}

TEST_F(SuperviseLogsHostTest, CutsLinesThatAreTooLong) {
  std::filesystem::create_symlink("busybox", image_ + "/bin/tr");
  run_to_end(container("main", "head -c 600000 /dev/zero | tr '\\0' x; echo; echo after"));
  const auto written = last_lines();
  ASSERT_EQ(written.size(), 4u);
  EXPECT_EQ(written[0].size(), 256u * 1024);
  EXPECT_EQ(written[0].size() + written[1].size() + written[2].size(), 600'000u);
  EXPECT_EQ(written[3], "after");
}

TEST_F(SuperviseLogsHostTest, CutsLongLinesBetweenCharacters) {
  // "x" and then two bytes a character, so that the bound falls into the middle of one.
  for (const char* name : {"tr", "yes", "printf"}) std::filesystem::create_symlink("busybox", image_ + "/bin/" + name);
  run_to_end(container("main", "printf x; yes é | head -n 200000 | tr -d '\\n'; echo"));
  const auto written = last_lines();
  ASSERT_EQ(written.size(), 2u);
  EXPECT_EQ(written[0].size(), 256u * 1024 - 1);
  EXPECT_EQ(written[0].size() + written[1].size(), 400'001u);
  EXPECT_TRUE(written[1].starts_with("é"));
}

TEST_F(SuperviseLogsHostTest, LinesJoinTheEventThatAMatchingOneBegins) {
  for (const taskdir::LogMode mode : {taskdir::LogMode::blocking, taskdir::LogMode::non_blocking}) {
    Container one = container(
        "main",
        "echo early; echo 'INFO one'; echo '  at a'; echo; echo '  at b'; echo 'INFO two'; echo 'INFO three'; "
        "until [ -e /gate/go ]; do sleep 0.02; done; echo '  too late'; printf 'INFO end'");
    const std::string gate = directory_ + "/gate";
    std::filesystem::remove_all(gate);
    std::filesystem::create_directory(gate);
    one.spec.binds = {{gate, "/gate", false}};
    one.plan.log.mode = mode;
    one.plan.log.event_pattern = "^(INFO|WARN) ";
    const std::string task = run({one});
    // Nothing more comes, so the last is complete when its time is over.
    ASSERT_TRUE(wait([&] { return lines(task, "main").size() == 4; }));
    std::ofstream(gate + "/go");
    ASSERT_TRUE(await_gone(task));
    const auto written = lines(task, "main");
    ASSERT_EQ(written.size(), 6u);
    EXPECT_EQ(written[0], "early\n");
    EXPECT_EQ(written[1], "INFO one\n  at a\n\n  at b\n");
    EXPECT_EQ(written[2], "INFO two\n");
    EXPECT_EQ(written[3], "INFO three\n");
    EXPECT_EQ(written[4], "  too late\n");
    EXPECT_EQ(written[5], "INFO end\n");
  }
}

TEST_F(SuperviseLogsHostTest, ADeletedStreamDoesNotHoldItsContainerUp) {
  for (const taskdir::LogMode mode : {taskdir::LogMode::blocking, taskdir::LogMode::non_blocking}) {
    const std::string gate = directory_ + "/gate";
    std::filesystem::remove_all(gate);
    std::filesystem::create_directory(gate);
    Container one = container("main", "echo begin; until [ -e /gate/go ]; do sleep 0.02; done; seq 1 500000");
    one.spec.binds = {{gate, "/gate", false}};
    one.plan.log.mode = mode;
    const std::string task = run({one});
    ASSERT_TRUE(wait([&] { return lines(task, "main").size() == 1; }));
    std::filesystem::remove_all(directory_ + "/logs/" + task + ".main");
    std::ofstream(gate + "/go");
    EXPECT_EQ(await(task, FactKind::container_exited).exit_code, 0u);
    ASSERT_TRUE(await_gone(task));
    EXPECT_EQ(find(task, FactKind::lines_dropped), nullptr) << "nobody is left to be told";
  }
}

class FullDiskTest : public SuperviseLogsHostTest {
 protected:
  // A log store of one megabyte, most of which is taken.
  void SetUp() override {
    SuperviseLogsHostTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    const std::string logs = directory_ + "/logs";
    ASSERT_EQ(mount("tmpfs", logs.c_str(), "tmpfs", 0, "size=1m"), 0);
    std::ofstream(logs + "/filler") << std::string(900 * 1024, 'x');
  }
  void make_room() {
    const std::string logs = directory_ + "/logs";
    ASSERT_EQ(mount("tmpfs", logs.c_str(), "tmpfs", MS_REMOUNT, "size=64m"), 0);
  }
};

TEST_F(FullDiskTest, BlockingModeMakesTheContainerWait) {
  Container one = container("main", "seq 1 100000; echo end");
  one.plan.log.mode = taskdir::LogMode::blocking;
  const std::string task = run({one});
  await(task, FactKind::container_started);
  // Full when the writer cannot write: what it has written does not grow any more and the container is still there.
  size_t before = 0;
  ASSERT_TRUE(wait([&] { return std::exchange(before, lines(task, "main").size()) == before && before > 100; }));
  EXPECT_EQ(find(task, FactKind::container_exited), nullptr);
  make_room();
  EXPECT_EQ(await(task, FactKind::container_exited).exit_code, 0u);
  ASSERT_TRUE(await_gone(task));
  EXPECT_EQ(find(task, FactKind::lines_dropped), nullptr);
  const auto written = lines(task, "main");
  ASSERT_EQ(written.size(), 100'001u);
  for (size_t i = 0; i < 100'000; ++i) ASSERT_EQ(written[i], std::to_string(i + 1));
}

TEST_F(FullDiskTest, NonBlockingModeDropsCountsAndSaysSo) {
  Container one =
      container("main", "seq 1 100000; touch /gate/written; until [ -e /gate/open ]; do sleep 0.02; done; echo end");
  const std::string gate = directory_ + "/gate";
  std::filesystem::create_directory(gate);
  one.spec.binds = {{gate, "/gate", false}};
  one.plan.log.mode = taskdir::LogMode::non_blocking;
  one.plan.log.buffer_bytes_max = 64 * 1024;
  const std::string task = run({one});
  ASSERT_TRUE(wait([&] { return access((gate + "/written").c_str(), F_OK) == 0; })) << "the container was stalled";
  make_room();
  const Fact dropped = await(task, FactKind::lines_dropped);
  EXPECT_GT(dropped.count, 1000u);
  std::ofstream(gate + "/open");
  ASSERT_TRUE(await_gone(task));
  const auto written = lines(task, "main");
  const std::string said =
      "berth: " + std::to_string(dropped.count) + " lines dropped: the log could not be written in time";
  EXPECT_THAT(written, Contains(said));
  EXPECT_EQ(written.size() - 2 + dropped.count, 100'000u) << "every line is written or counted";
  EXPECT_EQ(written.back(), "end");
}

// A disk that takes a write and does not come back, as far as the supervisor can tell: its writing thread is stopped, and
// only that one.
class FrozenWriter {
 public:
  explicit FrozenWriter(uint32_t supervisor) {
    for (const auto& thread : std::filesystem::directory_iterator("/proc/" + std::to_string(supervisor) + "/task")) {
      if (read_file(thread.path() / "comm") == "log-writer\n") thread_ = std::stoi(thread.path().filename());
    }
    if (thread_ == 0) return;
    is_frozen_ = ptrace(PTRACE_SEIZE, thread_, nullptr, nullptr) == 0 &&
                 ptrace(PTRACE_INTERRUPT, thread_, nullptr, nullptr) == 0 &&
                 waitpid(thread_, nullptr, __WALL) == thread_;
  }
  ~FrozenWriter() { thaw(); }
  bool is_frozen() const { return is_frozen_; }
  void thaw() {
    if (is_frozen_) ptrace(PTRACE_DETACH, thread_, nullptr, nullptr);
    is_frozen_ = false;
  }

 private:
  pid_t thread_ = 0;
  bool is_frozen_ = false;
};

class SlowDiskTest : public SuperviseLogsHostTest {
 protected:
  // Says a line, for its writer to be there, and goes on when told to.
  Container gated(const std::string& name, const std::string& script) {
    const std::string gate = directory_ + "/gate";
    std::filesystem::create_directories(gate);
    Container one = container(name, "echo begin; until [ -e /gate/go ]; do sleep 0.02; done; " + script);
    one.spec.binds = {{gate, "/gate", false}};
    return one;
  }
  void go() { std::ofstream(directory_ + "/gate/go"); }
  bool says_it_has_begun(const std::string& task, const std::string& name) {
    return wait([&] { return !lines(task, name).empty(); });
  }
};

TEST_F(SlowDiskTest, NonBlockingModeNeverWaitsForTheDisk) {
  Container one = gated("main", "seq 1 100000");
  one.plan.log.mode = taskdir::LogMode::non_blocking;
  one.plan.log.buffer_bytes_max = 256 * 1024;
  const std::string task = run({one});
  const uint32_t supervisor = await(task, FactKind::supervising).pid;
  ASSERT_TRUE(says_it_has_begun(task, "main"));
  FrozenWriter writer(supervisor);
  ASSERT_TRUE(writer.is_frozen());
  go();
  EXPECT_EQ(await(task, FactKind::container_exited).exit_code, 0u) << "it wrote all of it and ended";
  const Fact dropped = await(task, FactKind::lines_dropped);
  EXPECT_GT(dropped.count, 10'000u);
  EXPECT_EQ(lines(task, "main").size(), 1u);
  EXPECT_EQ(find(task, FactKind::finished), nullptr) << "what waits is still wanted";
  writer.thaw();
  ASSERT_TRUE(await_gone(task));
  const auto written = lines(task, "main");
  EXPECT_EQ(written.back(),
            "berth: " + std::to_string(dropped.count) + " lines dropped: the log could not be written in time");
  EXPECT_EQ(written.size() - 2 + dropped.count, 100'000u) << "every line is written or counted";
}

TEST_F(SlowDiskTest, ABlockingContainerWaitsAndItsNeighbourDoesNot) {
  Container patient = gated("patient", "seq 1 100000; echo end");
  patient.plan.log.mode = taskdir::LogMode::blocking;
  Container other = container("other", "until [ -e /gate/go ]; do sleep 0.02; done; seq 1 1000; exec sleep 100000");
  other.spec.binds = patient.spec.binds;
  other.plan.log.mode = taskdir::LogMode::non_blocking;
  const std::string task = run({patient, other});
  const uint32_t supervisor = await(task, FactKind::supervising).pid;
  ASSERT_TRUE(says_it_has_begun(task, "patient"));
  FrozenWriter writer(supervisor);  // there is only one yet
  ASSERT_TRUE(writer.is_frozen());
  go();
  ASSERT_TRUE(wait([&] { return lines(task, "other").size() == 1000; }));
  EXPECT_EQ(lines(task, "patient").size(), 1u);
  EXPECT_EQ(find(task, FactKind::container_exited), nullptr);
  writer.thaw();
  EXPECT_EQ(await(task, FactKind::container_exited, 0).exit_code, 0u);
  ASSERT_TRUE(supervisors_->send(task, {.kind = taskdir::CommandKind::signal, .container = 1, .signal = SIGKILL}));
  ASSERT_TRUE(await_gone(task));
  EXPECT_EQ(find(task, FactKind::lines_dropped), nullptr);
  EXPECT_EQ(lines(task, "patient").size(), 100'002u);
}

TEST_F(SlowDiskTest, ARestartLosesNothingThatIsStillInThePipe) {
  Container patient = gated("patient", "seq 1 15000");
  patient.plan.log.mode = taskdir::LogMode::blocking;
  patient.plan.stops_task = false;
  Container other = container("other", "exec sleep 100000");
  other.plan.log.mode = taskdir::LogMode::non_blocking;
  const std::string task = run({patient, other});
  const uint32_t supervisor = await(task, FactKind::supervising).pid;
  ASSERT_TRUE(says_it_has_begun(task, "patient"));
  FrozenWriter writer(supervisor);
  ASSERT_TRUE(writer.is_frozen());
  go();
  await(task, FactKind::container_exited, 0);
  start(task, 0);
  await(task, FactKind::container_started, 0, 2);
  writer.thaw();
  await(task, FactKind::container_exited, 0, 2);
  await(task, FactKind::container_started, 1);
  ASSERT_TRUE(supervisors_->send(task, {.kind = taskdir::CommandKind::signal, .container = 1, .signal = SIGKILL}));
  ASSERT_TRUE(await_gone(task));
  EXPECT_EQ(lines(task, "patient").size(), 2u * 15'001u);
}

TEST_F(SlowDiskTest, WhatAHealthyDiskCanTakeIsNotDropped) {
  Container one = container("main", "seq 1 1000000");
  one.plan.log.mode = taskdir::LogMode::non_blocking;
  one.plan.log.buffer_bytes_max = 256 * 1024;  // far less than is on its way
  run_to_end(one);
  EXPECT_EQ(find(last_task_, FactKind::lines_dropped), nullptr);
  EXPECT_EQ(last_lines().size(), 1'000'000u);
}

}  // namespace
}  // namespace berth::host_test
