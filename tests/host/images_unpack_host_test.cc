// Layers, hostile ones among them, unpacked by the real berth-unpack.
#include <fcntl.h>
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "agent/images/program.h"
#include "agent/images/unpacker.h"
#include "base/fd.h"
#include "images_world.h"

namespace berth::images {
namespace {

using ::testing::HasSubstr;

TEST_F(ImagesHost, OwnersModesTimesAndCapabilitiesAreKept) {
  const std::string capability("\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 20);
  const std::string tar =
      Tar()
          .directory("d", 01777)
          .file("d/su", "s", 04755)
          .file("d/ping", "p", 0755,
                {{"security.capability", capability}, {"trusted.overlay.opaque", "y"}, {"user.k", "v"}})
          .hardlink("d/su2", "d/su")
          .symlink("d/link", "/absolute/target")
          .bytes();
  auto layer = unpack(tar);
  ASSERT_OK(layer);
  struct stat info {};
  ASSERT_EQ(::lstat((*layer + "/d/su").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 04755u);
  EXPECT_EQ(info.st_uid, 1234u);
  EXPECT_EQ(info.st_gid, 567u);
  EXPECT_EQ(info.st_mtime, 1'600'000'000);
  EXPECT_EQ(info.st_nlink, 2u);
  ASSERT_EQ(::lstat((*layer + "/d").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 01777u);
  EXPECT_EQ(info.st_mtime, 1'600'000'000) << "after its files were written";
  EXPECT_EQ(fs::read_symlink(*layer + "/d/link"), "/absolute/target");
  char value[64];
  EXPECT_EQ(::getxattr((*layer + "/d/ping").c_str(), "security.capability", value, sizeof value), 20);
  EXPECT_EQ(::getxattr((*layer + "/d/ping").c_str(), "user.k", value, sizeof value), 1);
  EXPECT_EQ(::getxattr((*layer + "/d/ping").c_str(), "trusted.overlay.opaque", value, sizeof value), -1);
}

TEST_F(ImagesHost, WhiteoutsHideInARealOverlay) {
  auto lower = unpack(Tar().file("a/hidden", "1").file("a/seen", "1").file("b/old", "1").file("c/old", "1").bytes());
  auto upper = unpack(Tar()
                          .file("a/.wh.hidden", "")
                          .file("b/.wh..wh..opq", "")
                          .file("b/new", "2")
                          .file(".wh.c", "")  // and then again a directory of that name
                          .file("c/new", "2")
                          .file("a/.wh.own", "")
                          .file("a/own", "2")
                          .file("a/.wh..wh.plnk", "")
                          .bytes());
  ASSERT_OK(lower);
  ASSERT_OK(upper);
  struct stat info {};
  ASSERT_EQ(::lstat((*upper + "/a/hidden").c_str(), &info), 0);
  EXPECT_TRUE(S_ISCHR(info.st_mode) && info.st_rdev == makedev(0, 0));
  fs::create_directory(directory_ + "/merged");
  std::set<std::string> seen;
  std::thread([&] {
    ASSERT_EQ(::unshare(CLONE_NEWNS), 0);
    ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    const std::string lowers = "lowerdir=" + *upper + ":" + *lower;
    ASSERT_EQ(::mount("overlay", (directory_ + "/merged").c_str(), "overlay", MS_RDONLY, lowers.c_str()), 0) << errno;
    for (const auto& entry : fs::recursive_directory_iterator(directory_ + "/merged")) {
      if (!entry.is_directory()) seen.insert(fs::relative(entry.path(), directory_ + "/merged"));
    }
  }).join();
  EXPECT_THAT(seen, ::testing::ElementsAre("a/own", "a/seen", "b/new", "c/new"));
}

TEST_F(ImagesHost, AnAbsolutePathIsTheLayersOwn) {
  auto layer = unpack(Tar().file("/abs/./x//y", "1").directory("./").bytes());
  ASSERT_OK(layer);
  EXPECT_EQ(text(*layer + "/abs/x/y"), "1");
}

TEST_F(ImagesHost, OfTwoEntriesOfOneNameTheLaterCounts) {
  auto layer = unpack(Tar()
                          .directory("lib")
                          .file("lib/deep/er", "gone")
                          .symlink("lib", "usr/lib")
                          .directory("usr/lib")
                          .file("file", "gone")
                          .directory("file")
                          .file("file/in", "1")
                          .directory("was")
                          .file("was", "2")
                          .bytes());
  ASSERT_OK(layer);
  EXPECT_EQ(fs::read_symlink(*layer + "/lib"), "usr/lib");
  EXPECT_TRUE(fs::is_empty(*layer + "/usr/lib")) << "what replaced a directory is not gone through";
  EXPECT_EQ(text(*layer + "/file/in"), "1");
  EXPECT_EQ(text(*layer + "/was"), "2");
}

TEST_F(ImagesHost, ADirectoryThatALayerOnlyImpliesKeepsItsOwnerAndMode) {
  const std::string base = Tar().directory("tmp", 01777).directory("home", 0711).directory("home/u", 0700).bytes();
  const std::string top =
      Tar().file("tmp/f", "1").file("home/u/f", "1").file("new/f", "1").file("x/f", "1").directory("x", 0750).bytes();
  auto images = store();
  ASSERT_OK(images->load("oci:" + oci("image", {base, top}) + ":t", "appended"));
  auto layers = images->resolve("appended")->layers;
  ASSERT_EQ(layers.size(), 3u);
  const auto looks = [](const std::string& path) {
    struct stat info {};
    EXPECT_EQ(::lstat(path.c_str(), &info), 0) << path;
    return fmt::format("{} {:o}", info.st_uid, info.st_mode & 07777);
  };
  EXPECT_EQ(looks(layers[0] + "/tmp"), "1234 1777");
  EXPECT_EQ(looks(layers[0] + "/home"), "1234 711");
  EXPECT_EQ(looks(layers[0] + "/home/u"), "1234 700");
  EXPECT_EQ(files_in(layers[0]), 2u);
  EXPECT_EQ(looks(layers[1] + "/x"), "1234 750");
  images = store();
  EXPECT_EQ(images->resolve("appended")->layers, layers);
  ASSERT_OK(images->load("oci:" + oci("whole", {base, Tar().directory("tmp", 01777).file("tmp/f", "1").bytes()}) + ":t",
                         "whole"));
  EXPECT_EQ(images->resolve("whole")->layers.size(), 2u) << "it says itself what its directories look like";
  ASSERT_OK(images->remove("appended"));
  EXPECT_FALSE(fs::exists(layers[0]));
}

TEST_F(ImagesHost, ALayerMayBeNothing) { ASSERT_OK(unpack("")); }

TEST_F(ImagesHost, NoNameAndNoLinkLeadsOutOfALayer) {
  const std::string victim = put("victim", "untouched");
  const std::string outside = directory_ + "/outside";
  fs::create_directory(outside);
  const std::pair<const char*, std::string> hostile[] = {
      {"climbing path", Tar().file("../evil", "x").bytes()},
      {"climbing in the middle", Tar().file("a/../../evil", "x").bytes()},
      {"climbing hard link", Tar().hardlink("mine", "../../victim").bytes()},
      {"absolute hard link", Tar().hardlink("mine", victim).bytes()},
      {"through an absolute link", Tar().symlink("a", outside).file("a/evil", "x").bytes()},
      {"through a climbing link", Tar().symlink("a", "../../../../../../../.." + outside).file("a/evil", "x").bytes()},
      {"link, then file over it", Tar().symlink("f", victim).file("f", "x").bytes()},
      {"hard link to a link", Tar().symlink("l", victim).hardlink("m", "l").file("m", "x").bytes()},
      {"whiteout of the parent", Tar().file("a/.wh...", "").bytes()},
      {"whiteout of nothing", Tar().file("a/.wh.", "").bytes()},
      {"directory and file", Tar().directory("d").file("d/x", "1").file("d", "x").bytes()},
      {"long name", Tar().file(std::string(300, 'n'), "x").bytes()},
      {"root as a file", Tar().file("./", "x").bytes()},
  };
  for (const auto& [what, tar] : hostile) {
    const auto layer = unpack(tar);
    EXPECT_EQ(text(victim), "untouched") << what;
    EXPECT_TRUE(fs::is_empty(outside)) << what;
    EXPECT_FALSE(fs::exists(directory_ + "/evil") || fs::exists(layers() + "/evil")) << what;
    for (const auto& entry : fs::directory_iterator(layers())) {
      EXPECT_NE(entry.path().filename().string()[0], '.') << what << " left " << entry.path();
    }
  }
  EXPECT_FALSE(unpack(hostile[0].second));
  EXPECT_FALSE(unpack(hostile[2].second));
  EXPECT_FALSE(unpack(hostile[4].second));
  auto replaced = unpack(hostile[6].second);
  ASSERT_OK(replaced);
  EXPECT_TRUE(fs::is_regular_file(fs::symlink_status(*replaced + "/f")))
      << "a file takes a link's place, it does not follow it";
}

TEST_F(ImagesHost, DevicesAreLeftOut) {
  auto layer = unpack(Tar()
                          .device("dev/sda", AE_IFBLK, makedev(8, 0))
                          .device("dev/null", AE_IFCHR, makedev(1, 3))
                          .device("smuggled-whiteout", AE_IFCHR, makedev(0, 0))
                          .file("kept", "1")
                          .bytes());
  ASSERT_OK(layer);
  EXPECT_FALSE(fs::exists(fs::symlink_status(*layer + "/dev/sda")));
  EXPECT_FALSE(fs::exists(fs::symlink_status(*layer + "/dev/null")));
  EXPECT_FALSE(fs::exists(fs::symlink_status(*layer + "/smuggled-whiteout")));
  EXPECT_EQ(text(*layer + "/kept"), "1");
}

TEST_F(ImagesHost, ABombEndsAtTheLimit) {
  // 64 MiB of zeros in some kilobytes.
  const std::string tar = Tar().file("zeros", std::string(64 << 20, '\0')).bytes();
  const std::string plain = put("bomb.tar", tar);
  ASSERT_EQ(run_program({.argv = {"gzip", "-k", plain}})->status, 0);
  fs::create_directory(directory_ + "/target");
  const Fd target(::open((directory_ + "/target").c_str(), O_RDONLY | O_DIRECTORY));
  const Fd blob(::open((plain + ".gz").c_str(), O_RDONLY));
  auto ran =
      run_program({.argv = {program(), sha256(tar), "1048576"}, .stdin_fd = blob.get(), .inherited_fd = target.get()});
  ASSERT_OK(ran);
  EXPECT_EQ(ran->status, 1);
  EXPECT_THAT(ran->errors, HasSubstr("larger than"));
  struct stat info {};
  if (::stat((directory_ + "/target/zeros").c_str(), &info) == 0) {
    EXPECT_LE(info.st_blocks * 512, 2 << 20);
  }
}

TEST_F(ImagesHost, CompressedLayersAreReadAndDamagedOnesRefused) {
  const std::string tar = Tar().file("f", std::string(100'000, 'x')).bytes();
  const Unpacker unpacker(layers(), program());
  for (const auto& [tool, suffix] : {std::pair("gzip", ".gz"), std::pair("zstd", ".zst")}) {
    const std::string plain = put(std::string("l") + suffix + ".tar", tar);
    auto compressed = run_program({.argv = {tool, "-q", plain, "-k"}});
    if (!compressed) continue;  // zstd the program is not everywhere; the library is what is tested
    fs::remove_all(unpacker.directory(sha256(tar)));
    ASSERT_OK(unpacker.unpack(sha256(tar), plain + suffix));
    EXPECT_EQ(text(unpacker.directory(sha256(tar)) + "/f").size(), 100'000u);
    fs::remove_all(unpacker.directory(sha256(tar)));
    fs::resize_file(plain + suffix, fs::file_size(plain + suffix) - 20);
    EXPECT_FALSE(unpacker.unpack(sha256(tar), plain + suffix)) << suffix << " cut short";
  }
  const std::string other = "sha256:" + std::string(64, '1');
  const auto lie = unpacker.unpack(other, put("lie.tar", tar));
  ASSERT_FALSE(lie);
  EXPECT_THAT(lie.error().context, HasSubstr("not " + other));
  EXPECT_FALSE(unpacker.unpack(other, put("nothing.tar", "")));
  EXPECT_FALSE(unpack("this is no archive"));
  EXPECT_EQ(files_in(layers()), 0u);
}

TEST_F(ImagesHost, AnArchiveMayEndWithItsLastFile) {
  const std::string whole = Tar().file("first", "1").file("last", "the end").bytes();
  const size_t end = whole.find("the end") + 7;
  const auto layer = unpack(whole.substr(0, end));
  ASSERT_OK(layer);
  EXPECT_EQ(text(*layer + "/last"), "the end");
  EXPECT_FALSE(unpack(whole.substr(0, 1536))) << "but not without its content";
}

TEST_F(ImagesHost, TheUnpackerIsConfined) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the sanitizers make system calls of their own: that build limits none";
#endif
  // The rules, read from the kernel while a layer is being read from a pipe that nobody fills.
  int pipe_fds[2];
  ASSERT_EQ(::pipe2(pipe_fds, O_CLOEXEC), 0);
  Fd reader(pipe_fds[0]), writer(pipe_fds[1]);
  fs::create_directory(directory_ + "/target");
  const Fd target(::open((directory_ + "/target").c_str(), O_RDONLY | O_DIRECTORY));
  const std::string start = Tar().file("f", std::string(100, 'x')).bytes().substr(0, 600);
  std::thread run([&] {
    (void)run_program({.argv = {program(), "sha256:0"}, .stdin_fd = reader.get(), .inherited_fd = target.get()});
  });
  ASSERT_EQ(::write(writer.get(), start.data(), start.size()), 600);
  std::string status;
  for (int tries = 0; tries < 500 && status.find("Seccomp:\t2") == status.npos; ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    for (const auto& entry : fs::directory_iterator("/proc")) {
      const std::string seen = text(entry.path().string() + "/status");
      if (seen.starts_with("Name:\tberth-unpack") && seen.find(fmt::format("PPid:\t{}\n", ::getpid())) != seen.npos) {
        status = seen;
        std::error_code error;
        EXPECT_TRUE(status.find("Seccomp:\t2") == status.npos ||
                    fs::read_symlink(entry.path() / "root", error) == directory_ + "/target");
      }
    }
  }
  EXPECT_THAT(status, HasSubstr("Seccomp:\t2"));
  EXPECT_THAT(status, HasSubstr("NoNewPrivs:\t1"));
  EXPECT_THAT(status, HasSubstr("CapEff:\t000000008820001b"));
  writer.reset();
  run.join();
}

}  // namespace
}  // namespace berth::images
