#include "services/ec2/filters.h"

#include <gtest/gtest.h>

#include "base/limits.h"

namespace berth::services::ec2 {
namespace {

TEST(Filters, PatternsHaveStarsAndQuestionMarks) {
  EXPECT_TRUE(matches_pattern("*", ""));
  EXPECT_TRUE(matches_pattern("a*c?", "abbbcd"));
  EXPECT_TRUE(matches_pattern("*a*a*", "banana"));
  EXPECT_FALSE(matches_pattern("a?", "a"));
  EXPECT_FALSE(matches_pattern("", "a"));
  EXPECT_TRUE(matches_pattern(R"(a\*)", "a*"));
  EXPECT_FALSE(matches_pattern(R"(a\*)", "ab"));
  EXPECT_TRUE(matches_pattern(R"(*\?)", "what?"));
  EXPECT_TRUE(matches_pattern(R"(\\*)", R"(\x)"));
}

TEST(Filters, AllMustHoldAndValuesAreAlternatives) {
  const auto object =
      Filterable().with("vpc-id", std::string("vpc-1")).with("isDefault", true).with_tags({{"env", "prod"}});
  EXPECT_TRUE(object.matches({}));
  EXPECT_TRUE(object.matches({{"vpc-id", {"vpc-2", "vpc-1"}}, {"isDefault", {"true"}}, {"tag:env", {"pro*"}}}));
  EXPECT_FALSE(object.matches({{"vpc-id", {"vpc-1"}}, {"tag-key", {"other"}}}));
  EXPECT_FALSE(object.matches({{"state", {"available"}}}));
}

TEST(Filters, UnknownNamesAreRefused) {
  EXPECT_TRUE(check_filters({{"vpc-id", {}}, {"tag:x", {}}, {"tag-key", {}}}, {"vpc-id"}));
  EXPECT_EQ(check_filters({{"vpc-id", {"x"}}}, {"vpc-id"}).error(), (ApiError{"InvalidParameterValue", "vpc-id"}));
  EXPECT_TRUE(check_filters({{"vpc-id", {"*"}}}, {"vpc-id"}));
  const std::vector<std::string> many(limits::kEc2FilterValuesMax + 1, "x");
  EXPECT_EQ(check_filters({{"tag-key", many}}, {}).error().type, "FilterLimitExceeded");
  const auto refused = check_filters({{"colour", {}}}, {"vpc-id"});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), (ApiError{"InvalidParameterValue", "The filter 'colour' is invalid"}));
}

}  // namespace
}  // namespace berth::services::ec2
