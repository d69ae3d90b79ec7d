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

TEST(AwsFiles, ANameIsOneNameHoweverItIsWritten) {
  for (const char* header : {"[profile work] # mine", "[ profile  work ]", "[profile \"work\"]", "[profile\twork]"}) {
    const std::string text = std::string(header) + "\nregion = x\n";
    EXPECT_FALSE(with_section(text, "profile work", {})) << header;
    EXPECT_EQ(without_section(text, "profile work"), text) << header;
  }
  EXPECT_FALSE(with_section("[profile default]\n", "default", {})) << "the SDKs take it for [default]";
  EXPECT_TRUE(with_section("[profile works]\n[workshop]\n", "profile work", {}));
}

TEST(AwsFiles, WhatStandsAroundOurSectionAndWhatWasAddedToItStays) {
  const auto made = with_section("", "profile berth", {{"region", "a"}, {"output", "json"}});
  ASSERT_TRUE(made);
  const std::string text = *made + "cli_pager =\n\n# the account at work\n[profile work]\nregion = x\n";
  const auto again = with_section(text, "profile berth", {{"region", "b"}, {"output", "json"}});
  ASSERT_TRUE(again);
  EXPECT_EQ(member_of_section(*again, "profile berth", "region"), "b");
  EXPECT_NE(again->find("cli_pager =\n\n# the account at work\n[profile work]\n"), std::string::npos) << *again;
  EXPECT_EQ(*with_section(*again, "profile berth", {{"region", "b"}, {"output", "json"}}), *again);
  EXPECT_EQ(without_section(*again, "profile berth"), "\n# the account at work\n[profile work]\nregion = x\n");
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
