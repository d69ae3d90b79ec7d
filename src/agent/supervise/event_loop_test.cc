#include "agent/event_loop.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>

namespace berth::agent {
namespace {

TEST(EventLoop, RunsTimersInTheOrderOfTheirTimeAndNotTheCancelled) {
  EventLoop loop;
  std::string order;
  loop.after_ms(2, [&] { order += 'b'; });
  loop.after_ms(0, [&] {
    order += 'a';
    loop.after_ms(4, [&] { loop.stop(); });
  });
  loop.cancel(loop.after_ms(1, [&] { order += 'x'; }));
  loop.run();
  EXPECT_EQ(order, "ab");
}

TEST(EventLoop, ATimerThatSetsItselfAgainLetsTheRestRun) {
  EventLoop loop;
  int rounds = 0;
  std::function<void()> again = [&] {
    if (++rounds < 1000) loop.after_ms(0, again);
  };
  loop.after_ms(0, again);
  loop.run_once(0);
  EXPECT_EQ(rounds, 1);
}

// A descriptor that is closed within a round, whose number is another one's at once: its event is not the other's.
TEST(EventLoop, AnEventIsForTheWatchThatItWasReportedOf) {
  EventLoop loop;
  int ready[2][2], silent[2];
  for (auto& one : ready) ASSERT_EQ(::pipe(one), 0);
  ASSERT_EQ(::pipe(silent), 0);
  int called = 0;
  bool stale = false;
  for (int i : {0, 1}) {
    ASSERT_EQ(::write(ready[i][1], "x", 1), 1);
    loop.add(ready[i][0], [&, i] {
      ++called;
      const int other = ready[1 - i][0];
      loop.remove(other);
      ASSERT_EQ(::dup2(silent[0], other), other);
      loop.add(other, [&] { stale = true; });
    });
  }
  loop.run_once(0);
  EXPECT_EQ(called, 1);
  EXPECT_FALSE(stale);
  for (auto& one : ready) ::close(one[0]), ::close(one[1]);
  ::close(silent[0]), ::close(silent[1]);
}

TEST(EventLoop, RunsWhatOtherThreadsPostInOrder) {
  EventLoop loop;
  std::vector<int> seen;
  std::thread poster([&] {
    for (int i = 0; i < 100; ++i) loop.post([&seen, i] { seen.push_back(i); });
    loop.stop();
  });
  loop.run();
  poster.join();
  ASSERT_EQ(seen.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(seen[static_cast<size_t>(i)], i);
}

TEST(EventLoop, AWatchMayRemoveItselfAndOthers) {
  EventLoop loop;
  int one[2];
  int two[2];
  ASSERT_EQ(pipe(one), 0);
  ASSERT_EQ(pipe(two), 0);
  int calls = 0;
  const auto both = [&] {
    ++calls;
    loop.remove(one[0]);
    loop.remove(two[0]);
  };
  loop.add(one[0], both);
  loop.add(two[0], both);
  ASSERT_EQ(write(one[1], "x", 1) + write(two[1], "x", 1), 2);
  loop.run_once(1000);
  loop.run_once(0);
  EXPECT_EQ(calls, 1);
  for (int fd : {one[0], one[1], two[0], two[1]}) close(fd);
}

}  // namespace
}  // namespace berth::agent
