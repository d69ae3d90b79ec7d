#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "model/cbor_codec.h"
#include "model/cbor_format.h"
#include "model/ecs/cluster.h"
#include "model/ecs/service.h"
#include "model/ecs/task.h"
#include "model/error_body.h"
#include "model/fill.h"
#include "model/kinesis/stream.h"
#include "model/servicediscovery/instance.h"
#include "model/servicediscovery/operation.h"
#include "model/servicediscovery/operations.h"
#include "model/servicediscovery/service.h"
#include "model/ssm/ops.h"

namespace berth::model {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// "a2 61 61" → bytes.
std::string bytes(std::string_view hex) {
  std::string out;
  int high = -1;
  for (const char c : hex) {
    if (c == ' ') continue;
    const int digit = c <= '9' ? c - '0' : c - 'a' + 10;
    if (high >= 0) out += static_cast<char>(high * 16 + digit);
    high = high >= 0 ? -1 : digit;
  }
  return out;
}
std::string hex(std::string_view text) {
  std::string out;
  for (const char c : text) {
    out += "0123456789abcdef"[static_cast<uint8_t>(c) >> 4];
    out += "0123456789abcdef"[static_cast<uint8_t>(c) & 15];
  }
  return out;
}
template <class T>
std::string problem(std::string_view body) {
  T object;
  const auto read = read_cbor(body, T::kShape, &object, nullptr);
  return read ? "" : read.error().message;
}
// A map of one member.
std::string with(std::string_view name, std::string_view value) {
  std::string out = "\xa1";
  cbor::append_text(out, name);
  return out.append(value);
}

TEST(Cbor, EveryInputOfEveryOperationComesBackAsItWas) {
  Prng random(1);
  for (const Service* service : services()) {
    for (const Operation* operation : service->operations) {
      const auto input = operation->make_input();
      fill(*operation->input, input.get(), random, {.refused_too = true});
      std::string sent;
      append_cbor(sent, *operation->input, input.get());
      const auto again = operation->make_input();
      std::vector<Path> missing;
      const auto read = read_cbor(sent, *operation->input, again.get(), &missing);
      ASSERT_TRUE(read) << operation->name << ": " << read.error().message;
      EXPECT_TRUE(missing.empty()) << operation->name << ": " << to_string(missing.front());
      std::string before, after;
      append_json(before, *operation->input, input.get());
      append_json(after, *operation->input, again.get());
      EXPECT_EQ(before, after) << operation->name;
    }
  }
}

template <class T>
void expect_round_trips() {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    Prng random(seed);
    const auto value = filled<T>(random);
    const auto again = from_cbor<T>(to_cbor(value));
    ASSERT_TRUE(again) << again.error().context;
    EXPECT_EQ(to_json(*again), to_json(value));
  }
}

TEST(Cbor, AnswersComeBackAsTheyWere) {
  expect_round_trips<servicediscovery::GetInstancesHealthStatusResponse>();
  expect_round_trips<servicediscovery::GetOperationResponse>();
  expect_round_trips<servicediscovery::DiscoverInstancesResponse>();
  expect_round_trips<ecs::DescribeTasksResponse>();
  expect_round_trips<ssm::GetOpsSummaryResult>();
  expect_round_trips<ssm::GetExecutionPreviewResponse>();
  expect_round_trips<kinesis::SubscribeToShardEventStream>();
}

// Appendix A of RFC 8949, and what Smithy says of each type.
TEST(Cbor, NumbersOfEachWidth) {
  using Entry = ecs::CapacityProviderStrategyItem;  // weight: an integer of 32 bits
  const auto weight = [](std::string_view value) {
    const auto read =
        from_cbor<Entry>(bytes("a2 70 6361706163697479 50726f7669646572 61 78 66 776569676874") + bytes(value));
    return read ? read->weight.value() : -999;
  };
  EXPECT_EQ(weight("00"), 0);
  EXPECT_EQ(weight("17"), 23);
  EXPECT_EQ(weight("1818"), 24);
  EXPECT_EQ(weight("1903e8"), 1000);
  EXPECT_EQ(weight("1a000f4240"), 1000000);
  EXPECT_EQ(weight("1b00000000000f4240"), 1000000);
  EXPECT_EQ(weight("20"), -1);
  EXPECT_EQ(weight("3903e7"), -1000);
  EXPECT_EQ(weight("f94900"), 10);  // a half of a whole number
  EXPECT_EQ(weight("fa47c35000"), 100000);
  EXPECT_EQ(weight("fbc024000000000000"), -10);
  EXPECT_EQ(weight("1a80000000"), -999);  // 2^31
  EXPECT_EQ(weight("f93e00"), -999);      // 1.5
  EXPECT_EQ(weight("f97e00"), -999);      // NaN
  EXPECT_EQ(weight("1bffffffffffffffff"), -999);
  EXPECT_EQ(weight("c249010000000000000000"), -999);  // 2^64
  EXPECT_EQ(weight("6131"), -999);
}

TEST(Cbor, FloatsOfEachWidth) {
  const auto number = [](std::string_view head) {
    std::string text = bytes(head);
    std::string_view view = text;
    return cbor::to_double(*cbor::take_head(view));
  };
  EXPECT_EQ(number("f93c00"), 1.0);
  EXPECT_EQ(number("f97bff"), 65504.0);
  EXPECT_EQ(number("f90001"), 5.960464477539063e-8);
  EXPECT_EQ(number("f90400"), 0.00006103515625);
  EXPECT_EQ(number("f9c400"), -4.0);
  EXPECT_EQ(number("f97c00"), INFINITY);
  EXPECT_EQ(number("f9fc00"), -INFINITY);
  EXPECT_TRUE(std::isnan(number("f97e00")));
  EXPECT_TRUE(std::signbit(number("f98000")));
  EXPECT_EQ(number("fa7f7fffff"), 3.4028234663852886e+38);
  EXPECT_EQ(number("fb3ff199999999999a"), 1.1);
  const auto written = [](double value) {
    std::string out;
    cbor::append_double(out, value);
    return hex(out);
  };
  EXPECT_EQ(written(1.5), "fa3fc00000");
  EXPECT_EQ(written(1.1), "fb3ff199999999999a");
  EXPECT_EQ(written(1e300), "fb7e37e43c8800759c");
  EXPECT_EQ(written(-INFINITY), "faff800000");
}

TEST(Cbor, TimestampsAreTagOne) {
  const auto created = [](std::string_view value) {
    const auto read = from_cbor<ecs::Task>(with("createdAt", bytes(value)));
    return read ? read->created_at.value() : -1;
  };
  EXPECT_EQ(created("c11a514b67b0"), 1363896240000);
  EXPECT_EQ(created("c1fb41d452d9ec200000"), 1363896240500);
  EXPECT_EQ(created("1a514b67b0"), -1);    // no tag
  EXPECT_EQ(created("c01a514b67b0"), -1);  // another
  EXPECT_EQ(created("c16130"), -1);
  EXPECT_EQ(created("c11bffffffffffffffff"), -1);
  EXPECT_EQ(created("c1f97e00"), -1);
  ecs::Task task;
  task.created_at = 1363896240500;
  EXPECT_EQ(hex(to_cbor(task)), hex(with("createdAt", bytes("c1fb41d452d9ec200000"))));
  task.created_at = 1363896240000;
  EXPECT_EQ(hex(to_cbor(task)), hex(with("createdAt", bytes("c11a514b67b0"))));
}

TEST(Cbor, IndefiniteLengths) {
  using Input = servicediscovery::RegisterInstanceRequest;
  // {_ (_ "Inst", "anceId"): (_ "a", "b"), "Attributes": {_ "k": "v"}, "ServiceId": "s"}
  const std::string body = bytes("bf 7f 64 496e7374 66 616e63654964 ff 7f 61 61 61 62 ff") +
                           bytes("6a 41747472696275746573") + bytes("bf 61 6b 61 76 ff") +
                           bytes("69 536572766963654964 61 73 ff");
  const auto read = from_cbor<Input>(body);
  ASSERT_TRUE(read) << read.error().context;
  EXPECT_EQ(read->instance_id, "ab");
  EXPECT_EQ(read->attributes.at("k"), "v");
  const auto list = from_cbor<ecs::DescribeClustersRequest>(with("clusters", bytes("9f 61 61 61 62 ff")));
  ASSERT_TRUE(list) << list.error().context;
  EXPECT_THAT(*list->clusters, ElementsAre("a", "b"));
  // Pieces are of the string's own type and have lengths.
  EXPECT_EQ(problem<Input>(with("InstanceId", bytes("7f 41 61 ff"))), "The body is not well-formed CBOR");
  EXPECT_EQ(problem<Input>(with("InstanceId", bytes("7f 7f 61 61 ff ff"))), "The body is not well-formed CBOR");
}

TEST(Cbor, UnknownMembersAreSkippedAndNullMeansAbsent) {
  // {"x": [1, {"y": [_ h'00', "z"]}, 1(0), 1.5], "clusterName": null, "other": undefined}
  const auto input =
      from_cbor<ecs::CreateClusterRequest>(bytes("a3 61 78 84 01 a1 61 79 9f 41 00 61 7a ff c1 00 f93e00") +
                                           bytes("6b 636c75737465724e616d65 f6 65 6f74686572 f7"));
  ASSERT_TRUE(input) << input.error().context;
  EXPECT_FALSE(input->cluster_name);
  EXPECT_TRUE(from_cbor<ecs::CreateClusterRequest>(""));
  EXPECT_TRUE(from_cbor<ecs::CreateClusterRequest>(bytes("d9d9f7 a0")));  // self-described
}

TEST(Cbor, OfEqualNamesTheLastCounts) {
  const auto input = from_cbor<ecs::DescribeServicesRequest>(
      bytes("a2 68 7365727669636573 82 61 61 61 62 68 7365727669636573 81 61 63"));
  ASSERT_TRUE(input) << input.error().context;
  EXPECT_THAT(input->services, ElementsAre("c"));
}

TEST(Cbor, MissingMembersAreNamed) {
  servicediscovery::CreateServiceRequest input;
  std::vector<Path> missing;
  // {"DnsConfig": {"DnsRecords": [{"TTL": 1}]}}
  const auto read = read_cbor(bytes("a1 69 446e73436f6e666967 a1 6a 446e735265636f726473 81 a1 63 54544c 01"),
                              servicediscovery::CreateServiceRequest::kShape, &input, &missing);
  ASSERT_TRUE(read) << read.error().message;
  std::vector<std::string> names;
  for (const Path& path : missing) names.push_back(to_string(path));
  EXPECT_THAT(names, ElementsAre("DnsConfig.DnsRecords[0].Type", "Name"));
}

TEST(Cbor, WrongTypesAreRefused) {
  using Register = servicediscovery::RegisterInstanceRequest;
  EXPECT_EQ(problem<Register>(with("InstanceId", bytes("01"))), "Expected a text string, found an integer");
  EXPECT_EQ(problem<Register>(with("InstanceId", bytes("41 61"))), "Expected a text string, found a byte string");
  EXPECT_EQ(problem<Register>(with("InstanceId", bytes("a0"))), "Expected a text string, found a map");
  EXPECT_EQ(problem<Register>(with("InstanceId", bytes("61 ff"))), "A text string is not UTF-8");
  EXPECT_EQ(problem<Register>(with("Attributes", bytes("80"))), "Expected a map, found an array");
  EXPECT_EQ(problem<Register>(with("Attributes", bytes("a1 61 61 f6"))), "Null found where a map's value was expected");
  EXPECT_EQ(problem<Register>(with("Attributes", bytes("a1 01 61 61"))), "A map's key is not a text string");
  EXPECT_EQ(problem<ecs::DescribeClustersRequest>(with("clusters", bytes("81 f6"))),
            "Null found where a list's element was expected");
  EXPECT_EQ(problem<ecs::DescribeClustersRequest>(with("clusters", bytes("a0"))), "Expected an array, found a map");
  EXPECT_EQ(problem<Register>(bytes("80")), "Expected a map, found an array");
  EXPECT_EQ(problem<Register>(bytes("f6")), "Expected a map, found null");
  EXPECT_EQ(problem<Register>(bytes("a0 00")), "The body has 1 more bytes after its value");
  EXPECT_EQ(problem<kinesis::PutRecordsInput>(with("Records", bytes("81 a1 64 44617461 61 61"))),
            "Expected a byte string, found a text string");
}

TEST(Cbor, WhatIsNotWellFormedIsRefused) {
  using Register = servicediscovery::RegisterInstanceRequest;
  for (const char* body : {"a1", "bf", "a1 6a 496e", "ff", "1c", "df 00", "f8", "a1 61 78 ff", "a1 61 78 9f 01"})
    EXPECT_FALSE(problem<Register>(bytes(body)).empty()) << body;
}

TEST(Cbor, HostileLengthsAllocateNothing) {
  using Register = servicediscovery::RegisterInstanceRequest;
  EXPECT_EQ(problem<Register>(with("InstanceId", bytes("7b 7fffffffffffffff"))), "The body ends within a string");
  EXPECT_EQ(problem<Register>(with("x", bytes("5b ffffffffffffffff"))), "The body ends within a string");
  EXPECT_EQ(problem<Register>(with("Attributes", bytes("bb ffffffffffffffff"))), "The body is not well-formed CBOR");
  EXPECT_EQ(problem<ecs::DescribeClustersRequest>(with("clusters", bytes("9b ffffffffffffffff"))),
            "The body is not well-formed CBOR");
  EXPECT_EQ(problem<Register>(with("x", bytes("9b ffffffffffffffff"))), "The body is not well-formed CBOR");
}

TEST(Cbor, DepthHasALimit) {
  const auto nested = [](std::string_view member, int levels, char opening) {
    return with(member, std::string(static_cast<size_t>(levels), opening) + '\0');
  };
  EXPECT_EQ(problem<ecs::CreateClusterRequest>(nested("x", limits::kJsonDepthMax - 1, '\x81')), "");
  EXPECT_EQ(problem<ecs::CreateClusterRequest>(nested("x", limits::kJsonDepthMax, '\x81')),
            "The body is nested more than 64 deep");
  EXPECT_EQ(problem<ecs::CreateClusterRequest>(nested("x", 1'000'000, '\x81')), "The body is nested more than 64 deep");
  EXPECT_EQ(problem<ecs::CreateClusterRequest>(nested("clusterName", 1'000'000, '\xc1')),
            "The body is not well-formed CBOR");
  std::string recursive;
  for (int i = 0; i < 1000; ++i) recursive += with("Aggregators", "\x81");
  EXPECT_EQ(problem<ssm::GetOpsSummaryRequest>(recursive), "The body is nested more than 64 deep");
}

TEST(Cbor, ElementsHaveALimit) {
  const auto body = [](uint64_t count) {
    std::string out;
    cbor::append_head(out, cbor::Major::array, count);
    return with("tags", out.append(count, '\xa0'));
  };
  EXPECT_EQ(problem<ecs::CreateClusterRequest>(body(limits::kRequestElementsMax)), "");
  EXPECT_EQ(problem<ecs::CreateClusterRequest>(body(limits::kRequestElementsMax + 1)),
            "The request has more than 20000 elements");
}

TEST(Cbor, TextThatIsNotUtf8IsMended) {
  ecs::Task task;
  task.task_arn = "a\xff";
  EXPECT_EQ(hex(to_cbor(task)), hex(with("taskArn", bytes("64 61 efbfbd"))));
}

TEST(Cbor, ErrorsHaveWhatTheModelGivesThem) {
  std::string body;
  append_cbor_error(body, &servicediscovery::kCreateHttpNamespace,
                    {"NamespaceAlreadyExists", "m", 400, {{"NamespaceId", {"ns-1"}}}});
  std::string expected = "\xa3";
  for (const char* text : {"__type", "NamespaceAlreadyExists", "Message", "m", "NamespaceId", "ns-1"})
    cbor::append_text(expected, text);
  EXPECT_EQ(hex(body), hex(expected));
}

}  // namespace
}  // namespace berth::model
