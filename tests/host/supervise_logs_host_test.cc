// What becomes of the output of real containers, on disks that are healthy, full or slow.
#include <gmock/gmock.h>
#include <sys/mount.h>
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

}  // namespace
}  // namespace berth::host_test
