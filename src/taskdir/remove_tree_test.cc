#include "taskdir/remove_tree.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "base/fd.h"

namespace berth::taskdir {
namespace {

namespace fs = std::filesystem;

class RemoveTree : public testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/berth-remove-tree-XXXXXX";
    ASSERT_NE(mkdtemp(path), nullptr);
    directory_ = path;
    fs::create_directory(directory_ + "/tree");
  }
  void TearDown() override { fs::remove_all(directory_); }
  bool removed() const { return !fs::exists(fs::symlink_status(directory_ + "/tree")); }

  std::string directory_;
};

TEST_F(RemoveTree, FollowsNoLinkAndMissesNoFile) {
  fs::create_directories(directory_ + "/tree/a/b");
  fs::create_directories(directory_ + "/tree/empty");
  for (const char* name : {"/tree/file", "/tree/a/.hidden", "/tree/a/b/c", "/kept"})
    std::ofstream(directory_ + name) << "x";
  fs::create_directory_symlink(directory_, directory_ + "/tree/a/up");
  remove_tree(AT_FDCWD, (directory_ + "/tree").c_str());
  EXPECT_TRUE(removed());
  EXPECT_TRUE(fs::exists(directory_ + "/kept"));
  remove_tree(AT_FDCWD, (directory_ + "/tree").c_str());  // it is no error that nothing is there
  fs::create_directory_symlink(directory_, directory_ + "/tree");
  remove_tree(AT_FDCWD, (directory_ + "/tree").c_str());
  EXPECT_TRUE(fs::exists(directory_ + "/kept"));
  fs::remove(directory_ + "/tree");
}

TEST_F(RemoveTree, NeedsFewDescriptorsHoweverDeepItIs) {
  constexpr int kDepth = 1000;
  std::ofstream(directory_ + "/tree/.deep.0") << "a name that it would have given itself";
  fs::create_directories(directory_ + "/tree/.deep.1/inside");
  Fd at(open((directory_ + "/tree").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (int i = 0; i < kDepth; ++i) {
    ASSERT_EQ(mkdirat(at.get(), "d", 0755), 0);
    ASSERT_EQ(mkdirat(at.get(), "beside", 0755), 0);
    const Fd file(openat(at.get(), "f", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    at.reset(openat(at.get(), "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    ASSERT_TRUE(at) << errno;
  }
  at.reset();
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit few = before;
  few.rlim_cur = 64;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  remove_tree(AT_FDCWD, (directory_ + "/tree").c_str());
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_TRUE(removed());
}

}  // namespace
}  // namespace berth::taskdir
