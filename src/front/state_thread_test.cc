#include "front/state_thread.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>

namespace berth::front {
namespace {

// Each round is a word of what was done in it; the decisions end the thread when there is nothing more to see.
class StateThreadTest : public ::testing::Test {
 protected:
  void run(std::function<std::optional<TimeMs>(TimeMs)> decide) {
    thread.run({[this] { done += "settled "; }, std::move(decide)});
  }
  SystemClock clock;
  StateThread thread{clock};
  std::string done;
};

TEST_F(StateThreadTest, DoesWhatWasPostedThenSettlesThenDecides) {
  thread.post_quietly([this] { done += "first "; });
  thread.committed();
  thread.post([this] { done += "second "; });
  run([this](TimeMs) {
    done += "decided";
    thread.end();
    return std::nullopt;
  });
  EXPECT_EQ(done, "first second settled decided");
}

TEST_F(StateThreadTest, WakesAtTheMomentThatControlNamed) {
  TimeMs wanted = 0, woken = 0;
  run([&](TimeMs now) -> std::optional<TimeMs> {
    if (wanted == 0) return wanted = now + 30;
    woken = now;
    thread.end();
    return std::nullopt;
  });
  EXPECT_GE(woken, wanted);
}

TEST_F(StateThreadTest, IsCalledAgainAtOnceWhereControlHasMoreToDo) {
  int rounds = 0;
  run([&](TimeMs now) -> std::optional<TimeMs> {
    if (++rounds == 100) thread.end();
    return now;  // a moment that has passed
  });
  EXPECT_EQ(rounds, 100);
}

TEST_F(StateThreadTest, ReturnsOnlyAfterTheJobsPostedBefore) {
  std::thread other;
  run([&](TimeMs) -> std::optional<TimeMs> {
    if (other.joinable()) return std::nullopt;
    other = std::thread([this] {
      thread.post([this] {
        thread.post([this] { done += "the last"; });
        thread.end();
      });
    });
    return std::nullopt;
  });
  other.join();
  EXPECT_EQ(done, "the last");
}

}  // namespace
}  // namespace berth::front
