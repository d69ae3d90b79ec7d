#include "agent/images/pulls.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <set>

#include "agent/images/program.h"
#include "base/limits.h"

namespace berth::images {
namespace {

// Fetches stay under way until the test lets them end, or until they are cancelled and the test lets those end.
class PullsTest : public testing::Test {
 protected:
  Result<ImageSummary> fetch(const ImageName& name, int cancel_fd) {
    std::unique_lock lock(mutex_);
    running_.insert(name.repository());
    ++begun_;
    changed_.notify_all();
    while (!let_go_.contains(name.repository())) {
      lock.unlock();
      pollfd wait{cancel_fd, POLLIN, 0};
      const bool cancelled = ::poll(&wait, 1, 1) > 0;
      lock.lock();
      if (!cancelled) continue;
      changed_.wait(lock, [this] { return cancelled_may_end_; });
      running_.erase(name.repository());
      ++cancelled_;
      changed_.notify_all();
      return fail("cancelled");
    }
    running_.erase(name.repository());
    return ImageSummary{name.canonical(), "sha256:1", 1, 1};
  }
  void let_go(const std::string& repository) {
    const std::lock_guard lock(mutex_);
    let_go_.insert(repository);
  }
  template <class Condition>
  void wait(Condition condition) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, condition);
  }
  Pulls::Id ask(const std::string& name, const std::string& who) {
    return pulls.ask(*parse_image_name(name), [this, who](const Result<ImageSummary>& image) {
      const std::lock_guard lock(mutex_);
      said_[who] = image ? image->name : image.error().context;
      changed_.notify_all();
    });
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<std::string> running_, let_go_;
  std::map<std::string, std::string> said_;
  int begun_ = 0, cancelled_ = 0;
  bool cancelled_may_end_ = true;
  Pulls pulls{[this](const ImageName& name, int cancel_fd) { return fetch(name, cancel_fd); }};
};

TEST_F(PullsTest, OnePullServesAllWhoWantTheImage) {
  ask("r.example/a:1", "one");
  ask("r.example/a:1", "two");
  ask("r.example/a:1", "three");
  let_go("r.example/a");
  wait([&] { return said_.size() == 3; });
  EXPECT_EQ(begun_, 1);
  for (const auto& [who, what] : said_) EXPECT_EQ(what, "r.example/a:1") << who;
}

TEST_F(PullsTest, ARegistryHasABoundOfItsOwn) {
  for (size_t i = 0; i < limits::kPullsPerRegistryMax + 2; ++i) ask("slow.example/" + std::to_string(i), "slow");
  ask("quick.example/a", "quick");
  let_go("quick.example/a");
  wait([&] { return said_.contains("quick"); });
  wait([&] { return running_.size() == limits::kPullsPerRegistryMax; });
  EXPECT_EQ(begun_, static_cast<int>(limits::kPullsPerRegistryMax) + 1);
  let_go("slow.example/0");
  wait([&] { return running_.contains("slow.example/" + std::to_string(limits::kPullsPerRegistryMax)); });
}

TEST_F(PullsTest, APullEndsWithTheLastWhoWantsIt) {
  const auto one = ask("r.example/a", "one"), two = ask("r.example/a", "two");
  wait([&] { return begun_ == 1; });
  pulls.cancel(one);
  EXPECT_EQ(said_["one"], kNotWanted);
  pulls.cancel(one);  // a second time is no error
  EXPECT_EQ(cancelled_, 0);
  pulls.cancel(two);
  EXPECT_EQ(said_["two"], kNotWanted);
  wait([&] { return cancelled_ == 1; });
}

TEST_F(PullsTest, OneThatWaitsForItsTurnIsCancelledWithoutHavingBegun) {
  for (size_t i = 0; i < limits::kPullsPerRegistryMax; ++i) ask("slow.example/" + std::to_string(i), "slow");
  pulls.cancel(ask("slow.example/last", "last"));
  EXPECT_EQ(said_["last"], kNotWanted);
  let_go("slow.example/0");
  wait([&] { return said_.contains("slow"); });
  EXPECT_FALSE(running_.contains("slow.example/last"));
}

TEST_F(PullsTest, AnImageAskedForAgainDoesNotJoinThePullThatIsBeingCancelled) {
  cancelled_may_end_ = false;
  const auto one = ask("r.example/a", "one");
  wait([&] { return begun_ == 1; });
  pulls.cancel(one);
  ask("r.example/a", "two");
  wait([&] { return begun_ == 2; });
  {
    const std::lock_guard lock(mutex_);
    cancelled_may_end_ = true;
    changed_.notify_all();
  }
  wait([&] { return cancelled_ == 1; });
  let_go("r.example/a");
  wait([&] { return said_.contains("two"); });
  EXPECT_EQ(said_["two"], "r.example/a:latest");
}

TEST_F(PullsTest, TheEndAnswersWhoeverWaits) {
  for (size_t i = 0; i < limits::kPullsPerRegistryMax + 1; ++i)
    ask("slow.example/" + std::to_string(i), std::to_string(i));
  pulls.end();
  ask("slow.example/late", "late");
  EXPECT_EQ(said_.size(), limits::kPullsPerRegistryMax + 2);
  for (const auto& [who, what] : said_) EXPECT_EQ(what, kEnding) << who;
}

TEST_F(PullsTest, MoreImagesThanTheBoundDoNotWait) {
  for (size_t i = 0; i < limits::kPullsPerRegistryMax + limits::kPullsWaitingMax; ++i)
    ask("slow.example/" + std::to_string(i), "slow");
  ask("slow.example/0", "joins");
  ask("slow.example/more", "more");
  EXPECT_EQ(said_["more"], "10000 images wait to be pulled already");
  EXPECT_FALSE(said_.contains("joins"));
  pulls.end();
}

}  // namespace
}  // namespace berth::images
