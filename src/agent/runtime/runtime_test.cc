#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "agent/runtime/oci_config.h"
#include "agent/runtime/probe.h"
#include "agent/runtime/sealed_program.h"
#include "agent/runtime/seccomp.h"
#include "agent/runtime/seccomp_rules.h"
#include "agent/runtime/users.h"
#include "base/fd.h"
#include "base/json.h"

namespace berth::runtime {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Not;

std::vector<std::string> strings(const json::Value& value) {
  std::vector<std::string> out;
  for (const json::Value& one : value.array_or_empty()) out.push_back(one.string_or(""));
  return out;
}

json::Value config_of(const ContainerSpec& spec) {
  const auto text = oci_config(spec);
  EXPECT_TRUE(text) << text.error().context;
  auto value = json::parse(*text);
  EXPECT_TRUE(value) << value.error().context;
  return *value;
}

ContainerSpec sample() {
  ContainerSpec spec;
  spec.image.entry_point = {"/entry"};
  spec.image.command = {"default"};
  spec.image.environment = {"A=1", "PATH=/opt/bin"};
  return spec;
}

TEST(OciConfig, CommandAndEntryPointAsDocker) {
  ContainerSpec spec = sample();
  EXPECT_THAT(strings(config_of(spec)["process"]["args"]), ElementsAre("/entry", "default"));
  spec.command = {"mine"};
  EXPECT_THAT(strings(config_of(spec)["process"]["args"]), ElementsAre("/entry", "mine"));
  spec.entry_point = {"/other"};
  EXPECT_THAT(strings(config_of(spec)["process"]["args"]), ElementsAre("/other", "mine"));
  spec.command.reset();
  EXPECT_THAT(strings(config_of(spec)["process"]["args"]), ElementsAre("/other"));
  spec.init_process = true;
  EXPECT_THAT(strings(config_of(spec)["process"]["args"]), ElementsAre("/dev/init", "init", "--", "/other"));
  spec.entry_point = {""};
  EXPECT_EQ(oci_config(spec).error().context, "No command specified") << "the image's own is taken away";
}

TEST(OciConfig, EmptyListsLeaveTheImagesCommandAlone) {
  ContainerSpec spec = sample();
  spec.entry_point.emplace();
  spec.command.emplace();
  EXPECT_THAT(strings(config_of(spec)["process"]["args"]), ElementsAre("/entry", "default"));
  spec.command = {"mine"};
  EXPECT_THAT(strings(config_of(spec)["process"]["args"]), ElementsAre("/entry", "mine"));
  spec.entry_point = {""};
  EXPECT_THAT(strings(config_of(spec)["process"]["args"]), ElementsAre("mine"));
  spec.entry_point = {"/other"};
  spec.command.emplace();
  EXPECT_THAT(strings(config_of(spec)["process"]["args"]), ElementsAre("/other"));
}

TEST(OciConfig, TheLastOfANameCountsInTheEnvironment) {
  ContainerSpec spec = sample();
  spec.hostname = "h";
  spec.user.home = "/home/a";
  spec.environment = {{"A", "2"}, {"B", "x=y"}, {"A", "3"}};
  EXPECT_THAT(strings(config_of(spec)["process"]["env"]),
              ElementsAre("PATH=/opt/bin", "HOSTNAME=h", "HOME=/home/a", "A=3", "B=x=y"));
}

TEST(OciConfig, AnotherUserThanRootBeginsWithoutCapabilities) {
  ContainerSpec spec = sample();
  EXPECT_EQ(strings(config_of(spec)["process"]["capabilities"]["effective"]).size(), 14u);
  spec.user.uid = 1000;
  EXPECT_EQ(config_of(spec)["process"]["capabilities"].find("effective"), nullptr);
  EXPECT_EQ(strings(config_of(spec)["process"]["capabilities"]["bounding"]).size(), 14u);
}

TEST(OciConfig, OpenFilesAreFargatesDefaultWithinWhatTheHostAllows) {
  ContainerSpec spec = sample();
  EXPECT_EQ(config_of(spec)["process"]["rlimits"].array_or_empty()[0]["hard"].int_or(0), 65535);
  spec.open_files_max = 20'000;
  EXPECT_EQ(config_of(spec)["process"]["rlimits"].array_or_empty()[0]["soft"].int_or(0), 20'000);
  spec.resource_limits = {{"nofile", 100, 200}, {"memlock", -1, -1}};
  EXPECT_EQ(config_of(spec)["process"]["rlimits"].array_or_empty()[0]["soft"].int_or(0), 100);
  EXPECT_EQ(config_of(spec)["process"]["rlimits"].array_or_empty()[1]["type"].string_or(""), "RLIMIT_MEMLOCK");
  spec.resource_limits = {{"nofile", -1, -1}};
  EXPECT_EQ(config_of(spec)["process"]["rlimits"].array_or_empty()[0]["soft"].int_or(0), 20'000) << "-1: unlimited";
  EXPECT_EQ(config_of(spec)["process"]["rlimits"].array_or_empty()[0]["hard"].int_or(0), 20'000);
  spec.resource_limits = {{"files", 1, 1}};
  EXPECT_FALSE(oci_config(spec));
}

TEST(OciConfig, AMountInsideAnotherComesAfterIt) {
  ContainerSpec spec = sample();
  spec.tmpfs = {{"/data/tmp", 1, {}}};
  spec.binds = {{"/h/hosts", "/etc/hosts", false},
                {"/v/sub", "/data//sub/deep/", false},
                {"/v/first", "/data", false},
                {"/v/etc", "/etc/", false},
                {"/v/second", "/data/", false}};
  std::vector<std::string> destinations;
  const json::Value config = config_of(spec);
  for (const json::Value& mount : config["mounts"].array_or_empty()) {
    destinations.push_back(mount["destination"].string_or(""));
  }
  destinations.erase(destinations.begin(), std::find(destinations.begin(), destinations.end(), "/data"));
  EXPECT_THAT(destinations, ElementsAre("/data", "/etc/", "/data/", "/data/tmp", "/etc/hosts", "/data//sub/deep/"));
}

TEST(OciConfig, TmpfsIsCarefulUnlessItsOptionsSayOtherwise) {
  ContainerSpec spec = sample();
  spec.tmpfs = {{"/a", 1, {}}, {"/b", 2, {"exec", "mode=700", "suid"}}};
  const json::Value config = config_of(spec);
  const auto options = [&](std::string_view destination) {
    for (const json::Value& mount : config["mounts"].array_or_empty())
      if (mount["destination"].string_or("") == destination) return strings(mount["options"]);
    return std::vector<std::string>();
  };
  EXPECT_THAT(options("/a"), ElementsAre("nosuid", "nodev", "noexec", "size=1048576"));
  EXPECT_THAT(options("/b"), ElementsAre("nodev", "size=2097152", "exec", "mode=700", "suid"));
}

TEST(Capabilities, AddAndDrop) {
  EXPECT_THAT(*capabilities_of({"SYS_PTRACE"}, {"ALL"}), ElementsAre("CAP_SYS_PTRACE"));
  EXPECT_THAT(*capabilities_of({}, {"cap_chown"}), Not(Contains("CAP_CHOWN")));
  EXPECT_EQ(capabilities_of({"ALL"}, {})->size(), 41u);
  EXPECT_EQ(capabilities_of({"SYS_MAGIC"}, {}).error().context, "unknown capability SYS_MAGIC");
}

TEST(StopSignal, NamesAndNumbers) {
  EXPECT_EQ(stop_signal_number(""), 15);
  EXPECT_EQ(stop_signal_number("SIGQUIT"), 3);
  EXPECT_EQ(stop_signal_number("usr1"), 10);
  EXPECT_EQ(stop_signal_number("9"), 9);
  EXPECT_EQ(stop_signal_number("SIGPOLL"), 29);
  EXPECT_EQ(stop_signal_number("SIGRTMIN+3"), 37);
  EXPECT_EQ(stop_signal_number("RTMAX-1"), 63);
  for (const char* wrong : {"0", "65", "SIGNOPE", "TERM+1", "RTMIN+31", "RTMAX+1", "RTMAX-31", "15x", "-1",
                            "RTMIN+2147483647", "RTMAX-2147483648"}) {
    EXPECT_EQ(stop_signal_number(wrong), 15) << wrong;
  }
}

TEST(Seccomp, CapabilitiesOpenTheirCallsOnly) {
  const std::string plain = seccomp_profile({});
  EXPECT_TRUE(json::parse(plain));
  for (const char* name :
       {"\"mount\"", "\"kexec_load\"", "\"unshare\"", "\"keyctl\"", "\"io_uring_setup\"", "\"bpf\""}) {
    EXPECT_EQ(plain.find(name), std::string::npos) << name;
  }
  EXPECT_NE(plain.find("\"clone3\""), std::string::npos);
  const std::string admin = seccomp_profile({"CAP_SYS_ADMIN"});
  EXPECT_NE(admin.find("\"mount\""), std::string::npos);
  EXPECT_EQ(admin.find("\"kexec_load\""), std::string::npos);
}

TEST(Seccomp, NoCallStandsTwice) {
  std::vector<std::string_view> names(std::begin(kAllowed), std::end(kAllowed));
  std::sort(names.begin(), names.end());
  EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
}

constexpr const char* kPasswd =
    "root:x:0:0:root:/root:/bin/sh\n# comment\nbroken\nalice:x:1000:1001::/home/alice:/bin/sh\nbob:x:1002:1002:::\n";
constexpr const char* kGroup = "root:x:0:\nstaff:x:50:bob,alice\nwheel:x:10:alice2\nalice:x:1001:\n";

TEST(Users, AsDocker) {
  EXPECT_EQ(*resolve_user("", kPasswd, kGroup), (ProcessUser{0, 0, {0}, "/root"}));
  EXPECT_EQ(*resolve_user("alice", kPasswd, kGroup), (ProcessUser{1000, 1001, {1001, 50}, "/home/alice"}));
  EXPECT_EQ(*resolve_user("1000", kPasswd, kGroup), (ProcessUser{1000, 1001, {1001, 50}, "/home/alice"}));
  EXPECT_EQ(*resolve_user("alice:staff", kPasswd, kGroup), (ProcessUser{1000, 50, {50}, "/home/alice"}));
  EXPECT_EQ(*resolve_user("alice:77", kPasswd, kGroup), (ProcessUser{1000, 77, {77}, "/home/alice"}));
  EXPECT_EQ(*resolve_user("4242", kPasswd, kGroup), (ProcessUser{4242, 0, {0}, "/"}));
  EXPECT_EQ(*resolve_user("4242:10", "", ""), (ProcessUser{4242, 10, {10}, "/"}));
  EXPECT_EQ(resolve_user("mallory", kPasswd, kGroup).error().context,
            "unable to find user mallory: no matching entries in passwd file");
  EXPECT_FALSE(resolve_user("alice:nobody", kPasswd, kGroup));
  EXPECT_FALSE(resolve_user("4294967295", kPasswd, kGroup)) << "-1 would change nothing";
}

TEST(Probe, TellsTheModeFromTheMounts) {
  const std::string v2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n";
  const std::string v1 =
      "30 23 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n31 30 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n";
  const std::string beside = "40 30 0:40 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
  EXPECT_EQ(cgroup_mode_of(v2, "/sys/fs/cgroup"), taskdir::CgroupMode::v2);
  EXPECT_EQ(cgroup_mode_of(v1, "/sys/fs/cgroup"), taskdir::CgroupMode::v1);
  EXPECT_EQ(cgroup_mode_of(v1 + beside, "/sys/fs/cgroup"), taskdir::CgroupMode::hybrid);
}

TEST(Probe, FindsTheCgroupThatHasThisProcess) {
  const std::string v1 = "9:name=systemd:/\n4:memory:/system.slice/berth.service\n1:cpu:/\n0::/\n";
  const auto of = [](std::string_view self, taskdir::CgroupMode mode) { return own_cgroup_procs_of(self, "/c", mode); };
  EXPECT_EQ(of(v1, taskdir::CgroupMode::hybrid), "/c/memory/system.slice/berth.service/cgroup.procs");
  EXPECT_EQ(of("0::/system.slice/berth.service\n", taskdir::CgroupMode::v2),
            "/c/system.slice/berth.service/cgroup.procs");
  EXPECT_EQ(of("0::/\n", taskdir::CgroupMode::v2), "/c/cgroup.procs");
  EXPECT_EQ(of("0::/\n", taskdir::CgroupMode::v1), "");
  EXPECT_EQ(of("", taskdir::CgroupMode::v2), "");
}

// The link target of its own /proc/self/exe, as a program started from `fd` sees it.
std::string started_from(int fd) {
  int ends[2];
  EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const Fd read_end(ends[0]);
  Fd write_end(ends[1]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, write_end.get(), STDOUT_FILENO);
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  char* arguments[] = {const_cast<char*>("readlink"), const_cast<char*>("/proc/self/exe"), nullptr};
  pid_t pid = 0;
  EXPECT_EQ(posix_spawn(&pid, path.c_str(), &actions, nullptr, arguments, environ), 0);
  posix_spawn_file_actions_destroy(&actions);
  write_end.reset();
  char buffer[256];
  const ssize_t got = read(read_end.get(), buffer, sizeof buffer);
  EXPECT_EQ(waitpid(pid, nullptr, 0), pid);
  return got > 0 ? std::string(buffer, static_cast<size_t>(got)) : std::string();
}

TEST(SealedProgram, RunsFromMemoryThatNobodyCanWrite) {
  SealedProgram program;
  const int fd = program.fd("/usr/bin/readlink");
  ASSERT_GE(fd, 0);
  EXPECT_EQ(fcntl(fd, F_GET_SEALS), F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
      << "with a seal less the runtime copies itself again";
  EXPECT_EQ(started_from(fd), "/memfd:oci-runtime (deleted)\n");
  EXPECT_EQ(program.fd("/usr/bin/readlink"), fd) << "copied once";
  EXPECT_EQ(program.fd("/nonexistent"), -1);
}

TEST(SealedProgram, IsCopiedAnewWhenItsFileWasReplaced) {
  char path[] = "/tmp/berth-sealed-XXXXXX";
  Fd file(mkstemp(path));
  ASSERT_TRUE(file);
  ASSERT_EQ(write(file.get(), "old", 3), 3);
  SealedProgram program;
  const auto content = [&] {
    char buffer[16];
    const ssize_t got = pread(program.fd(path), buffer, sizeof buffer, 0);
    return std::string(buffer, got < 0 ? 0 : static_cast<size_t>(got));
  };
  EXPECT_EQ(content(), "old");
  const std::string fresh = std::string(path) + ".new";
  file.reset(open(fresh.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0700));
  ASSERT_EQ(write(file.get(), "new", 3), 3);
  ASSERT_EQ(rename(fresh.c_str(), path), 0);
  EXPECT_EQ(content(), "new");
  EXPECT_EQ(unlink(path), 0);
}

}  // namespace
}  // namespace berth::runtime
