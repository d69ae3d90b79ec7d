// Shapes of kinds that few services have: maps of any value, unions, recursion, event streams, places of REST. Their
// tables come from test_manifest/.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/error_body.h"
#include "model/fill.h"
#include "model/json_codec.h"
#include "model/kinesis/operations.h"
#include "model/kinesis/stream.h"
#include "model/lambda/function.h"
#include "model/lambda/operations.h"
#include "model/servicediscovery/instance.h"
#include "model/servicediscovery/namespace.h"
#include "model/servicediscovery/operations.h"
#include "model/ssm/operations.h"
#include "model/ssm/ops.h"
#include "model/validate.h"

namespace berth::model {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string answer(const Operation& operation, std::string_view body) {
  auto input = operation.make_input();
  std::vector<Path> missing;
  if (const auto read = read_json(body, *operation.input, input.get(), &missing); !read) return read.error().message;
  const auto error = validate(operation, input.get(), missing);
  return error ? error->message : "";
}

template <class T>
void expect_round_trips() {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    Prng random(seed);
    const auto value = filled<T>(random);
    const std::string text = to_json(value);
    const auto again = from_json<T>(text);
    ASSERT_TRUE(again) << again.error().context;
    EXPECT_EQ(to_json(*again), text);
  }
}

TEST(Shapes, RoundTrip) {
  expect_round_trips<ssm::CreateOpsItemRequest>();
  expect_round_trips<ssm::GetOpsSummaryRequest>();
  expect_round_trips<ssm::GetOpsSummaryResult>();
  expect_round_trips<ssm::ListNodesResult>();
  expect_round_trips<ssm::GetExecutionPreviewResponse>();
  expect_round_trips<ssm::StartAutomationExecutionRequest>();
  expect_round_trips<kinesis::PutRecordsInput>();
  expect_round_trips<kinesis::SubscribeToShardEventStream>();
  expect_round_trips<servicediscovery::GetInstancesHealthStatusResponse>();
}

TEST(Shapes, MapsHoldAnyValue) {
  const auto structs = from_json<ssm::CreateOpsItemRequest>(
      R"({"Description":"d","Source":"s","Title":"t","OperationalData":{"a":{"Value":"1","Type":"String"},"b":{},"a":{"Value":"2"}}})");
  ASSERT_TRUE(structs) << structs.error().context;
  EXPECT_EQ(structs->operational_data->size(), 2u);
  EXPECT_EQ(structs->operational_data->at("a").value, "2");  // of equal keys the last counts, whole
  EXPECT_FALSE(structs->operational_data->at("a").type);
  const auto lists = from_json<ssm::StartAutomationExecutionRequest>(
      R"({"DocumentName":"d","Parameters":{"a":["x","y"],"b":[]},"TargetMaps":[{"k":["v"]}]})");
  ASSERT_TRUE(lists) << lists.error().context;
  EXPECT_THAT(lists->parameters->at("a"), ElementsAre("x", "y"));
  EXPECT_THAT(lists->target_maps->at(0).at("k"), ElementsAre("v"));
  EXPECT_EQ(to_json(*lists), R"({"DocumentName":"d","Parameters":{"a":["x","y"],"b":[]},"TargetMaps":[{"k":["v"]}]})");
}

TEST(Shapes, WhatMapsHoldIsValidated) {
  EXPECT_THAT(
      answer(ssm::kCreateOpsItem,
             R"({"Description":"d","Source":"s","Title":"t","OperationalData":{"a":{"Type":"Number"}}})"),
      HasSubstr("Value 'Number' at 'operationalData.a.type' failed to satisfy constraint: Member must satisfy enum"));
  EXPECT_THAT(answer(ssm::kStartAutomationExecution, R"({"DocumentName":"d","TargetMaps":[{}]})"),
              HasSubstr("at 'targetMaps.1.member' failed to satisfy constraint: Member must have length greater"));
}

TEST(Shapes, OneMemberOfAUnionIsSet) {
  EXPECT_TRUE(ssm::NodeType::kShape.is_union);
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Prng random(seed);
    const auto inputs = filled<ssm::ExecutionInputs>(random);
    EXPECT_TRUE(inputs.automation.has_value());
  }
  EXPECT_EQ(answer(ssm::kStartExecutionPreview, R"({"DocumentName":"d","ExecutionInputs":{"Automation":{}}})"), "");
  EXPECT_EQ(
      answer(ssm::kStartExecutionPreview, R"({"DocumentName":"d","ExecutionInputs":{}})"),
      "1 validation error detected: Value '{}' at 'executionInputs' failed to satisfy constraint: Member must have "
      "exactly one member set");
}

TEST(Shapes, RecursiveOnesAreBounded) {
  Prng random(1);
  const auto value = filled<ssm::OpsAggregator>(random);
  EXPECT_TRUE(value.aggregators && !value.aggregators->empty());
  std::string deep = R"({"Aggregators":[)";
  for (int i = 0; i < limits::kJsonDepthMax; ++i) deep += R"({"Aggregators":[)";
  EXPECT_THAT(answer(ssm::kGetOpsSummary, deep), HasSubstr("The body is not JSON"));
}

TEST(Shapes, EventStreamsStandBesideTheOutput) {
  EXPECT_EQ(kinesis::kSubscribeToShard.output_events.member, "EventStream");
  const Shape& events = *kinesis::kSubscribeToShard.output_events.events;
  EXPECT_TRUE(events.is_union);
  EXPECT_EQ(events.members.front().name, "SubscribeToShardEvent");
  EXPECT_TRUE(kinesis::SubscribeToShardOutput::kShape.members.empty());
  EXPECT_EQ(kinesis::kPutRecords.output_events.events, nullptr);
}

TEST(Shapes, RestPlaces) {
  EXPECT_EQ(lambda::kInvoke.http_uri, "/2015-03-31/functions/{FunctionName}/invocations");
  std::map<std::string_view, Location> places;
  for (const Member& member : lambda::InvocationRequest::kShape.members) places[member.name] = member.location;
  EXPECT_EQ(places["FunctionName"], Location::uri);
  EXPECT_EQ(places["Qualifier"], Location::query);
  EXPECT_EQ(places["LogType"], Location::header);
  EXPECT_EQ(places["Payload"], Location::payload);
}

TEST(Services, SeveralProtocols) {
  const Service& service = servicediscovery::kService;
  EXPECT_THAT(service.protocols, ElementsAre(Protocol::cbor, Protocol::json));
  EXPECT_EQ(service.protocol, Protocol::json);
  EXPECT_FALSE(service.query_compatible);
  EXPECT_EQ(service.operations.size(), 30u);
  EXPECT_EQ(servicediscovery::kDiscoverInstances.host_prefix, "data-");
}

TEST(Errors, HaveWhatTheModelGivesThem) {
  ApiError error{"NamespaceAlreadyExists", "It exists.", 400, {{"CreatorRequestId", {"c"}}, {"NamespaceId", {"ns-1"}}}};
  std::string body;
  append_json_error(body, &servicediscovery::kCreateHttpNamespace, error);
  EXPECT_EQ(
      body,
      R"({"__type":"NamespaceAlreadyExists","Message":"It exists.","CreatorRequestId":"c","NamespaceId":"ns-1"})");
  EXPECT_EQ(error_status(&servicediscovery::kCreateHttpNamespace, error), 400);
  EXPECT_EQ(error_status(&servicediscovery::kGetNamespace, {"NamespaceNotFound", ""}), 404);
  EXPECT_EQ(error_status(&servicediscovery::kGetNamespace, {"NamespaceNotFound", "", 500}), 500);
  EXPECT_EQ(error_status(&servicediscovery::kGetNamespace, {"ServiceNotFound", ""}), 400);
  EXPECT_EQ(error_status(nullptr, {"NamespaceNotFound", ""}), 400);
  // A list, and what the model does not know.
  error = {"ConflictException", "m", 400, {{"resourceIds", {"a", "b"}}}};
  body.clear();
  append_json_error(body, nullptr, error);
  EXPECT_EQ(body, R"({"__type":"ConflictException","message":"m","resourceIds":["a","b"]})");
}

TEST(Patterns, LookAheads) {
  const auto create = [](std::string_view name) {
    return answer(servicediscovery::kCreateHttpNamespace, R"({"Name":")" + std::string(name) + R"("})");
  };
  EXPECT_EQ(create("a.b"), "");
  EXPECT_EQ(create("arn"), "");
  EXPECT_THAT(create("arn:aws"),
              HasSubstr("at 'name' failed to satisfy constraint: Member must satisfy regular expression"));
}

}  // namespace
}  // namespace berth::model
