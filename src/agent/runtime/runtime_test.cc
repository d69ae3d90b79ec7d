#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "agent/runtime/oci_config.h"
#include "agent/runtime/probe.h"
#include "agent/runtime/seccomp.h"
#include "agent/runtime/seccomp_rules.h"
#include "agent/runtime/users.h"
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
  spec.entry_point = std::vector<std::string>();
  EXPECT_EQ(oci_config(spec).error().context, "No command specified");
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
  spec.resource_limits = {{"files", 1, 1}};
  EXPECT_FALSE(oci_config(spec));
}

TEST(Capabilities, AddAndDrop) {
  EXPECT_THAT(*capabilities_of({"SYS_PTRACE"}, {"ALL"}), ElementsAre("CAP_SYS_PTRACE"));
  EXPECT_THAT(*capabilities_of({}, {"cap_chown"}), Not(Contains("CAP_CHOWN")));
  EXPECT_EQ(capabilities_of({"ALL"}, {})->size(), 41u);
  EXPECT_EQ(capabilities_of({"SYS_MAGIC"}, {}).error().context, "unknown capability SYS_MAGIC");
}

TEST(Signals, NamesAndNumbers) {
  EXPECT_EQ(*signal_number(""), 15);
  EXPECT_EQ(*signal_number("SIGQUIT"), 3);
  EXPECT_EQ(*signal_number("usr1"), 10);
  EXPECT_EQ(*signal_number("9"), 9);
  EXPECT_EQ(*signal_number("SIGRTMIN+3"), 37);
  EXPECT_EQ(*signal_number("RTMAX-1"), 63);
  for (const char* wrong : {"0", "65", "SIGNOPE", "TERM+1", "RTMIN+31", "RTMAX+1", "15x", "-1"}) {
    EXPECT_FALSE(signal_number(wrong)) << wrong;
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
  EXPECT_EQ(*resolve_user("", kPasswd, kGroup), (ProcessUser{0, 0, {}, "/root"}));
  EXPECT_EQ(*resolve_user("alice", kPasswd, kGroup), (ProcessUser{1000, 1001, {50}, "/home/alice"}));
  EXPECT_EQ(*resolve_user("1000", kPasswd, kGroup), (ProcessUser{1000, 1001, {50}, "/home/alice"}));
  EXPECT_EQ(*resolve_user("alice:staff", kPasswd, kGroup), (ProcessUser{1000, 50, {}, "/home/alice"}));
  EXPECT_EQ(*resolve_user("alice:77", kPasswd, kGroup), (ProcessUser{1000, 77, {}, "/home/alice"}));
  EXPECT_EQ(*resolve_user("4242", kPasswd, kGroup), (ProcessUser{4242, 0, {}, "/"}));
  EXPECT_EQ(*resolve_user("4242:10", "", ""), (ProcessUser{4242, 10, {}, "/"}));
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

}  // namespace
}  // namespace berth::runtime
