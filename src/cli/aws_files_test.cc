#include "cli/aws_files.h"

#include <gtest/gtest.h>

#include "cli/arguments.h"

namespace berth::cli {
namespace {

constexpr const char* kOwn = "[default]\nregion = eu-west-1\n\n# mine\n[profile work]\n  role_arn=x\n";

TEST(AwsFiles, AddingAndRemovingLeavesTheRestByteForByte) {
  const auto with = with_section(kOwn, "profile berth", {{"region", "us-east-1"}});
  ASSERT_TRUE(with);
  EXPECT_TRUE(with->starts_with(kOwn));
  EXPECT_EQ(member_of_section(*with, "profile berth", "region"), "us-east-1");
  EXPECT_EQ(without_section(*with, "profile berth"), kOwn);
}

TEST(AwsFiles, ASectionInTheMiddleIsReplacedInItsPlace) {
  const auto once = with_section("", "berth", {{"a", "1"}});
  const std::string text = *once + "[other]\nb = 2\n";
  const auto twice = with_section(text, "berth", {{"a", "3"}});
  ASSERT_TRUE(twice);
  EXPECT_EQ(member_of_section(*twice, "berth", "a"), "3");
  EXPECT_TRUE(twice->ends_with("[other]\nb = 2\n"));
  EXPECT_EQ(without_section(*twice, "berth"), "[other]\nb = 2\n");
}

TEST(AwsFiles, SomebodysOwnProfileIsNeverTouched) {
  EXPECT_FALSE(with_section(kOwn, "profile work", {{"region", "x"}}));
  EXPECT_EQ(without_section(kOwn, "profile work"), kOwn);
}

TEST(AwsFiles, ALastLineWithoutANewlineIsClosedFirst) {
  const auto with = with_section("[a]\nb = c", "d", {});
  ASSERT_TRUE(with);
  EXPECT_EQ(with->find("[a]\nb = c\n[d]\n"), 0u);
  EXPECT_EQ(without_section(*with, "d"), "[a]\nb = c") << "and opened again";
  const auto again = with_section(*with, "d", {{"x", "y"}});
  ASSERT_TRUE(again);
  EXPECT_EQ(without_section(*again, "d"), "[a]\nb = c") << "also after a second time";
  EXPECT_EQ(without_section(*with + "[e]\n", "d"), "[a]\nb = c\n[e]\n") << "but not where something came to follow";
}

TEST(Arguments, AreOptionsAndOperands) {
  const auto parsed = Arguments::parse({"image", "load", "--name=a:b", "-", "--", "--x"}, {{"name", true}});
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->value("name", ""), "a:b");
  EXPECT_EQ(parsed->operands(), (std::vector<std::string>{"load", "-", "--x"}));
  EXPECT_FALSE(Arguments::parse({"ps", "--nope"}, {}));
  EXPECT_FALSE(Arguments::parse({"ps", "--state"}, {{"state", true}}));
  EXPECT_FALSE(Arguments::parse({"ps", "--state="}, {{"state", true}}));
  EXPECT_FALSE(Arguments::parse({"ps", "--state", ""}, {{"state", true}}));
  EXPECT_FALSE(Arguments::parse({"ps", "--json=1"}, {{"json", false}}));
}

}  // namespace
}  // namespace berth::cli
