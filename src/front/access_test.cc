// Every operation that is served says what it asks of IAM.
#include "services/ec2/access.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "front/gate.h"
#include "model/ec2/operations.h"
#include "model/ecs/operations.h"
#include "model/ecs/tag.h"
#include "model/ecs/task.h"
#include "model/ecs/task_definition.h"
#include "model/fill.h"
#include "model/logs/event.h"
#include "model/logs/operations.h"
#include "services/ec2/ec2.h"
#include "services/ecs/ecs.h"
#include "services/logs/logs.h"
#include "services/sts/sts.h"
#include "state/memory_store.h"

namespace berth::front {
namespace {

using services::AccessKind;
using services::AccessQuery;
using services::Permission;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::Pair;
using Served = Gate::Served;

class AccessTest : public testing::Test {
 protected:
  AccessTest() {
    services::ecs::add_handlers(registry_);
    services::ec2::add_handlers(registry_);
    services::sts::add_handlers(registry_);
    services::logs::add_handlers(registry_, logs_);
  }
  const Served& served(const model::Operation& operation) {
    for (const Served& served : registry_.handlers())
      if (served.operation == &operation) return served;
    throw std::out_of_range(std::string(operation.name));
  }
  template <class In>
  AccessQuery ask(const model::Operation& operation, const In& in) {
    return services::find_access(operation, served(operation).access, context_, &in);
  }

  logstore::LogStore logs_{"/nonexistent/logs"};
  services::Registry<model::Operation> registry_;
  state::MemoryStore store_;
  records::TaskIndex tasks_{store_};
  records::NetworkIndex networks_{store_};
  Prng random_{1};
  services::Capacity capacity_;
  Caller caller_{"123456789012", "eu-central-1", "arn:aws:iam::123456789012:user/ann", "AKID",
                 "arn:aws:iam::123456789012:user/ann"};
  services::Context context_{store_, tasks_, networks_, caller_, 0, random_, capacity_};
};

TEST_F(AccessTest, EveryOperationNamesItsActionAndItsResources) {
  EXPECT_FALSE(registry_.handlers().empty());
  for (const Served& served : registry_.handlers()) {
    const model::Operation& operation = *served.operation;
    const auto input = operation.make_input();
    model::fill(*operation.input, input.get(), random_);
    const AccessQuery query = services::find_access(operation, served.access, context_, input.get());
    const Permission& own = query.permissions().front();
    EXPECT_THAT(own.action, testing::MatchesRegex("[a-z0-9-]+:[A-Za-z]+")) << operation.name;
    switch (served.access.kind) {
      case AccessKind::none: EXPECT_EQ(operation.name, "GetCallerIdentity"); break;
      case AccessKind::any_resource: EXPECT_THAT(own.resources, ElementsAre("*")) << operation.name; break;
      case AccessKind::resources:
        EXPECT_FALSE(own.resources.empty()) << operation.name;
        for (const Permission& permission : query.permissions())
          for (const std::string& resource : permission.resources)
            EXPECT_NE(resource, "") << operation.name << " " << permission.action;
    }
  }
}

TEST_F(AccessTest, RunTaskAsksForTheDefinitionTheRolesAndTheTags) {
  model::ecs::RunTaskRequest in;
  in.cluster = "c";
  in.task_definition = "web:7";
  in.overrides.emplace().task_role_arn = "arn:aws:iam::123456789012:role/app";
  in.overrides->execution_role_arn = "exec";
  in.tags.emplace().push_back({"team", "blue"});
  const AccessQuery query = ask(model::ecs::kRunTask, in);
  ASSERT_EQ(query.permissions().size(), 4u);
  const Permission& run = query.permissions()[0];
  EXPECT_EQ(run.action, "ecs:RunTask");
  EXPECT_THAT(run.resources, ElementsAre("arn:aws:ecs:eu-central-1:123456789012:task-definition/web:7"));
  EXPECT_THAT(run.conditions, IsSupersetOf({Pair("ecs:cluster", "arn:aws:ecs:eu-central-1:123456789012:cluster/c"),
                                            Pair("aws:RequestTag/team", "blue"), Pair("aws:TagKeys", "team")}));
  EXPECT_EQ(query.permissions()[1].action, "iam:PassRole");
  EXPECT_THAT(query.permissions()[1].resources, ElementsAre("arn:aws:iam::123456789012:role/app"));
  EXPECT_THAT(query.permissions()[1].conditions, ElementsAre(Pair("iam:PassedToService", "ecs-tasks.amazonaws.com")));
  EXPECT_THAT(query.permissions()[2].resources, ElementsAre("arn:aws:iam::123456789012:role/exec"));
  EXPECT_EQ(query.permissions()[3].action, "ecs:TagResource");
  EXPECT_THAT(query.permissions()[3].resources, ElementsAre("arn:aws:ecs:eu-central-1:123456789012:task/c/*"));
}

TEST_F(AccessTest, TasksAreNamedWithTheirCluster) {
  model::ecs::DescribeTasksRequest in;
  in.tasks = {"0123", "arn:aws:ecs:eu-central-1:123456789012:task/other/4567"};
  EXPECT_THAT(ask(model::ecs::kDescribeTasks, in).permissions().front().resources,
              ElementsAre("arn:aws:ecs:eu-central-1:123456789012:task/default/0123", in.tasks[1]));
  EXPECT_THAT(ask(model::ecs::kListTasks, model::ecs::ListTasksRequest{}).permissions().front().resources,
              ElementsAre("*"));
}

TEST_F(AccessTest, LogStreamsLieInTheirGroups) {
  model::logs::PutLogEventsRequest in;
  in.log_group_name = "/app";
  in.log_stream_name = "s";
  EXPECT_THAT(ask(model::logs::kPutLogEvents, in).permissions().front().resources,
              ElementsAre("arn:aws:logs:eu-central-1:123456789012:log-group:/app:log-stream:s"));
}

TEST_F(AccessTest, IdsOfEc2SayWhatTheyAre) {
  model::ecs::TagResourceRequest input;  // any struct with a text
  input.resource_arn = "sg-1";
  AccessQuery query("ec2:Any");
  services::ec2::named(context_, input, query);
  EXPECT_THAT(query.permissions().front().resources,
              ElementsAre("arn:aws:ec2:eu-central-1:123456789012:security-group/sg-1"));
  AccessQuery made("ec2:CreateSubnet");
  input.resource_arn = "vpc-1";
  services::ec2::Creates{"subnet"}(context_, input, made);
  EXPECT_THAT(made.permissions().front().resources, ElementsAre("arn:aws:ec2:eu-central-1:123456789012:subnet/*",
                                                                "arn:aws:ec2:eu-central-1:123456789012:vpc/vpc-1"));
}

TEST_F(AccessTest, TheRootPassesAndOthersNeedAPolicy) {
  const Served& stop = served(model::ecs::kStopTask);
  model::ecs::StopTaskRequest in;
  in.task = "t";
  Gate closed;
  const auto refused = closed.admit(stop, context_, &in);
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->type, "AccessDeniedException");
  EXPECT_THAT(refused->message, HasSubstr("user/ann is not authorized to perform: ecs:StopTask on resource: "
                                          "arn:aws:ecs:eu-central-1:123456789012:task/default/t because"));
  EXPECT_EQ(closed.counts(model::ecs::kStopTask).refused, 1u);

  Gate open([](const Caller&, const AccessQuery&) { return nullptr; });
  EXPECT_EQ(open.admit(stop, context_, &in), std::nullopt);

  // What the root asks is not even looked at.
  Gate lazy([](const Caller&, const AccessQuery&) -> const Permission* { throw std::logic_error("asked"); });
  const Caller root{"123456789012", "eu-central-1", "arn:aws:iam::123456789012:root", "AKID"};
  const services::Context as_root{store_, tasks_, networks_, root, 0, random_, capacity_};
  EXPECT_EQ(lazy.admit(stop, as_root, &in), std::nullopt);
  EXPECT_EQ(lazy.counts(model::ecs::kStopTask).admitted, 1u);
}

}  // namespace
}  // namespace berth::front
