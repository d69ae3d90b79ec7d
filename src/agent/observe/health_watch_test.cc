#include "agent/observe/health_watch.h"

#include <gtest/gtest.h>

namespace berth::agent {
namespace {

using records::Health;

records::HealthCheck check(int interval, int retries, int start_period) {
  return {{"CMD", "true"}, interval, 5, retries, start_period};
}

// What a probe that begins at `at` and takes no time says.
std::optional<Health> probe(HealthWatch& watch, TimeMs at, bool passes) {
  watch.probe_begun(at);
  return watch.probed(passes, at);
}

TEST(HealthWatch, ProbesAtOnceAndThenByInterval) {
  HealthWatch watch(check(30, 3, 0), 1000);
  EXPECT_EQ(watch.next_probe_at_ms(1000), 1000);
  watch.probe_begun(1000);
  EXPECT_EQ(watch.next_probe_at_ms(1000), std::nullopt);
  EXPECT_EQ(watch.probed(true, 1100), Health::healthy);
  EXPECT_EQ(watch.next_probe_at_ms(1100), 31'100);
}

TEST(HealthWatch, RetriesInARowMakeItUnhealthyAndOneSuccessHealthy) {
  HealthWatch watch(check(10, 2, 0), 0);
  EXPECT_EQ(probe(watch, 10'000, false), std::nullopt);
  EXPECT_EQ(probe(watch, 20'000, true), Health::healthy);
  EXPECT_EQ(probe(watch, 30'000, false), std::nullopt);
  EXPECT_EQ(probe(watch, 40'000, false), Health::unhealthy);
  EXPECT_EQ(probe(watch, 50'000, false), std::nullopt);
  EXPECT_EQ(probe(watch, 60'000, true), Health::healthy);
}

TEST(HealthWatch, AFailureCountsOnceAnIntervalHasPassedAndASuccessAtOnce) {
  struct Case {
    int interval, retries;
    TimeMs ready_ms, verdict_ms;
    Health verdict;
  };
  for (const Case& c : {Case{5, 3, 12'000, 15'000, Health::healthy}, Case{5, 3, 0, 0, Health::healthy},
                        Case{5, 1, 4'000, 5'000, Health::healthy}, Case{5, 1, 6'000, 5'000, Health::unhealthy},
                        Case{5, 3, 16'000, 15'000, Health::unhealthy}, Case{30, 1, 29'000, 30'000, Health::healthy}}) {
    HealthWatch watch(check(c.interval, c.retries, 0), 0);
    TimeMs now = 0;
    std::optional<Health> verdict;
    for (; !verdict; now = watch.next_probe_at_ms(now).value())
      if (verdict = probe(watch, now, now >= c.ready_ms); verdict) break;
    EXPECT_EQ(verdict, c.verdict) << c.ready_ms;
    EXPECT_EQ(now, c.verdict_ms) << c.ready_ms;
  }
}

TEST(HealthWatch, AProbeThatHungSinceTheFirstIntervalDoesNotCount) {
  HealthWatch watch(check(5, 1, 0), 0);
  watch.probe_begun(4999);
  EXPECT_EQ(watch.probed(false, 64'999), std::nullopt);
  EXPECT_EQ(probe(watch, 69'999, false), Health::unhealthy);
}

TEST(HealthWatch, TheStartPeriodForgivesProbesEverySecondAndEndsWithTheFirstSuccess) {
  HealthWatch watch(check(5, 1, 60), 0);
  EXPECT_EQ(probe(watch, 10, false), std::nullopt);
  EXPECT_EQ(watch.next_probe_at_ms(10), 1010);
  EXPECT_EQ(probe(watch, 6020, true), Health::healthy);
  EXPECT_EQ(watch.next_probe_at_ms(6020), 11'020);
  EXPECT_EQ(probe(watch, 11'020, false), Health::unhealthy);
}

TEST(HealthWatch, AfterTheStartPeriodFailuresCount) {
  HealthWatch watch(check(5, 2, 12), 0);
  EXPECT_EQ(probe(watch, 11'999, false), std::nullopt);
  EXPECT_EQ(probe(watch, 12'999, false), std::nullopt);
  EXPECT_EQ(probe(watch, 17'999, false), Health::unhealthy);
}

TEST(HealthWatch, AClockThatIsSetBackPutsNothingOffForLong) {
  constexpr TimeMs kHour = 3'600'000;
  HealthWatch watch(check(30, 1, 60), 10 * kHour);
  EXPECT_EQ(probe(watch, 9 * kHour, false), std::nullopt);
  EXPECT_EQ(watch.next_probe_at_ms(9 * kHour), 9 * kHour + 1000);
  EXPECT_EQ(probe(watch, 9 * kHour + 60'000, false), Health::unhealthy)
      << "the start period is a minute, not an hour";
  EXPECT_EQ(watch.next_probe_at_ms(8 * kHour), 8 * kHour + 30'000);
}

}  // namespace
}  // namespace berth::agent
