#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include "model/ec2/operations.h"
#include "model/ec2/vpcs.h"
#include "model/ecs/cluster.h"
#include "model/ecs/operations.h"
#include "model/ecs/service.h"
#include "model/ecs/task.h"
#include "model/ecs/task_definition.h"
#include "model/fill.h"
#include "model/json_codec.h"
#include "model/logs/event.h"
#include "model/logs/group.h"
#include "model/logs/operations.h"
#include "model/logs/tag.h"
#include "model/sts/operations.h"
#include "model/validate.h"

namespace berth::model {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

template <class T>
std::string problem(std::string_view text) {
  T object;
  const auto read = read_json(text, T::kShape, &object, nullptr);
  return read ? "" : read.error().message;
}

// The answer to a request with this body.
std::optional<ApiError> answer(const Operation& operation, std::string_view body) {
  auto input = operation.make_input();
  std::vector<Path> missing;
  if (const auto read = read_json(body, *operation.input, input.get(), &missing); !read) {
    return ApiError{"SerializationException", read.error().message};
  }
  return validate(operation, input.get(), missing);
}
std::string text(const Operation& operation, std::string_view body) {
  const auto error = answer(operation, body);
  return error ? error->type + ": " + error->message : "";
}

TEST(Services, AreThoseOfTheManifest) {
  std::vector<std::string_view> names;
  for (const Service* service : services()) names.push_back(service->name);
  EXPECT_THAT(names, ElementsAre("ec2", "ecs", "logs", "servicediscovery", "sts"));
  EXPECT_EQ(find_service("ecs"), &ecs::kService);
  EXPECT_EQ(ecs::kService.operations.size() + ecs::kService.not_served.size(), 88u);
  EXPECT_EQ(find_operation(ecs::kService, "RunTask"), &ecs::kRunTask);
  EXPECT_EQ(find_operation(ecs::kService, "CreateTaskSet"), nullptr);
  EXPECT_TRUE(is_known_but_not_served(ecs::kService, "CreateTaskSet"));
  EXPECT_FALSE(is_known_but_not_served(ecs::kService, "RunTask"));
  EXPECT_FALSE(is_known_but_not_served(ecs::kService, "NoSuchThing"));
  EXPECT_EQ(find_foreign_service("s3")->protocol, Protocol::rest_xml);
  EXPECT_EQ(find_foreign_service("ecs"), nullptr);
  EXPECT_EQ(find_foreign_service("nonsense"), nullptr);
}

TEST(Json, EveryInputOfEveryOperationComesBackAsItWas) {
  Prng random(1);
  for (const Service* service : services()) {
    for (const Operation* operation : service->operations) {
      const auto input = operation->make_input();
      fill(*operation->input, input.get(), random, {.refused_too = true});
      std::string sent;
      append_json(sent, *operation->input, input.get());
      const auto again = operation->make_input();
      std::vector<Path> missing;
      const auto read = read_json(sent, *operation->input, again.get(), &missing);
      ASSERT_TRUE(read) << operation->name << ": " << read.error().message << "\n" << sent;
      EXPECT_TRUE(missing.empty()) << operation->name << ": " << to_string(missing.front());
      std::string back;
      append_json(back, *operation->input, again.get());
      EXPECT_EQ(back, sent) << operation->name;
    }
  }
}

TEST(Json, StructsCompareAfterARoundTrip) {
  Prng random(2);
  const auto definition = filled<ecs::TaskDefinition>(random, {.refused_too = true});
  EXPECT_EQ(from_json<ecs::TaskDefinition>(to_json(definition)).value(), definition);
  const auto service = filled<ecs::Service>(random, {.refused_too = true});
  EXPECT_EQ(from_json<ecs::Service>(to_json(service)).value(), service);
}

TEST(Json, WrongTypesAreRefused) {
  using Register = ecs::RegisterTaskDefinitionRequest;
  EXPECT_EQ(problem<Register>(R"({"family":1})"), "NUMBER_VALUE can not be converted to a String");
  EXPECT_EQ(problem<Register>(R"({"family":true})"), "TRUE_VALUE can not be converted to a String");
  EXPECT_EQ(problem<Register>(R"({"family":[]})"), "Start of list found where not expected");
  EXPECT_EQ(problem<Register>(R"({"family":{}})"), "Start of structure or map found where not expected.");
  EXPECT_EQ(problem<Register>(R"({"containerDefinitions":{}})"), "Expected list or null");
  EXPECT_EQ(problem<Register>(R"({"containerDefinitions":"x"})"), "Expected list or null");
  EXPECT_EQ(problem<Register>(R"({"containerDefinitions":[1]})"), "Expected structure or null");
  EXPECT_EQ(problem<Register>(R"({"containerDefinitions":[null]})"), "Null found where a list's element was expected");
  EXPECT_EQ(problem<Register>(R"({"containerDefinitions":[{"cpu":"1"}]})"),
            "STRING_VALUE can not be converted to an Integer");
  EXPECT_EQ(problem<Register>(R"({"containerDefinitions":[{"cpu":1.5}]})"),
            "NUMBER_VALUE can not be converted to an Integer");
  EXPECT_EQ(problem<Register>(R"({"containerDefinitions":[{"cpu":2147483648}]})"),
            "NUMBER_VALUE can not be converted to an Integer");
  EXPECT_EQ(problem<Register>(R"({"containerDefinitions":[{"essential":"true"}]})"),
            "STRING_VALUE can not be converted to a Boolean");
  EXPECT_EQ(problem<Register>(R"({"containerDefinitions":[{"dockerLabels":[]}]})"),
            "Start of list found where not expected");
  EXPECT_EQ(problem<Register>(R"({"containerDefinitions":[{"dockerLabels":{"a":1}}]})"),
            "NUMBER_VALUE can not be converted to a String");
  EXPECT_EQ(problem<Register>("[]"), "Expected structure");
  EXPECT_EQ(problem<Register>("null"), "Expected structure, not null");
  EXPECT_EQ(problem<Register>("\"x\""), "Expected structure");
  EXPECT_THAT(problem<Register>("{"), HasSubstr("The body is not JSON"));
  EXPECT_THAT(problem<Register>("{} {}"), HasSubstr("more text after the value"));
  EXPECT_EQ(problem<Register>(""), "");
  using Events = logs::PutLogEventsRequest;
  EXPECT_EQ(problem<Events>(R"({"logEvents":[{"timestamp":"1"}]})"), "STRING_VALUE can not be converted to a Long");
  EXPECT_EQ(problem<Events>(R"({"logEvents":[{"timestamp":1.7e12}]})"), "");
}

TEST(Json, UnknownMembersAreSkippedAndNullMeansAbsent) {
  const auto input = from_json<ecs::CreateClusterRequest>(
      R"({"unknown":{"a":[{"b":null}]},"clusterName":null,"other":[1,"x"],"tags":[{"key":"a","x":{},"value":null}],"z":1.5})");
  ASSERT_TRUE(input) << input.error().context;
  EXPECT_FALSE(input->cluster_name);
  ASSERT_TRUE(input->tags);
  EXPECT_EQ((*input->tags)[0].key, "a");
  EXPECT_FALSE((*input->tags)[0].value);
}

TEST(Json, OfEqualNamesTheLastCounts) {
  const auto input =
      from_json<ecs::DescribeServicesRequest>(R"({"services":["a","b"],"services":["c"],"cluster":"x","cluster":"y"})");
  ASSERT_TRUE(input);
  EXPECT_THAT(input->services, ElementsAre("c"));
  EXPECT_EQ(input->cluster, "y");
}

TEST(Json, WhatDoesNotFitIsCounted) {
  const auto dropped = [](std::string_view text) {
    ecs::Task task;
    return read_json_that_fits(text, ecs::Task::kShape, &task);
  };
  EXPECT_EQ(dropped(""), 0u);
  EXPECT_EQ(dropped(R"({"taskArn":"a","tags":[{"key":"k"}],"version":1})"), 0u);
  EXPECT_EQ(dropped(R"({"taskArn":1,"tags":[{"key":{}},1,null],"version":"1","x":{"y":[]},"group":null})"), 6u);
  EXPECT_EQ(dropped("{"), 1u);
  EXPECT_EQ(dropped("[]"), 1u);
}

TEST(Json, DepthHasALimit) {
  std::string deep = R"({"x":)";
  for (int i = 0; i < limits::kJsonDepthMax; ++i) deep += '[';
  for (int i = 0; i < limits::kJsonDepthMax; ++i) deep += ']';
  EXPECT_THAT(problem<ecs::CreateClusterRequest>(deep + "}"), HasSubstr("The body is not JSON"));
}

TEST(Json, ElementsHaveALimit) {
  const auto body = [](size_t count) {
    std::string text = R"({"family":"a","containerDefinitions":[)";
    for (size_t i = 0; i < count; ++i) text += i ? ",{}" : "{}";
    return text + "]}";
  };
  EXPECT_EQ(problem<ecs::RegisterTaskDefinitionRequest>(body(limits::kRequestElementsMax)), "");
  EXPECT_EQ(problem<ecs::RegisterTaskDefinitionRequest>(body(limits::kRequestElementsMax + 1)),
            "The request has more than 20000 elements");
}

TEST(Json, TimesAreSeconds) {
  ecs::Task task;
  task.created_at = 1'700'000'000'123;
  task.started_at = 1'700'000'000'000;
  EXPECT_EQ(to_json(task), R"({"createdAt":1700000000.123,"startedAt":1700000000})");
  EXPECT_EQ(from_json<ecs::Task>(to_json(task)).value(), task);
}

TEST(Json, ReadyMadePartsGoOutAsTheyStand) {
  ecs::DescribeTaskDefinitionResponse output;
  output.task_definition.json = std::make_shared<const std::string>(R"({"family":"x"})");
  EXPECT_EQ(to_json(output), R"({"taskDefinition":{"family":"x"}})");
  output.task_definition = {};
  EXPECT_EQ(to_json(output), "{}");
  output.task_definition.value.emplace().family = "y";
  output.tags.emplace();
  EXPECT_EQ(to_json(output), R"({"taskDefinition":{"family":"y"},"tags":[]})");
}

TEST(Validate, WhatFillMakesIsValid) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Prng random(seed);
    for (const Service* service : services()) {
      for (const Operation* operation : service->operations) {
        const auto input = operation->make_input();
        fill(*operation->input, input.get(), random);
        const auto error = validate(*operation, input.get(), {});
        EXPECT_FALSE(error) << "seed " << seed << " " << operation->name << ": " << error->message;
      }
    }
  }
}

TEST(Validate, EcsWords) {
  EXPECT_EQ(text(ecs::kStopTask, "{}"), "InvalidParameterException: Task can not be blank.");
  EXPECT_EQ(text(ecs::kRunTask, "{}"), "InvalidParameterException: Task Definition can not be blank.");
  EXPECT_EQ(text(ecs::kDescribeTasks, "{}"), "InvalidParameterException: Tasks cannot be empty.");
  EXPECT_EQ(text(ecs::kDescribeServices, "{}"), "InvalidParameterException: Services cannot be empty.");
  EXPECT_EQ(text(ecs::kRunTask, R"({"taskDefinition":"a","launchType":"LAMBDA"})"),
            "InvalidParameterException: launch type should be one of [EC2,FARGATE,EXTERNAL,MANAGED_INSTANCES]");
  EXPECT_EQ(text(ecs::kRegisterTaskDefinition,
                 R"({"family":"a","containerDefinitions":[{"dependsOn":[{"condition":"START"}]}]})"),
            "ClientException: containerDefinitions[0].dependsOn[0].containerName can not be blank.");
  EXPECT_EQ(text(ecs::kRunTask,
                 R"({"taskDefinition":"a","capacityProviderStrategy":[{"capacityProvider":"F","weight":1001}]})"),
            "InvalidParameterException: capacityProviderStrategy[0].weight must be between 0 and 1000, but was 1001.");
}

TEST(Validate, SmithyWords) {
  EXPECT_EQ(
      text(logs::kCreateLogGroup, "{}"),
      "InvalidParameterException: 1 validation error detected: Value null at 'logGroupName' failed to satisfy constraint: Member "
      "must not be null");
  EXPECT_EQ(
      text(logs::kCreateLogGroup, R"({"logGroupName":"a b"})"),
      "InvalidParameterException: 1 validation error detected: Value 'a b' at 'logGroupName' failed to satisfy constraint: Member "
      "must satisfy regular expression pattern: [\\.\\-_/#A-Za-z0-9]+");
  EXPECT_THAT(
      text(logs::kCreateLogGroup, R"({"logGroupName":""})"),
      HasSubstr(
          "2 validation errors detected: Value '' at 'logGroupName' failed to satisfy constraint: Member must have length "
          "greater than or equal to 1; "));
  EXPECT_THAT(text(logs::kCreateLogGroup, R"({"logGroupName":")" + std::string(513, 'a') + R"("})"),
              HasSubstr("Member must have length less than or equal to 512"));
  EXPECT_THAT(
      text(logs::kDescribeLogGroups, R"({"limit":51})"),
      HasSubstr("Value '51' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 50"));
  EXPECT_THAT(
      text(logs::kPutLogEvents,
           R"({"logGroupName":"a","logStreamName":"b","logEvents":[{"timestamp":1,"message":"x"},{"timestamp":-1}]})"),
      HasSubstr("Value null at 'logEvents.2.member.message'"));
  EXPECT_THAT(
      text(logs::kDescribeLogStreams, R"({"logGroupName":"a","orderBy":"Size"})"),
      HasSubstr(
          "Value 'Size' at 'orderBy' failed to satisfy constraint: Member must satisfy enum value set: [LogStreamName, LastEventTime]"));
}

TEST(Validate, LengthsAreInCharacters) {
  std::string name;
  for (int i = 0; i < 512; ++i) name += "é";
  EXPECT_EQ(text(logs::kCreateLogStream, R"({"logGroupName":"a","logStreamName":")" + name + R"("})"), "");
  EXPECT_NE(text(logs::kCreateLogStream, R"({"logGroupName":"a","logStreamName":")" + name + R"(é"})"), "");
}

TEST(Validate, Ec2Words) {
  EXPECT_EQ(text(ec2::kDescribeVpcAttribute, R"({"VpcId":"vpc-1"})"),
            "MissingParameter: The request must contain the parameter Attribute");
  EXPECT_THAT(text(ec2::kDescribeVpcs, R"({"MaxResults":1})"),
              HasSubstr("InvalidParameterValue: Value (1) for parameter MaxResults is invalid."));
}

TEST(Validate, LongValuesAreCutInTheAnswer) {
  EXPECT_LT(text(logs::kCreateLogGroup, R"({"logGroupName":")" + std::string(100'000, '!') + R"("})").size(), 5000u);
}

TEST(Validate, ManyViolationsAreNotAllTold) {
  std::string body = R"({"logGroupName":"a","logStreamName":"b","logEvents":[)";
  for (int i = 0; i < 9000; ++i) body += R"({"timestamp":1,"message":""},)";
  body.back() = ']';
  EXPECT_THAT(text(logs::kPutLogEvents, body + "}"), HasSubstr("10 validation errors detected"));
}

TEST(Refused, MembersThatWouldLie) {
  const std::string service = R"("serviceName":"a","taskDefinition":"t")";
  EXPECT_EQ(text(ecs::kCreateService, "{" + service + R"(,"loadBalancers":[{"containerName":"a"}]})"),
            "InvalidParameterException: loadBalancers are not served: Elastic Load Balancing is not served.");
  // What Terraform sends for members that its user left out.
  EXPECT_EQ(text(ecs::kCreateService, "{" + service + R"(,"loadBalancers":[],"vpcLatticeConfigurations":[]})"), "");
  // Served values pass, others do not; what else is wrong inside does not matter.
  EXPECT_EQ(text(ecs::kCreateService, "{" + service + R"(,"deploymentController":{"type":"ECS"}})"), "");
  EXPECT_EQ(text(ecs::kCreateService, "{" + service + R"(,"deploymentController":{"type":"CODE_DEPLOY"}})"),
            "InvalidParameterException: Only the deployment controller ECS is served.");
  EXPECT_EQ(text(ecs::kRegisterTaskDefinition,
                 R"({"family":"a","containerDefinitions":[],"trustedExecutionConfiguration":{}})"),
            "InvalidParameterException: trustedExecutionConfiguration is not served.");
}

TEST(Refused, AtRun) {
  ecs::TaskDefinition definition;
  auto& container = definition.container_definitions.emplace().emplace_back();
  container.log_configuration.emplace().log_driver = "awslogs";
  container.privileged = false;
  container.secrets.emplace();
  EXPECT_THAT(refused_at_run(definition), ElementsAre());
  container.log_configuration->log_driver = "splunk";
  container.secrets->emplace_back();
  definition.container_definitions->push_back(container);
  EXPECT_THAT(refused_at_run(definition),
              ElementsAre("secrets are not served: AWS Secrets Manager and Systems Manager parameters are not served.",
                          "Log drivers other than awslogs are not served."));
}

TEST(Pattern, MatchesTheWholeText) {
  const Pattern* arn = nullptr;
  for (const Member& member : logs::TagResourceRequest::kShape.members) {
    if (member.name == "resourceArn") arn = member.shape->pattern;
  }
  ASSERT_NE(arn, nullptr);
  EXPECT_TRUE(matches(*arn, "arn:aws:logs:eu-central-1:123456789012:log-group:a"));
  EXPECT_FALSE(matches(*arn, "a b"));
  EXPECT_TRUE(matches(*arn, ""));
}

TEST(Compatibility, PageIsCurrent) {
  const std::string command = std::string(BERTH_PYTHON) +
                              " " BERTH_SOURCE_DIR "/src/model/generator/compatibility.py --data " BERTH_BOTOCORE_DATA
                              " --manifest " BERTH_SOURCE_DIR "/src/model/manifest --check " BERTH_SOURCE_DIR
                              "/docs/compatibility.md";
  EXPECT_EQ(::system(command.c_str()), 0) << "run: src/model/generator/compatibility.py --write docs/compatibility.md";
}

TEST(Generator, RefusesAMemberWithoutClass) {
  const std::string command = std::string(BERTH_PYTHON) +
                              " " BERTH_SOURCE_DIR "/src/model/generator/generate_test.py --data " BERTH_BOTOCORE_DATA
                              " --manifest " BERTH_SOURCE_DIR "/src/model/manifest";
  EXPECT_EQ(::system(command.c_str()), 0);
}

}  // namespace
}  // namespace berth::model
