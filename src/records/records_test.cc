#include <gtest/gtest.h>

#include "records/codec.h"
#include "records/keys.h"
#include "records/logs.h"
#include "records/network.h"

namespace berth::records {
namespace {

TEST(Codec, ReturnsWhatWasKept) {
  TaskDefinition definition;
  definition.family = "web";
  definition.revision = 3;
  definition.document = R"({"family":"web"})";
  ContainerDefinition container;
  container.name = "nginx";
  container.essential = false;
  container.environment = {{"A", "1"}, {"A", "2"}};
  container.command.emplace();  // present and empty is not absent
  container.health_check = HealthCheck{{"CMD-SHELL", "true"}, 5, 2, 1, 0};
  container.depends_on = {{"db", Condition::healthy}};
  definition.containers = {container};
  const auto back = decode<TaskDefinition>(encode(definition));
  EXPECT_EQ(encode(back), encode(definition));
  EXPECT_EQ(back.containers[0].depends_on[0].condition, Condition::healthy);
  EXPECT_TRUE(back.containers[0].command.has_value());
  EXPECT_FALSE(back.containers[0].essential);
  EXPECT_EQ(back.containers[0].environment[1].second, "2");
}

TEST(Codec, IgnoresMembersOfANewerVersionAndFillsThoseOfAnOlder) {
  const auto status = decode<TaskStatus>(R"({"state":"RUNNING","of the future":[1,{"x":2}]})");
  EXPECT_EQ(status.state, TaskState::running);
  EXPECT_EQ(status.version, 1);
}

TEST(Codec, ReadsTheStatusOfATaskWhoseStartsControlOrdered) {
  const auto status = decode<TaskStatus>(
      R"({"state":"RUNNING","desired":"RUNNING","version":4,"order":"run","subnet":"subnet-1","zone":"z","starts":{"a":2}})");
  EXPECT_EQ(status.state, TaskState::running);
  EXPECT_EQ(status.order, Order::run);
  EXPECT_EQ(status.subnet_id, "subnet-1");
}

struct Counts {
  std::map<std::string, int> by_name;
  template <class A>
  void fields(A& a) {
    a("byName", by_name);
  }
};

TEST(Codec, KeepsMapsAndOptionalNumbers) {
  const Counts counts{{{"a", 1}, {"b", 2}}};
  EXPECT_EQ(decode<Counts>(encode(counts)).by_name, counts.by_name);
  ContainerObserved seen;
  EXPECT_FALSE(decode<ContainerObserved>(encode(seen)).exit_code.has_value());
  seen.exit_code = 0;
  EXPECT_EQ(decode<ContainerObserved>(encode(seen)).exit_code, 0);
}

TEST(Keys, TellPathsBack) {
  const keys::TaskPath path{{"000000000000", "eu-central-1"}, "c", "0123"};
  EXPECT_EQ(keys::task_path(keys::task(keys::kTaskStatus, path)), path);
  EXPECT_EQ(path.arn(), "arn:aws:ecs:eu-central-1:000000000000:task/c/0123");
}

TEST(Keys, TellTasksOfArns) {
  const keys::TaskPath task{{"123456789012", "eu-central-1"}, "c", "0123"};
  EXPECT_EQ(keys::task_path_of_arn(task.arn()), task);
  for (const char* other : {"", "0123", "arn:aws:ecs:r:a:task/0123", "arn:aws:ecs:r:a:service/c/s", "arn:aws:ecs:r"})
    EXPECT_FALSE(keys::task_path_of_arn(other)) << other;
  const auto definition = keys::definition_path(keys::task_definition(task.scope, "web", 12));
  EXPECT_EQ(definition.family, "web");
  EXPECT_EQ(definition.revision, 12);
  EXPECT_EQ(definition.scope, task.scope);
}

TEST(Keys, LogGroupNamesCannotReachOtherGroups) {
  const Scope scope{"1", "r"};
  EXPECT_EQ(keys::log_group(scope, "/ecs/a%2F"), "logs/group/1/r/%2Fecs%2Fa%252F");
  EXPECT_EQ(unescape_key_part(escape_key_part("/ecs/a%2F%25")), "/ecs/a%2F%25");
}

}  // namespace
}  // namespace berth::records
