#include "agent/observe/health_watch.h"

#include <gtest/gtest.h>

namespace berth::agent {
namespace {

using records::Health;

records::HealthCheck check(int interval, int retries, int start_period) {
  return {{"CMD", "true"}, interval, 5, retries, start_period};
}

TEST(HealthWatch, ProbesAtOnceAndThenByInterval) {
  HealthWatch watch(check(30, 3, 0), 1000);
  EXPECT_EQ(watch.next_probe_at_ms(1000), 1000);
  watch.probe_begun();
  EXPECT_EQ(watch.next_probe_at_ms(1000), std::nullopt);
  EXPECT_EQ(watch.probed(true, 1100), Health::healthy);
  EXPECT_EQ(watch.next_probe_at_ms(1100), 31'100);
}

TEST(HealthWatch, RetriesInARowMakeItUnhealthyAndOneSuccessHealthy) {
  HealthWatch watch(check(10, 2, 0), 0);
  EXPECT_EQ(watch.probed(false, 1), std::nullopt);
  EXPECT_EQ(watch.probed(true, 2), Health::healthy);
  EXPECT_EQ(watch.probed(false, 3), std::nullopt);
  EXPECT_EQ(watch.probed(false, 4), Health::unhealthy);
  EXPECT_EQ(watch.probed(false, 5), std::nullopt);
  EXPECT_EQ(watch.probed(true, 6), Health::healthy);
}

TEST(HealthWatch, TheStartPeriodForgivesProbesEverySecondAndEndsWithTheFirstSuccess) {
  HealthWatch watch(check(30, 1, 60), 0);
  EXPECT_EQ(watch.probed(false, 10), std::nullopt);
  EXPECT_EQ(watch.next_probe_at_ms(10), 1010);
  EXPECT_EQ(watch.probed(true, 1020), Health::healthy);
  EXPECT_EQ(watch.next_probe_at_ms(1020), 31'020);
  EXPECT_EQ(watch.probed(false, 31'020), Health::unhealthy);
}

TEST(HealthWatch, AfterTheStartPeriodFailuresCount) {
  HealthWatch watch(check(5, 2, 2), 0);
  EXPECT_EQ(watch.probed(false, 1999), std::nullopt);
  EXPECT_EQ(watch.probed(false, 2999), std::nullopt);
  EXPECT_EQ(watch.probed(false, 7999), Health::unhealthy);
}

TEST(HealthWatch, AClockThatIsSetBackPutsNothingOffForLong) {
  constexpr TimeMs kHour = 3'600'000;
  HealthWatch watch(check(30, 1, 60), 10 * kHour);
  EXPECT_EQ(watch.probed(false, 9 * kHour), std::nullopt);
  EXPECT_EQ(watch.next_probe_at_ms(9 * kHour), 9 * kHour + 1000);
  EXPECT_EQ(watch.probed(false, 9 * kHour + 60'000), Health::unhealthy) << "the start period is a minute, not an hour";
  EXPECT_EQ(watch.next_probe_at_ms(8 * kHour), 8 * kHour + 30'000);
}

}  // namespace
}  // namespace berth::agent
