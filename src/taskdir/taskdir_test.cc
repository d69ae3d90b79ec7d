#include <gtest/gtest.h>

#include "taskdir/cgroups.h"
#include "taskdir/crc32.h"
#include "taskdir/journal.h"
#include "taskdir/message.h"
#include "taskdir/owner.h"
#include "taskdir/plan.h"

namespace berth::taskdir {
namespace {

Plan sample_plan() {
  Plan plan;
  plan.task_id = "0123456789abcdef0123456789abcdef";
  plan.instance = "main";
  plan.runtime_path = "/usr/bin/crun";
  plan.runtime_root = "/run/berth/main";
  plan.cgroup_mode = CgroupMode::hybrid;
  plan.memory_limit_bytes = 512 << 20;
  plan.cpu_shares = 256;
  plan.cpu_quota_us = 25'000;
  plan.processes_max = 1000;
  plan.network_namespace = "/run/berth/main/task";
  ContainerPlan web;
  web.name = "web";
  web.lower_directories = {"/layers/b", "/layers/a"};
  web.stop_signal = 3;
  web.stop_timeout_ms = 1;
  web.dependants = {1};
  web.log = {"/logs/g/s", LogMode::non_blocking, 1 << 20, 10 << 20};
  ContainerPlan proxy;
  proxy.name = "proxy_1.x";
  proxy.stops_task = false;
  plan.containers = {web, proxy};
  plan.image_volumes = {{"data", 1, "/var/data"}};
  return plan;
}

TEST(Crc32, IsCastagnoli) { EXPECT_EQ(crc32("123456789"), 0xe3069283u); }

TEST(Plan, ComesBackAsItWas) { EXPECT_EQ(decode_plan(encode_plan(sample_plan())), sample_plan()); }

TEST(Plan, IsRefusedWhereABitIsWrongOrTheEndIsMissing) {
  const std::string bytes = encode_plan(sample_plan());
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ 4);
    EXPECT_FALSE(decode_plan(damaged)) << i;
    EXPECT_FALSE(decode_plan(bytes.substr(0, i))) << i;
  }
}

TEST(Plan, NamesCannotLeaveTheDirectory) {
  for (const char* name : {"", ".", "..", "a/b", "a b", "\n", "/"}) {
    EXPECT_FALSE(is_safe_name(name)) << name;
    Plan plan = sample_plan();
    plan.task_id = name;
    EXPECT_FALSE(decode_plan(encode_plan(plan)));
    plan = sample_plan();
    plan.containers[1].name = name;
    EXPECT_FALSE(decode_plan(encode_plan(plan)));
    plan = sample_plan();
    plan.instance = name;
    EXPECT_FALSE(decode_plan(encode_plan(plan)));
  }
  Plan plan = sample_plan();
  plan.containers[0].dependants = {2};
  EXPECT_FALSE(decode_plan(encode_plan(plan)));
  plan = sample_plan();
  plan.image_volumes[0].container = 2;
  EXPECT_FALSE(decode_plan(encode_plan(plan)));
  plan = sample_plan();
  plan.image_volumes[0].name = "../x";
  EXPECT_FALSE(decode_plan(encode_plan(plan)));
  plan = sample_plan();
  plan.containers[0].stop_signal = 65;
  EXPECT_FALSE(decode_plan(encode_plan(plan)));
}

Fact sample_fact() { return {FactKind::container_exited, 1'700'000'000'123, 3, 4711, 2, 137, 9, true, 42, "a reason"}; }

TEST(Journal, ComesBackAsItWasAndToleratesATornTail) {
  std::string bytes;
  append_fact(bytes, sample_fact());
  const size_t first = bytes.size();
  append_fact(bytes, {.kind = FactKind::finished});
  for (size_t length = 0; length <= bytes.size(); ++length) {
    std::string_view rest = std::string_view(bytes).substr(0, length);
    Fact fact;
    size_t facts = 0;
    ReadFact read;
    while ((read = read_fact(rest, &fact)) == ReadFact::fact) {
      EXPECT_EQ(fact, facts == 0 ? sample_fact() : Fact{.kind = FactKind::finished});
      ++facts;
    }
    EXPECT_EQ(read, ReadFact::end) << length;
    EXPECT_EQ(facts, length == bytes.size() ? 2u : length >= first ? 1u : 0u);
  }
}

TEST(Journal, EndsAtADamagedRecord) {
  std::string bytes;
  append_fact(bytes, sample_fact());
  for (size_t i = 4; i < bytes.size(); ++i) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    std::string_view rest = damaged;
    Fact fact;
    EXPECT_EQ(read_fact(rest, &fact), ReadFact::corrupt) << i;
  }
  std::string huge(16, '\xff');
  std::string_view rest = huge;
  Fact fact;
  EXPECT_EQ(read_fact(rest, &fact), ReadFact::corrupt);
}

TEST(Journal, KeepsReasonsShort) {
  std::string bytes;
  append_fact(bytes, {.reason = std::string(5000, 'x')});
  std::string_view rest = bytes;
  Fact fact;
  ASSERT_EQ(read_fact(rest, &fact), ReadFact::fact);
  EXPECT_EQ(fact.reason.size(), kReasonBytesMax);
}

const Command kSampleCommand{CommandKind::execute, 2, 15, 5000, 77, {"CMD", "curl -f localhost"}, "why"};
const Reply kSampleReply{ReplyKind::executed, 100, 77, kExecuteTimedOut, "output"};
const Owner kSampleOwner{"9ad4c8f5-0b0f-4f0d-8a55-000000000000", 4711, 123456789};

// Supervisors of an earlier build still run when the next daemon starts: who changes a sum here by more than a new last
// member, which they leave at its default, changes kVersion.
TEST(Version1, IsTheseBytes) {
  std::string fact;
  append_fact(fact, sample_fact());
  EXPECT_EQ(crc32(encode_plan(sample_plan())), 0xcb21a936u);
  EXPECT_EQ(crc32(fact), 0xbe129a4au);
  EXPECT_EQ(crc32(encode_command(kSampleCommand)), 0xd78c4e9eu);
  EXPECT_EQ(crc32(encode_reply(kSampleReply)), 0x3a117bd9u);
  EXPECT_EQ(crc32(encode_owner(kSampleOwner)), 0x8e5a5b9bu);
}

TEST(Messages, ComeBackAsTheyWere) {
  const Command& command = kSampleCommand;
  EXPECT_EQ(decode_command(encode_command(command)), command);
  const Reply& reply = kSampleReply;
  EXPECT_EQ(decode_reply(encode_reply(reply)), reply);
  EXPECT_FALSE(decode_command(""));
  EXPECT_FALSE(decode_reply(""));
  EXPECT_FALSE(decode_command(std::string(kMessageBytesMax + 1, 'x')));
}

TEST(Messages, AnOlderSenderLeavesDefaults) {
  const std::string bytes = encode_command({.kind = CommandKind::stop_container, .container = 1, .text = "x"});
  // Kind and container only, as a version would have sent it that knew no more.
  const auto command = decode_command(bytes.substr(0, 5));
  ASSERT_TRUE(command);
  EXPECT_EQ(*command, (Command{.kind = CommandKind::stop_container, .container = 1}));
  EXPECT_EQ(decode_command(encode_command(*command) + "what a later version adds"), command);
}

TEST(Messages, AHostileLengthAllocatesNothing) {
  std::string bytes = encode_command({.kind = CommandKind::execute});
  bytes[21] = bytes[22] = bytes[23] = '\x7f';  // the number of arguments
  EXPECT_FALSE(decode_command(bytes));
}

TEST(Owner, ComesBackAsItWas) {
  const Owner& owner = kSampleOwner;
  EXPECT_EQ(decode_owner(encode_owner(owner)), owner);
  EXPECT_FALSE(decode_owner(encode_owner(owner).substr(0, 20)));
  EXPECT_FALSE(decode_owner(encode_owner({"", 4711, 1})));
}

TEST(Owner, StartTimeIsReadBehindAnyName) {
  std::string stat = "42 (a) b ( c) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1000 100";
  EXPECT_EQ(start_ticks_of_stat(stat), 987654u);
  EXPECT_FALSE(start_ticks_of_stat("42 (a) S 1 42"));
  EXPECT_FALSE(start_ticks_of_stat(""));
}

}  // namespace
}  // namespace berth::taskdir
