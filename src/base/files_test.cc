#include "base/files.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>

namespace berth {
namespace {

class Files : public ::testing::Test {
 protected:
  void SetUp() override {
    char made[] = "/tmp/berth-files-test-XXXXXX";
    ASSERT_NE(::mkdtemp(made), nullptr);
    directory_ = made;
    path_ = directory_ + "/file";
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  mode_t mode() const {
    struct stat about {};
    return ::stat(path_.c_str(), &about) == 0 ? about.st_mode & 07777 : 0;
  }

  std::string directory_, path_;
};

TEST_F(Files, AreReplacedWhole) {
  for (const Durable durable : {Durable::no, Durable::yes})
    for (const std::string text : {"a longer text", "short", ""}) {
      ASSERT_TRUE(replace_file(path_, text, durable));
      EXPECT_EQ(read_file(path_, 100).value_or("nothing"), text);
      EXPECT_EQ(mode(), 0600u);
    }
  ASSERT_TRUE(replace_file(path_, "public", Durable::no, 0644));
  EXPECT_EQ(mode(), 0644u);
  EXPECT_FALSE(std::filesystem::exists(path_ + ".new"));
}

TEST_F(Files, WhatACrashLeftAsideNeitherHindersNorLendsItsMode) {
  ASSERT_EQ(::close(::open((path_ + ".new").c_str(), O_CREAT | O_WRONLY, 0666)), 0);
  ASSERT_TRUE(replace_file(path_, "secret", Durable::yes));
  EXPECT_EQ(mode(), 0600u);
}

// A disk that fills up takes a part of the text and says nothing yet.
TEST_F(Files, AFullDiskIsToldAsSuchAndLeavesTheFileAsItWas) {
  ASSERT_TRUE(replace_file(path_, "before", Durable::no));
  rlimit unlimited{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &unlimited), 0);
  const rlimit small{4096, unlimited.rlim_max};
  const auto was = std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto written = replace_file(path_, std::string(10'000, 'x'), Durable::no);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &unlimited), 0);
  std::signal(SIGXFSZ, was);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().errno_value, EFBIG);
  EXPECT_EQ(read_file(path_, 100).value_or("nothing"), "before");
  EXPECT_FALSE(std::filesystem::exists(path_ + ".new"));
}

TEST_F(Files, AreReadUpToABound) {
  ASSERT_TRUE(replace_file(path_, std::string(5000, 'x'), Durable::no));
  EXPECT_EQ(read_file(path_, 5000)->size(), 5000u);
  EXPECT_EQ(read_file(path_, 4999).error().errno_value, EFBIG);
  EXPECT_EQ(read_file(directory_ + "/none", 10).error().errno_value, ENOENT);
  std::filesystem::create_symlink(path_, directory_ + "/link");
  EXPECT_EQ(read_file(directory_ + "/link", 5000)->size(), 5000u);
  EXPECT_EQ(read_file(directory_ + "/link", 5000, O_NOFOLLOW).error().errno_value, ELOOP);
}

}  // namespace
}  // namespace berth
