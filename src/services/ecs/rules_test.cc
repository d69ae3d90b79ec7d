// The pure rules: identifiers, sizes, tags, tokens. What the operations make of them is in tests/cases.
#include <gtest/gtest.h>

#include "base/limits.h"
#include "model/ecs/service.h"
#include "model/ecs/task_definition.h"
#include "services/ecs/awslogs.h"
#include "services/ecs/definition_record.h"
#include "services/ecs/fargate.h"
#include "services/common/page_token.h"
#include "services/ecs/identifiers.h"
#include "services/ecs/kept.h"
#include "services/ecs/paging.h"
#include "services/ecs/tags.h"

namespace berth::services::ecs {
namespace {

const records::Scope kScope{"123456789012", "eu-central-1"};
const std::string kPrefix = "arn:aws:ecs:eu-central-1:123456789012:";
const std::string kId = "0123456789abcdef0123456789abcdef";

TEST(Identifiers, Clusters) {
  EXPECT_EQ(parse_cluster(kScope, "").value(), "default");
  EXPECT_EQ(parse_cluster(kScope, "a-b_C").value(), "a-b_C");
  EXPECT_EQ(parse_cluster(kScope, kPrefix + "cluster/web").value(), "web");
  EXPECT_EQ(parse_cluster(kScope, "a b").error().message, "Cluster must match ^[a-zA-Z0-9\\-_]{1,255}$, but was a b");
  EXPECT_EQ(parse_cluster(kScope, "arn:aws:ecs:eu-central-1:210987654321:cluster/web").error().message,
            "AccountIDs mismatch");
  EXPECT_EQ(parse_cluster(kScope, "arn:aws").error().message, "The ARN provided is invalid.");
  EXPECT_FALSE(parse_cluster(kScope, "arn:aws:ecs:us-east-1:123456789012:cluster/web"));
  EXPECT_FALSE(parse_cluster(kScope, kPrefix + "service/web/x"));
}

TEST(Identifiers, Tasks) {
  EXPECT_EQ(parse_task(kScope, "c", kId).value(), kId);
  EXPECT_EQ(parse_task(kScope, "c", kPrefix + "task/c/" + kId).value(), kId);
  EXPECT_EQ(parse_task(kScope, "c", kPrefix + "task/" + kId).value(), kId);
  EXPECT_EQ(parse_task(kScope, "c", "word").error().message, "task length should be one of [32,36]");
  EXPECT_EQ(parse_task(kScope, "c", "c/" + kId).error().message, "Task Identifier is invalid");
  EXPECT_EQ(parse_task(kScope, "default", kPrefix + "task/c/" + kId).error().message,
            "Invalid identifier: Identifier is for cluster c. Your cluster is default");
}

TEST(Identifiers, Definitions) {
  EXPECT_EQ(parse_definition(kScope, "web")->family, "web");
  EXPECT_EQ(parse_definition(kScope, "web:3")->revision, 3);
  EXPECT_EQ(parse_definition(kScope, kPrefix + "task-definition/web:12")->revision, 12);
  EXPECT_FALSE(parse_definition(kScope, "web:foo")->revision);
  EXPECT_EQ(parse_definition(kScope, "web:foo")->revision_text, "foo");
  EXPECT_FALSE(parse_definition(kScope, "web:0")->revision);
}

TEST(Identifiers, Taggables) {
  EXPECT_EQ(parse_taggable(kScope, kPrefix + "service/c/s")->name, "s");
  EXPECT_EQ(parse_taggable(kScope, kPrefix + "task-definition/f:7")->revision, 7);
  EXPECT_EQ(parse_taggable(kScope, kPrefix + "service/s").error().message,
            "Long arn format must be used for tagging operations");
  EXPECT_FALSE(parse_taggable(kScope, "web"));
  EXPECT_FALSE(parse_taggable(kScope, kPrefix + "task-definition/f"));
}

TEST(Identifiers, Roles) {
  EXPECT_TRUE(is_role_arn("arn:aws:iam::123456789012:role/service-role/x"));
  EXPECT_FALSE(is_role_arn("arn:aws:iam::123456789012:user/x"));
  EXPECT_FALSE(is_role_arn("ecsTaskExecutionRole"));
  EXPECT_TRUE(is_role_name("ecsTaskExecutionRole"));
  EXPECT_TRUE(is_role_name(std::string(64, 'r')));
  EXPECT_FALSE(is_role_name(std::string(65, 'r')));
  EXPECT_FALSE(is_role_name("path/x"));
  EXPECT_FALSE(is_role_name(""));
  EXPECT_FALSE(is_role_arn("arn:aws:iam::12:role/x"));
}

TEST(Fargate, ReadsSizesInEveryForm) {
  for (const char* text : {"1024", "1 vCPU", "1vcpu", "1.0 VCPU", "1 vcpu"})
    EXPECT_EQ(parse_cpu_units(text), 1024) << text;
  EXPECT_EQ(parse_cpu_units(".5 vcpu"), 512);
  EXPECT_EQ(parse_memory_mib("0.5 GB"), 512);
  EXPECT_EQ(parse_memory_mib("2GB"), 2048);
  for (const char* text : {"", "x", "1 GHz", "-1", "1.5", "vcpu", "1..5vcpu"})
    EXPECT_FALSE(parse_cpu_units(text)) << text;
}

TEST(Fargate, Has74Sizes) {
  int count = 0;
  for (int cpu = 1; cpu <= 32768; cpu *= 2)
    for (int memory = 512; memory <= 200000; memory += 512) count += fargate_has(cpu, memory);
  EXPECT_EQ(count, 74);
  EXPECT_FALSE(fargate_has(512, 512));
  EXPECT_FALSE(fargate_has(256, 1536));
  EXPECT_TRUE(fargate_has(8192, 20480));
  EXPECT_FALSE(fargate_has(8192, 17408));
}

TEST(Fargate, PlatformVersions) {
  EXPECT_EQ(resolve_platform_version("LATEST"), "1.4.0");
  EXPECT_EQ(resolve_platform_version("1.3.0"), "1.3.0");
  EXPECT_FALSE(resolve_platform_version("1.4"));
}

TEST(Awslogs, ReadsSizesAsDockerDoes) {
  EXPECT_EQ(parse_byte_size("4096"), 4096);
  EXPECT_EQ(parse_byte_size("0"), 0);
  for (const auto* text : {"10m", "10M", "10mb", "10MB", "10MiB", "10 m"})
    EXPECT_EQ(parse_byte_size(text), 10 << 20) << text;
  EXPECT_EQ(parse_byte_size("1.5k"), 1536);
  EXPECT_EQ(parse_byte_size("2g"), int64_t{2} << 30);
  for (const auto* text : {"", "m", "-1", "-1m", "+1", "1x", "1kk", "1bk", "1e9", "1i", "10 000", "99999999999g", "inf",
                           "nan", ".5m", "0x10"})
    EXPECT_EQ(parse_byte_size(text), std::nullopt) << text;
}

TEST(Awslogs, ReadsSwitchesAsGoDoes) {
  for (const auto* text : {"1", "t", "T", "true", "TRUE", "True"}) EXPECT_EQ(parse_switch(text), true) << text;
  for (const auto* text : {"0", "f", "F", "false", "FALSE", "False"}) EXPECT_EQ(parse_switch(text), false) << text;
  for (const auto* text : {"", "yes", "tRue", " true", "2"}) EXPECT_EQ(parse_switch(text), std::nullopt) << text;
}

TEST(Awslogs, NamesThatCannotBeFailTheTask) {
  const auto failure = [](std::string group, std::string region, std::string prefix) {
    return awslogs_failure({{"awslogs-group", std::move(group)},
                            {"awslogs-region", std::move(region)},
                            {"awslogs-stream-prefix", std::move(prefix)}},
                           "main");
  };
  EXPECT_EQ(failure("/a/b.c_d-e#1", "eu-central-1", "any thing/ü"), "");
  EXPECT_EQ(failure("/a", "us-east-1/other", "p"),
            "failed to validate logger args: awslogs-region 'us-east-1/other' is not the name of a region.");
  EXPECT_NE(failure("/a", "US-EAST-1", "p"), "");
  EXPECT_EQ(
      failure("no good", "us-east-1", "p"),
      "failed to validate logger args: create stream has been retried 1 times: failed to create Cloudwatch log stream: "
      "InvalidParameterException: 1 validation error detected: Value 'no good' at 'logGroupName' failed to satisfy "
      "constraint: Member must satisfy regular expression pattern: [\\.\\-_/#A-Za-z0-9]+");
  EXPECT_EQ(failure(std::string(512, 'g'), "us-east-1", "p"), "");
  EXPECT_NE(failure(std::string(513, 'g'), "us-east-1", "p"), "");
  EXPECT_NE(failure("/a", "us-east-1", "p:q"), "");
  EXPECT_NE(failure("/a", "us-east-1", "p*"), "");
  EXPECT_EQ(failure("/a", "us-east-1", std::string(512 - 32 - 4 - 2, 'p')), "");
  EXPECT_NE(failure("/a", "us-east-1", std::string(512 - 32 - 4 - 1, 'p')), "");
}

TEST(Awslogs, PatternsOfEvents) {
  const auto pattern = [](std::string_view option, std::string value) {
    return event_pattern({{std::string(option), std::move(value)}});
  };
  EXPECT_EQ(event_pattern({}), "");
  EXPECT_EQ(pattern("awslogs-multiline-pattern", "^INFO"), "^INFO");
  EXPECT_EQ(pattern("awslogs-datetime-format", "\\[%Y-%m %p%%"), "\\[\\d{4}-(?:0[1-9]|1[0-2]) [A,P]M%");
  EXPECT_EQ(pattern("awslogs-datetime-format", "%Q"), std::nullopt);
  EXPECT_EQ(event_pattern({{"awslogs-datetime-format", "%y"}, {"awslogs-multiline-pattern", "x"}}), "\\d{2}");
  const auto failure = [](std::string_view option, std::string value) {
    return awslogs_failure({{"awslogs-region", "us-east-1"}, {std::string(option), std::move(value)}}, "main");
  };
  EXPECT_EQ(failure("awslogs-multiline-pattern", "^INFO"), "");
  EXPECT_EQ(
      failure("awslogs-multiline-pattern", "^(INFO"),
      "failed to validate logger args: awslogs could not parse multiline pattern key \"^(INFO\": missing closing )");
  for (const char letter : std::string("aAwdbBmYyHIpMSLfzZj%"))
    EXPECT_EQ(failure("awslogs-datetime-format", std::string("%") + letter), "") << letter;
  EXPECT_NE(failure("awslogs-datetime-format", "%Q"), "");
}

TEST(HealthCheck, RunsWhatItsCommandMeans) {
  using Words = std::vector<std::string>;
  const auto recorded = [](Words command) {
    m::TaskDefinition document;
    document.container_definitions.emplace(1);
    document.container_definitions->front().health_check.emplace().command = std::move(command);
    return definition_record(document, Registration{}).containers.front().health_check;
  };
  EXPECT_EQ(recorded({"CMD-SHELL", "true || exit 1"})->command, (Words{"CMD-SHELL", "true || exit 1"}));
  EXPECT_EQ(recorded({"CMD", "curl", "-f"})->command, (Words{"CMD", "curl", "-f"}));
  EXPECT_EQ(recorded({"curl -f localhost || exit 1"})->command, (Words{"CMD-SHELL", "curl -f localhost || exit 1"}));
  EXPECT_EQ(recorded({"curl", "-f", "localhost"})->command, (Words{"CMD", "curl", "-f", "localhost"}));
  for (const char* word : {"/healthcheck", "pg_isready", "/opt/c++/check-1.2"})
    EXPECT_EQ(recorded({word})->command, (Words{"CMD", word})) << "no shell is needed";
  for (const char* line : {"true;", "a|b", "$CHECK", "~/check", "!", "a=b", "a\tb", "check*", ""})
    EXPECT_EQ(recorded({line})->command, (Words{"CMD-SHELL", line}));
  EXPECT_FALSE(recorded({"NONE"}));
}

TEST(Tags, Rules) {
  records::Tags many;
  for (int i = 0; i < 51; ++i) many.emplace_back(std::to_string(i), "");
  EXPECT_FALSE(check_tags(many));
  many.pop_back();
  EXPECT_TRUE(check_tags(many));
  EXPECT_TRUE(check_tags({{"Name", "a b+-=._:/@"}, {"größe", "日本"}}));
  EXPECT_FALSE(check_tags({{"", "x"}}));
  EXPECT_FALSE(check_tags({{std::string(129, 'k'), "x"}}));
  EXPECT_FALSE(check_tags({{"k", std::string(257, 'v')}}));
  EXPECT_FALSE(check_tags({{"a#b", "x"}}));
  EXPECT_FALSE(check_tags({{"AWS:x", "x"}}));
  EXPECT_FALSE(check_tags({{"x", "aws:x"}}));
  EXPECT_FALSE(check_tags({{"x", "1"}, {"x", "2"}}));
  EXPECT_EQ(check_tags({{"", "x"}}, "ClientException").error().type, "ClientException");
}

TEST(Tags, MergeAndRemove) {
  EXPECT_EQ(merge_tags({{"a", "1"}, {"b", "2"}}, {{"b", "3"}, {"c", "4"}}),
            (records::Tags{{"a", "1"}, {"b", "3"}, {"c", "4"}}));
  EXPECT_EQ(without_tags({{"a", "1"}, {"b", "2"}}, {"a", "x"}), (records::Tags{{"b", "2"}}));
  EXPECT_EQ(count_own_tags({{"aws:ecs:clusterName", "c"}, {"a", "1"}}), 1u);
}

// A definition of as many elements as a request may have is described with more: requiresAttributes, compatibilities.
TEST(Kept, IsReadHoweverManyElementsItHas) {
  model::ecs::TaskDefinition definition;
  definition.compatibilities.emplace(limits::kRequestElementsMax + 1);
  EXPECT_EQ(from_kept<model::ecs::TaskDefinition>(to_kept(definition)), definition);
}

// What an older or newer model wrote: the rest of the object stands.
TEST(Kept, LeavesOutWhatDoesNotFit) {
  namespace m = model::ecs;
  const auto service = from_kept<m::Service>(
      R"({"serviceName":"s","status":5,"desiredCount":"x","runningCount":1e10,"pendingCount":2,"createdAt":true,
          "gone":{"a":[1]},"events":{"id":"1"},"loadBalancers":["x",{"containerName":"c","containerPort":[]}],
          "deploymentConfiguration":[],"networkConfiguration":{"awsvpcConfiguration":{"subnets":["a",1,null,"b"]}}})");
  m::Service expected;
  expected.service_name = "s";
  expected.pending_count = 2;
  expected.load_balancers.emplace().emplace_back().container_name = "c";
  expected.network_configuration.emplace().awsvpc_configuration.emplace().subnets = {"a", "b"};
  EXPECT_EQ(service, expected);
  EXPECT_EQ(from_kept<m::Service>("[1]"), m::Service());
  EXPECT_EQ(from_kept<m::Service>("7"), m::Service());
  EXPECT_EQ(from_kept<m::Service>(""), m::Service());
  m::Service half;
  half.service_name = "s";
  EXPECT_EQ(from_kept<m::Service>(R"({"serviceName":"s","status":)"), half);
}

TEST(Paging, TokensBelongToTheirQuery) {
  const std::string token = common::page_token("q", "key");
  EXPECT_EQ(page_start("q", token).value(), "key");
  EXPECT_EQ(page_start("q", std::nullopt).value(), "");
  EXPECT_EQ(page_start("other", token).error().type, "InvalidParameterException");
  EXPECT_FALSE(page_start("q", "x"));
  EXPECT_FALSE(page_start("q", common::page_token("q", "key") + "g1"));
  EXPECT_FALSE(page_size(0, {}));
  EXPECT_FALSE(page_size(101, {}));
  EXPECT_EQ(page_size(11, {10, 10}).error().message, "maxResults should be between 1 and 10.");
  EXPECT_EQ(page_size(std::nullopt, {10, 100}).value(), 10u);
}

TEST(Paging, TheLastPageHasNoToken) {
  auto pager = Pager::open({"1", "r"}, "q", std::nullopt, 2);
  ASSERT_TRUE(pager);
  EXPECT_TRUE(pager->add("a", "A"));
  EXPECT_TRUE(pager->add("b", "B"));
  EXPECT_FALSE(pager->add("c", "C"));
  auto first = std::move(*pager).finish();
  EXPECT_EQ(first.items, (std::vector<std::string>{"A", "B"}));
  auto second = Pager::open({"1", "r"}, "q", first.next_token, 2);
  EXPECT_FALSE(Pager::open({"1", "other"}, "q", first.next_token, 2));
  EXPECT_EQ(second->start(), "b");
  EXPECT_TRUE(second->add("c", "C"));
  EXPECT_FALSE(std::move(*second).finish().next_token);
}

}  // namespace
}  // namespace berth::services::ecs
