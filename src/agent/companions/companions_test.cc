#include "agent/companions/companions.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>

#include "base/random.h"

namespace berth::agent {
namespace {

// The companion is /bin/sleep; its cgroups are plain directories that nobody mounted.
class CompanionsTest : public testing::Test {
 protected:
  CompanionsTest() { std::filesystem::create_directories(root_ + "/cgroup"); }
  ~CompanionsTest() override {
    EXPECT_TRUE(Companions::end_all(directory()));
    std::filesystem::remove_all(root_);
  }
  std::string directory() const { return root_ + "/companions"; }
  std::unique_ptr<Companions> make() {
    auto made = std::make_unique<Companions>(
        loop_, CompanionsOptions{directory(), "abcdef", root_ + "/cgroup", taskdir::CgroupMode::v2});
    made->add({"sleeper", "/bin/sleep", {"1000"}, [this](const std::string&) { ++runs_; }});
    return made;
  }
  void until(const std::function<bool()>& holds) {
    const int64_t end = EventLoop::now_ms() + 10'000;
    while (!holds()) {
      ASSERT_LT(EventLoop::now_ms(), end);
      loop_.run_once(100);
    }
  }

  SystemRandom random_;
  const std::string root_ = testing::TempDir() + "berth-companions-" + new_hex_id(random_, 8);
  EventLoop loop_;
  int runs_ = 0;
};

TEST_F(CompanionsTest, LivesFromItsFirstUserToItsLast) {
  const auto companions = make();
  companions->settle();
  EXPECT_EQ(companions->pid("sleeper"), 0u);
  companions->use("sleeper", "a");
  companions->use("sleeper", "b");
  EXPECT_EQ(runs_, 1);
  const auto seen = Companions::list(directory());
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0].name, "sleeper");
  EXPECT_EQ(seen[0].pid, companions->pid("sleeper"));
  companions->release("sleeper", "a");
  EXPECT_NE(companions->pid("sleeper"), 0u);
  companions->release("sleeper", "b");
  until([&] { return companions->pid("sleeper") == 0; });
  EXPECT_TRUE(Companions::list(directory()).empty());
}

TEST_F(CompanionsTest, StartsAgainOneThatHasEnded) {
  const auto companions = make();
  companions->use("sleeper", "a");
  const uint32_t first = companions->pid("sleeper");
  ::kill(static_cast<pid_t>(first), SIGKILL);
  until([&] { return runs_ == 2; });
  EXPECT_NE(companions->pid("sleeper"), first);
}

TEST_F(CompanionsTest, TheNextDaemonFindsIt) {
  auto companions = make();
  companions->use("sleeper", "a");
  const uint32_t pid = companions->pid("sleeper");
  companions.reset();
  companions = make();
  EXPECT_EQ(companions->pid("sleeper"), pid);
  EXPECT_EQ(runs_, 2);
  companions->use("sleeper", "a");
  companions->settle();
  EXPECT_EQ(companions->pid("sleeper"), pid);
}

TEST_F(CompanionsTest, OneWhoseUsersAreGoneEndsWithTheFirstLook) {
  auto companions = make();
  companions->use("sleeper", "a");
  companions.reset();
  companions = make();
  companions->settle();
  until([&] { return companions->pid("sleeper") == 0; });
}

}  // namespace
}  // namespace berth::agent
