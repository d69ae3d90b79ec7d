// What needs no rights; packets and namespaces are in tests/host/network_host_test.cc.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>

#include "agent/network/doctor.h"
#include "agent/network/file_watch.h"
#include "agent/network/instance.h"
#include "agent/network/netlink.h"
#include "agent/network/serial_thread.h"
#include "agent/network/vpc.h"
#include "base/files.h"
#include "dataplane/names.h"

namespace berth::network {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

class Directory {
 public:
  Directory() {
    char path[] = "/tmp/berth-network-unit-XXXXXX";
    path_ = ::mkdtemp(path);
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  std::string make(const std::string& name) const {
    std::filesystem::create_directories(path_ + "/" + name);
    return path_ + "/" + name;
  }

 private:
  std::string path_;
};

class Watched {
 public:
  explicit Watched(const std::string& path) : watch_({path}, [this, path] { look(path); }) {}
  // What the watch found in the file when it last called back; waits for that.
  bool becomes(const std::string& text) {
    std::unique_lock lock(mutex_);
    return condition_.wait_for(lock, std::chrono::seconds(10), [&] { return text_ == text; });
  }

 private:
  void look(const std::string& path) {
    std::ifstream in(path);
    const std::lock_guard lock(mutex_);
    text_.assign(std::istreambuf_iterator<char>(in), {});
    condition_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable condition_;
  std::string text_;
  FileWatch watch_;  // last: ends before what it calls
};

TEST(FileWatch, SeesFilesInDirectoriesThatComeAndGo) {
  const Directory directory;
  const std::string base = directory.make("run"), path = base + "/systemd/resolve/resolv.conf";
  Watched watched(path);
  for (const char* round : {"one", "two"}) {
    std::filesystem::create_directories(base + "/systemd/resolve");
    std::ofstream(path) << round;
    EXPECT_TRUE(watched.becomes(round));
    std::filesystem::remove_all(base + "/systemd");
    EXPECT_TRUE(watched.becomes(""));
  }
}

TEST(FileWatch, FollowsALinkThatIsTurned) {
  const Directory directory;
  const std::string etc = directory.make("etc"), first = directory.make("first"), second = directory.make("second");
  std::ofstream(first + "/a") << "a";
  std::ofstream(second + "/b") << "b";
  std::filesystem::create_symlink(first + "/a", etc + "/resolv.conf");
  Watched watched(etc + "/resolv.conf");
  std::ofstream(first + "/a") << "a again";
  EXPECT_TRUE(watched.becomes("a again"));
  std::filesystem::create_symlink(second + "/b", etc + "/new");
  std::filesystem::rename(etc + "/new", etc + "/resolv.conf");
  EXPECT_TRUE(watched.becomes("b"));
  std::ofstream(second + "/b") << "b again";
  EXPECT_TRUE(watched.becomes("b again"));
}

TEST(Instance, IsNamedByItsStateDirectoryForEver) {
  const Directory directory;
  const std::string a = directory.make("a");
  const auto first = instance_of(a);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->name.size(), 6u);
  EXPECT_EQ(instance_of(a + "/../a")->name, first->name);
  EXPECT_NE(instance_of(directory.make("b"))->name, first->name);
  // A copy elsewhere, and a new one at the same place, are others.
  std::filesystem::copy(a, directory.make("copy"), std::filesystem::copy_options::recursive);
  EXPECT_NE(instance_of(directory.make("copy"))->name, first->name);
  std::filesystem::remove_all(a);
  EXPECT_NE(instance_of(directory.make("a"))->name, first->name);
  EXPECT_FALSE(instance_of("/does/not/exist"));
}

TEST(Instance, GivesLinksNamesThatTheKernelTakes) {
  const Instance instance{"0a1b2c", kRunRoot};
  EXPECT_EQ(instance.vpc_link("vpc-0123456789abcdef0").size(), 15u);
  EXPECT_NE(instance.vpc_link("vpc-1"), instance.vpc_link("vpc-2"));
  EXPECT_EQ(dataplane::task_link(std::string(32, 'f')).size(), 15u);
  // Ids that share their beginning are told apart.
  EXPECT_NE(dataplane::task_link("00000000000000000000000000000001"), dataplane::task_link("00000000000000000000000000000002"));
}

TEST(Instance, TakesOnlyIdsThatAreFileNames) {
  for (const char* id : {"vpc-0a", "0123456789abcdef0123456789abcdef"}) EXPECT_TRUE(fit_for_name(id));
  for (const std::string& id : {std::string(""), std::string("."), std::string("a/b"), std::string("../x"),
                                std::string(65, 'a'), std::string("a b"), std::string("a\0", 2)}) {
    EXPECT_FALSE(fit_for_name(id)) << id;
  }
}

TEST(LockFile, ExcludesAndIsSeenWithoutBeingTaken) {
  const Directory directory;
  const std::string path = directory.make("d") + "/lock";
  EXPECT_FALSE(locked(path));
  auto held = lock_file(path, false);
  ASSERT_TRUE(held);
  EXPECT_TRUE(locked(path));
  EXPECT_FALSE(lock_file(path, false));
  held->reset();
  EXPECT_FALSE(locked(path));
}

TEST(SerialThread, RunsOneJobAtATimeAndAnswersEach) {
  SerialThread thread("test");
  std::atomic<int> inside = 0, most = 0;
  std::vector<std::thread> callers;
  for (int i = 0; i < 8; ++i) {
    callers.emplace_back([&, i] {
      for (int n = 0; n < 100; ++n) {
        EXPECT_EQ(thread.run([&] {
          most = std::max(most.load(), ++inside);
          --inside;
          return i * 1000 + n;
        }),
                  i * 1000 + n);
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(most, 1);
}

TEST(Netlink, AttributesStopAtDamage) {
  // Length 3 is less than a header; length 200 is beyond the end.
  for (const std::string& damaged :
       {std::string("\x03\x00\x01\x00", 4), std::string("\xc8\x00\x01\x00zz", 6), std::string("\x08")}) {
    int seen = 0;
    Attributes::each(damaged, [&](uint16_t, std::string_view) { ++seen; });
    EXPECT_EQ(seen, 0);
    EXPECT_EQ(Attributes(damaged.data(), damaged.size()).u32(1), 0u);
  }
}

TEST(Doctor, NamesTheFirewallThatDropsForwardedPackets) {
  EXPECT_TRUE(blocking_firewalls("", "", "be123456v").empty());
  EXPECT_TRUE(
      blocking_firewalls(
          "table ip filter {\n\tchain FORWARD {\n\t\ttype filter hook forward priority filter; policy accept;\n",
          "*filter\n:FORWARD ACCEPT [0:0]\n", "be123456v")
          .empty());
  // Our own chains refuse by rules.
  EXPECT_TRUE(
      blocking_firewalls(
          "table ip berth_123456 {\n\tchain forward {\n\t\ttype filter hook forward priority -5; policy drop;\n", "",
          "be")
          .empty());
  const auto docker = blocking_firewalls(
      "table ip filter {\n\tchain DOCKER-USER {\n\t}\n\tchain FORWARD {\n\t\ttype filter hook forward priority filter; policy drop;\n",
      "", "be123456v");
  ASSERT_EQ(docker.size(), 1u);
  EXPECT_EQ(docker[0].name, "Docker");
  EXPECT_THAT(docker[0].remedy, HasSubstr("iptables -I DOCKER-USER -i be123456v+ -j ACCEPT"));
  EXPECT_EQ(blocking_firewalls("", ":FORWARD DROP [0:0]\n:ufw-before-forward - [0:0]\n", "be1v")[0].name, "ufw");
  EXPECT_EQ(
      blocking_firewalls(
          "table inet firewalld {\n\tchain filter_FORWARD {\n\t\ttype filter hook forward priority filter + 10; policy accept;\n",
          "", "be1v")[0]
          .name,
      "firewalld");
  EXPECT_EQ(blocking_firewalls("", "*filter\n:FORWARD DROP [0:0]\n", "be1v")[0].name,
            "the FORWARD chain of iptables-legacy");
}

TEST(Instance, KnowsWhatCouldBeItsName) {
  EXPECT_TRUE(is_instance_name("00ff9a"));
  for (const char* name : {"", "00ff9", "00ff9a0", "00FF9A", "backup", "00ff9a/x"})
    EXPECT_FALSE(is_instance_name(name)) << name;
}

TEST(Doctor, ExplainsWhyNamesDoNotResolve) {
  const Directory directory;
  const std::string path = directory.make("d") + "/resolv.conf";
  const auto name_servers = [&](const std::string& text) {
    EXPECT_TRUE(replace_file(path, text, Durable::no));
    Check found;
    for (const Check& check : check_network({directory.make("run"), "", {path}})) {
      EXPECT_FALSE(check.purpose.empty()) << check.name;
      EXPECT_FALSE(check.finding.empty()) << check.name;
      EXPECT_EQ(check.remedy.empty(), check.health == Health::ok) << check.name;
      if (check.name == "name servers") found = check;
    }
    return std::pair{found.health, found.finding};
  };
  EXPECT_THAT(name_servers("nameserver 127.0.0.53\n"), Pair(Health::warn, HasSubstr("systemd-resolved")));
  EXPECT_THAT(name_servers("nameserver fd00::1\n"), Pair(Health::warn, HasSubstr("IPv6")));
  EXPECT_THAT(name_servers(""), Pair(Health::warn, HasSubstr("no name server")));
  EXPECT_THAT(name_servers("nameserver 127.0.0.1\n"), Pair(Health::ok, HasSubstr("loopback")));
  EXPECT_THAT(name_servers("nameserver 10.0.0.1\nnameserver 10.0.0.2\n"), Pair(Health::ok, "10.0.0.1, 10.0.0.2"));
}

}  // namespace
}  // namespace berth::network
