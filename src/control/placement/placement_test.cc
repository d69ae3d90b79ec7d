#include "control/placement/placement.h"

#include <gtest/gtest.h>

#include <set>

namespace berth::control::placement {
namespace {

TEST(Placement, TheHostWithTheMostRoomIsChosen) {
  Prng random{1};
  EXPECT_EQ(choose_host({}, random), nullptr);
  const std::vector<HostRoom> hosts = {{"a", 1, {1000, 600}}, {"b", 1, {2000, 1500}}, {"c", 1, {500, 900}}};
  EXPECT_EQ(choose_host(hosts, random)->id, "b");
  EXPECT_EQ(choose_host({hosts[2]}, random)->id, "c") << "also where it is too little";
  std::set<std::string> seen;
  for (int i = 0; i < 50; ++i) seen.insert(choose_host({{"a", 1, {500, 0}}, {"b", 1, {500, 0}}}, random)->id);
  EXPECT_EQ(seen.size(), 2u) << "ties by chance";
}

TEST(Placement, ATaskIsOnOneHost) {
  EXPECT_EQ(tasks_that_fit({1200, 0, {600, 600}}, 512, 5), 2);
  EXPECT_EQ(tasks_that_fit({1200, 0, {600, 600}}, 700, 5), 0);
  EXPECT_EQ(tasks_that_fit({1200, 600, {600, 600}}, 512, 5), 1) << "one is asked for and not placed yet";
}

TEST(Placement, TasksThatFit) {
  struct Case {
    Room room;
    int64_t size, wanted, fit;
  };
  for (const Case& c :
       {Case{{1024, 0}, 512, 3, 2}, Case{{1024, 512}, 512, 3, 1}, Case{{1024, 1024}, 512, 1, 0},
        Case{{1024, 4096}, 512, 1, 0},  // started with less memory than before
        Case{{1024, 0}, 1025, 1, 0}, Case{{0, 0}, 0, 5, 5}, Case{{1024, 0}, 512, 0, 0}, Case{{1024, 0}, 512, -1, 0}})
    EXPECT_EQ(tasks_that_fit(c.room, c.size, c.wanted), c.fit);
}

TEST(Placement, TheLeastUsedSubnetAndTiesByChance) {
  Prng random(1);
  EXPECT_EQ(choose_subnet({}, random), nullptr);
  const std::vector<SubnetUse> one_is_empty{{"a", "za", 2}, {"b", "zb", 0}, {"c", "zc", 1}};
  EXPECT_EQ(choose_subnet(one_is_empty, random)->id, "b");
  const std::vector<SubnetUse> tie{{"a", "za", 1}, {"b", "zb", 1}, {"c", "zc", 1}};
  std::map<std::string, int> chosen;
  for (int i = 0; i < 3000; ++i) ++chosen[choose_subnet(tie, random)->id];
  for (const auto& [id, times] : chosen) EXPECT_NEAR(times, 1000, 150) << id;
  EXPECT_EQ(chosen.size(), 3u);
}

TEST(Placement, ZonesComeBeforeSubnets) {
  Prng random(1);
  struct Case {
    std::vector<SubnetUse> subnets;
    const char* chosen;
  };
  const Case cases[] = {
      {{{"a", "za", 9, 0}, {"b", "zb", 2, 1}}, "a"},                        // others' tasks do not count first
      {{{"a1", "za", 2, 2}, {"a2", "za", 0, 0}, {"b", "zb", 1, 1}}, "b"},   // the zone is fuller as a whole
      {{{"a1", "za", 1, 0}, {"a2", "za", 0, 0}, {"b", "zb", 2, 0}}, "a2"},  // and in it the emptier subnet
      {{{"a1", "za", 1, 1}, {"a2", "za", 0, 0}, {"b", "zb", 9, 1}}, "a2"},  // as many of the service: all count
  };
  for (const Case& c : cases) EXPECT_EQ(choose_subnet(c.subnets, random)->id, c.chosen);
}

TEST(Placement, StrategySplitsByBaseAndWeight) {
  struct Case {
    std::vector<records::StrategyItem> strategy;
    int64_t count;
    std::map<std::string, int> expected;
  };
  const Case cases[] = {
      {{{"FARGATE", 1, 1}, {"FARGATE_SPOT", 3, 0}}, 9, {{"FARGATE", 3}, {"FARGATE_SPOT", 6}}},  // AWS's example
      {{{"FARGATE", 1, 0}}, 4, {{"FARGATE", 4}}},
      {{{"FARGATE", 0, 2}, {"FARGATE_SPOT", 1, 0}}, 5, {{"FARGATE", 2}, {"FARGATE_SPOT", 3}}},
      {{{"FARGATE", 0, 2}}, 5, {{"FARGATE", 2}}},  // weight 0: nothing beyond its base
      {{{"FARGATE", 1, 0}, {"FARGATE_SPOT", 1, 0}}, 4, {{"FARGATE", 2}, {"FARGATE_SPOT", 2}}},
      {{}, 3, {}},
  };
  for (const Case& c : cases) {
    std::map<std::string, int> got;
    for (const std::string& provider : split(c.strategy, c.count)) ++got[provider];
    EXPECT_EQ(got, c.expected);
  }
}

}  // namespace
}  // namespace berth::control::placement
