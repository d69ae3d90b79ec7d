#include "wire/endpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/cbor_codec.h"
#include "model/ec2/operations.h"
#include "model/ec2/vpcs.h"
#include "model/ecs/operations.h"
#include "model/ecs/task.h"
#include "model/ecs/task_definition.h"
#include "model/fill.h"
#include "model/logs/group.h"
#include "model/logs/operations.h"
#include "model/servicediscovery/operations.h"
#include "model/servicediscovery/service.h"
#include "model/sts/identity.h"
#include "model/sts/operations.h"
#include "wire/pack.h"

namespace berth::wire {
namespace {

using testing::HasSubstr;

class OneKey final : public sigv4::KeyLookup {
 public:
  std::shared_ptr<const sigv4::Key> find(std::string_view access_key_id) override {
    return access_key_id == key->access_key_id ? key : nullptr;
  }
  const std::shared_ptr<const sigv4::Key> key = std::make_shared<sigv4::Key>(
      sigv4::Key{"AKID", "secret", "", 0, "123456789012", "arn:aws:iam::123456789012:root"});
};

// Renders each answer at once.
class Capture final : public ReplySink {
 public:
  void post(uint64_t, std::unique_ptr<Answer> answer) override {
    ++answers;
    response = {};
    dropped = answer == nullptr;
    if (answer) answer->render(response);
    request_id = response.request_id;
  }
  int answers = 0;
  bool dropped = false;
  HttpResponse response;
  std::string request_id;
};

class EndpointTest : public testing::Test {
 protected:
  EndpointTest() { make({}); }
  void make(EndpointOptions options) {
    endpoint_ = std::make_unique<Endpoint>(dispatcher_, keys_, clock_, random_, std::move(options));
  }

  using Headers = std::vector<std::pair<std::string, std::string>>;

  HttpResponse& send_unsigned(const Headers& headers, std::string_view body, std::string_view method = "POST",
                              std::string_view query = {}) {
    std::vector<sigv4::Header> views;
    for (const auto& [name, value] : headers) views.push_back({name, value});
    const int before = sink_->answers;
    endpoint_->handle({method, path_, query, views, body}, Reply(sink_, 1));
    EXPECT_LE(sink_->answers, before + 1);
    return sink_->response;
  }
  HttpResponse& send(std::string_view service, Headers headers, std::string_view body, std::string_view method = "POST",
                     std::string_view query = {}) {
    headers.insert(headers.begin(), {"Host", "berth"});
    std::vector<sigv4::Header> views;
    for (const auto& [name, value] : headers) views.push_back({name, value});
    for (auto& header :
         sigv4::sign({method, path_, query, views, body}, *keys_.key, "eu-central-1", service, clock_.now_ms())) {
      headers.push_back(header);
    }
    return send_unsigned(headers, body, method, query);
  }
  HttpResponse& ecs(std::string_view operation, std::string_view body) {
    return send("ecs", {{"X-Amz-Target", "AmazonEC2ContainerServiceV20141113." + std::string(operation)}}, body);
  }
  HttpResponse& form(std::string_view service, std::string_view body) {
    return send(service, {{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"}}, body);
  }

  std::string path_ = "/";
  Dispatcher dispatcher_;
  OneKey keys_;
  FakeClock clock_;
  Prng random_{1};
  std::shared_ptr<Capture> sink_ = std::make_shared<Capture>();
  std::unique_ptr<Endpoint> endpoint_;
};

TEST_F(EndpointTest, JsonCallAndAnswer) {
  std::unique_ptr<Call> kept;
  dispatcher_.serve(model::ecs::kStopTask, [&](std::unique_ptr<Call> call) { kept = std::move(call); });
  ecs("StopTask", R"({"task":"t","reason":"é"})");
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->caller, (Caller{"123456789012", "eu-central-1", "arn:aws:iam::123456789012:root", "AKID"}));
  EXPECT_EQ(kept->now_ms, clock_.now_ms());
  const auto& input = kept->input<model::ecs::StopTaskRequest>();
  EXPECT_EQ(input.task, "t");
  EXPECT_EQ(input.reason, "é");
  auto output = std::make_shared<model::ecs::StopTaskResponse>();
  output->task.emplace().stopped_reason = "é";
  kept->respond(output);
  EXPECT_EQ(sink_->response.status, 200);
  EXPECT_EQ(sink_->response.content_type, "application/x-amz-json-1.1");
  EXPECT_EQ(sink_->response.body, R"({"task":{"stoppedReason":"é"}})");
  EXPECT_EQ(sink_->request_id, kept->request_id);
  EXPECT_EQ(sink_->request_id.size(), 36u);
}

TEST_F(EndpointTest, ErrorsOfHandlers) {
  dispatcher_.serve(model::ecs::kRunTask, [](std::unique_ptr<Call> call) {
    call->respond(ApiError{"ConflictException", "once \"more\"", 400, {{"resourceIds", {"a", "b"}}}});
  });
  EXPECT_EQ(ecs("RunTask", R"({"taskDefinition":"t"})").status, 400);
  EXPECT_EQ(sink_->response.body,
            R"({"__type":"ConflictException","message":"once \"more\"","resourceIds":["a","b"]})");
}

TEST_F(EndpointTest, ALostCallIsAnswered) {
  dispatcher_.serve(model::ecs::kRunTask, [](std::unique_ptr<Call>) {});
  EXPECT_EQ(ecs("RunTask", R"({"taskDefinition":"t"})").status, 500);
  EXPECT_THAT(sink_->response.body, HasSubstr("ServerException"));
}

TEST_F(EndpointTest, OperationsWithoutOutput) {
  dispatcher_.serve(model::logs::kCreateLogGroup, [](std::unique_ptr<Call> call) { call->respond_empty(); });
  auto& response = send("logs", {{"X-Amz-Target", "Logs_20140328.CreateLogGroup"}}, R"({"logGroupName":"a"})");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "");
}

TEST_F(EndpointTest, WhatIsNotServedIsNamed) {
  EXPECT_EQ(ecs("CreateTaskSet", "{}").status, 400);
  EXPECT_EQ(
      sink_->response.body,
      R"({"__type":"UnknownOperationException","message":"The operation CreateTaskSet of Amazon EC2 Container Service is not served by Berth."})");
  // In the manifest, but without a handler.
  EXPECT_THAT(ecs("ListTasks", "{}").body,
              HasSubstr("The operation ListTasks of Amazon EC2 Container Service is not served"));
  EXPECT_THAT(ecs("Nonsense", "{}").body,
              HasSubstr("'Nonsense' is no operation of Amazon EC2 Container Service 2014-11-13."));
  EXPECT_THAT(send("ecs", {{"X-Amz-Target", "Nobody_20140328.CreateLogGroup"}}, "{}").body,
              HasSubstr("names no operation of Amazon EC2"));
  EXPECT_THAT(send("ecs", {}, "{}").body, HasSubstr("UnknownOperationException"));
  EXPECT_THAT(form("ec2", "Action=RunInstances&Version=2016-11-15").body,
              HasSubstr("<Code>InvalidAction</Code><Message>The action RunInstances is not valid for this web service."));
  EXPECT_THAT(form("ec2", "Version=2016-11-15").body, HasSubstr("<Code>MissingAction</Code>"));
}

TEST_F(EndpointTest, WithoutSignaturesPagesOfOthersAreKeptOut) {
  make({.authenticate = false, .anonymous = {"000000000000", "us-east-1", "arn:aws:iam::000000000000:root", ""}});
  int calls = 0;
  dispatcher_.serve(model::ec2::kDescribeVpcs, [&](std::unique_ptr<Call> call) {
    ++calls;
    call->respond(std::make_shared<model::ec2::DescribeVpcsResult>());
  });
  const std::string body = "Action=DescribeVpcs&Version=2016-11-15";
  const std::pair<std::string, std::string> type{"Content-Type", "application/x-www-form-urlencoded"};
  EXPECT_EQ(send_unsigned({{"Host", "data-127.0.0.1:4566"}, type}, body).status, 200);
  EXPECT_EQ(send_unsigned({{"Host", "evil.example"}, type}, body).status, 403);
  EXPECT_THAT(sink_->response.body, HasSubstr("<Code>AccessDenied</Code>"));
  EXPECT_EQ(send_unsigned({{"Host", "127.0.0.1"}, {"Origin", "https://evil.example"}, type}, body).status, 403);
  EXPECT_EQ(send_unsigned({{"Host", "127.0.0.1"}, {"Sec-Fetch-Site", "cross-site"}}, "", "GET", body).status, 403);
  EXPECT_EQ(calls, 1);
}

TEST_F(EndpointTest, ARequestPicksItsProtocol) {
  namespace sd = model::servicediscovery;
  dispatcher_.serve(sd::kGetService, [](std::unique_ptr<Call> call) {
    const std::string id = call->input<sd::GetServiceRequest>().id;
    if (id == "none") return call->respond(ApiError{"ServiceNotFound", "There is none."});
    auto output = std::make_shared<sd::GetServiceResponse>();
    output->service.emplace().id = id;
    call->respond(output);
  });
  const std::string path = "/service/Route53AutoNaming_v20170314/operation/GetService";
  const Headers cbor{{"smithy-protocol", "rpc-v2-cbor"}, {"Content-Type", "application/cbor"}};
  sd::GetServiceRequest in;
  in.id = "srv-1";
  for (const std::string& prefix : {std::string(), std::string("/any/where")}) {
    path_ = prefix + path;
    EXPECT_EQ(send("servicediscovery", cbor, model::to_cbor(in)).status, 200);
    EXPECT_EQ(sink_->response.content_type, "application/cbor");
    EXPECT_THAT(sink_->response.headers, HasSubstr("smithy-protocol: rpc-v2-cbor\r\n"));
    const auto out = model::from_cbor<sd::GetServiceResponse>(sink_->response.body);
    ASSERT_TRUE(out);
    EXPECT_EQ(out->service->id, "srv-1");
  }
  in.id = "none";
  EXPECT_EQ(send("servicediscovery", cbor, model::to_cbor(in)).status, 404);
  EXPECT_THAT(sink_->response.headers, HasSubstr("smithy-protocol: rpc-v2-cbor\r\n"));
  EXPECT_THAT(sink_->response.body, AllOf(HasSubstr("__type"), HasSubstr("ServiceNotFound"), HasSubstr("Message")));
  EXPECT_EQ(send("servicediscovery", cbor, "\xff").status, 400);
  EXPECT_THAT(sink_->response.body, HasSubstr("SerializationException"));
  Headers both = cbor;
  both.emplace_back("X-Amz-Target", "Route53AutoNaming_v20170314.GetService");
  EXPECT_EQ(send("servicediscovery", both, model::to_cbor(in)).status, 400);
  EXPECT_THAT(sink_->response.body, HasSubstr("must not have the header X-Amz-Target"));
  path_ = "/service/Other/operation/GetService";
  EXPECT_THAT(send("servicediscovery", cbor, model::to_cbor(in)).body, HasSubstr("names no operation of"));
  path_ = "/service/AmazonEC2ContainerServiceV20141113/operation/ListTasks";
  EXPECT_THAT(send("ecs", cbor, "\xa0").body, HasSubstr("does not speak rpc-v2-cbor"));

  path_ = "/";
  const Headers json{{"X-Amz-Target", "Route53AutoNaming_v20170314.GetService"}};
  EXPECT_EQ(send("servicediscovery", json, R"({"Id":"srv-2"})").body, R"({"Service":{"Id":"srv-2"}})");
  EXPECT_EQ(send("servicediscovery", json, R"({"Id":"none"})").status, 404);
  EXPECT_EQ(sink_->response.body, R"({"__type":"ServiceNotFound","Message":"There is none."})");
}

TEST_F(EndpointTest, BodiesMayBePacked) {
  std::string seen;
  dispatcher_.serve(model::ecs::kStopTask, [&](std::unique_ptr<Call> call) {
    seen = call->input<model::ecs::StopTaskRequest>().task;
    call->respond(std::make_shared<model::ecs::StopTaskResponse>());
  });
  dispatcher_.serve(model::ec2::kDescribeVpcs, [&](std::unique_ptr<Call> call) {
    seen = call->input<model::ec2::DescribeVpcsRequest>().vpc_ids->front();
    call->respond(std::make_shared<model::ec2::DescribeVpcsResult>());
  });
  const Headers json{{"X-Amz-Target", "AmazonEC2ContainerServiceV20141113.StopTask"}, {"Content-Encoding", "gzip"}};
  EXPECT_EQ(send("ecs", json, packed(R"({"task":"packed"})")).status, 200);
  EXPECT_EQ(seen, "packed");
  const Headers query{{"Content-Type", "application/x-www-form-urlencoded"}, {"Content-Encoding", "gzip"}};
  EXPECT_EQ(send("ec2", query, packed("Action=DescribeVpcs&Version=2016-11-15&VpcId.1=vpc-1")).status, 200);
  EXPECT_EQ(seen, "vpc-1");

  EXPECT_EQ(send("ecs", json, R"({"task":"plain"})").status, 400);
  EXPECT_THAT(sink_->response.body, HasSubstr("not well-formed gzip"));
  const std::string bomb = packed(R"({"task":")" + std::string(limits::kGzipInflatedBytesMax, ' ') + R"("})");
  EXPECT_LT(bomb.size(), 100'000u);
  EXPECT_EQ(send("ecs", json, bomb).status, 413);
  EXPECT_THAT(sink_->response.body, HasSubstr("when unpacked"));
}

TEST_F(EndpointTest, ForeignServicesAreNamedInTheirProtocol) {
  EXPECT_EQ(send("s3", {}, "", "GET").status, 400);
  EXPECT_THAT(
      sink_->response.body,
      HasSubstr("<Error><Code>UnknownOperationException</Code><Message>Amazon Simple Storage Service (s3) is not"));
  EXPECT_EQ(sink_->response.content_type, "application/xml");
  EXPECT_THAT(send("kms", {{"X-Amz-Target", "TrentService.ListKeys"}}, "{}").body,
              HasSubstr("AWS Key Management Service (kms) is not served"));
  EXPECT_THAT(form("iam", "Action=ListRoles&Version=2010-05-08").body,
              HasSubstr("<Message>AWS Identity and Access Management (iam)"));
  send("lambda", {{"Content-Type", "application/json"}}, "{}");
  EXPECT_THAT(sink_->response.headers, HasSubstr("x-amzn-ErrorType: UnknownOperationException\r\n"));
  send("monitoring", {{"smithy-protocol", "rpc-v2-cbor"}}, "");
  EXPECT_EQ(sink_->response.content_type, "application/cbor");
  EXPECT_EQ(sink_->response.body.substr(0, 9), "\xa2\x66__type\x78");
  EXPECT_THAT(send("nonsense", {}, "").body, HasSubstr("There is no service 'nonsense'."));
}

TEST_F(EndpointTest, SignatureErrorsInEveryProtocol) {
  dispatcher_.serve(model::ecs::kListTasks, [](std::unique_ptr<Call>) { FAIL(); });
  dispatcher_.serve(model::sts::kGetCallerIdentity, [](std::unique_ptr<Call>) { FAIL(); });
  dispatcher_.serve(model::ec2::kDescribeVpcs, [](std::unique_ptr<Call>) { FAIL(); });
  const TimeMs now = clock_.now_ms();
  const auto late = [&](auto send_one) {
    // Signed now, received an hour later.
    Headers headers = {{"Host", "berth"}};
    send_one(headers);
  };
  const auto try_service = [&](std::string_view service, const Headers& extra, std::string_view body) {
    late([&](Headers headers) {
      headers.insert(headers.end(), extra.begin(), extra.end());
      std::vector<sigv4::Header> views;
      for (const auto& [name, value] : headers) views.push_back({name, value});
      const auto added =
          sigv4::sign({"POST", "/", "", views, body}, *keys_.key, "eu-central-1", service, now - 3'600'000);
      headers.insert(headers.end(), added.begin(), added.end());
      send_unsigned(headers, body);
    });
  };
  try_service("ecs", {{"X-Amz-Target", "AmazonEC2ContainerServiceV20141113.ListTasks"}}, "{}");
  EXPECT_EQ(sink_->response.status, 400);
  EXPECT_THAT(sink_->response.body,
              HasSubstr(R"("__type":"InvalidSignatureException","message":"Signature expired: )"));
  try_service("sts", {}, "Action=GetCallerIdentity&Version=2011-06-15");
  EXPECT_EQ(sink_->response.status, 403);
  EXPECT_THAT(sink_->response.body, HasSubstr("<Code>SignatureDoesNotMatch</Code><Message>Signature expired"));
  try_service("ec2", {}, "Action=DescribeVpcs&Version=2016-11-15");
  EXPECT_EQ(sink_->response.status, 403);
  EXPECT_THAT(sink_->response.body, HasSubstr("<Errors><Error><Code>SignatureDoesNotMatch</Code>"));

  EXPECT_EQ(send_unsigned({{"X-Amz-Target", "AmazonEC2ContainerServiceV20141113.ListTasks"}}, "{}").status, 400);
  EXPECT_EQ(sink_->response.body,
            R"({"__type":"MissingAuthenticationTokenException","message":"Missing Authentication Token"})");
  EXPECT_EQ(send_unsigned({{"Content-Type", "application/x-www-form-urlencoded"}},
                          "Action=GetCallerIdentity&Version=2011-06-15")
                .status,
            403);
  EXPECT_EQ(send_unsigned({}, "", "GET").status, 400);
}

TEST_F(EndpointTest, WithoutAuthenticationAnybodyIsTheRoot) {
  make({.authenticate = false, .anonymous = {"000000000000", "us-east-1", "arn:aws:iam::000000000000:root", ""}});
  Caller seen;
  const auto keep = [&](std::unique_ptr<Call> call) {
    seen = call->caller;
    call->respond(ApiError{"X", ""});
  };
  dispatcher_.serve(model::ecs::kListTasks, keep);
  dispatcher_.serve(model::sts::kGetCallerIdentity, keep);
  send_unsigned({{"X-Amz-Target", "AmazonEC2ContainerServiceV20141113.ListTasks"}}, "{}");
  EXPECT_EQ(seen.region, "us-east-1");
  send_unsigned(
      {{"Authorization",
        "AWS4-HMAC-SHA256 Credential=any/20260101/eu-west-1/sts/aws4_request, SignedHeaders=host, Signature=0"}},
      "Action=GetCallerIdentity&Version=2011-06-15");
  EXPECT_EQ(seen.region, "eu-west-1");
  EXPECT_EQ(seen.account, "000000000000");
  seen = {};
  send_unsigned({}, "Action=GetCallerIdentity&Version=2011-06-15");
  EXPECT_EQ(seen.account, "000000000000");
}

TEST_F(EndpointTest, BodiesAreCheckedAfterTheSignature) {
  dispatcher_.serve(model::ecs::kStopTask, [](std::unique_ptr<Call>) { FAIL(); });
  EXPECT_EQ(ecs("StopTask", R"({"task":1})").body,
            R"({"__type":"SerializationException","message":"NUMBER_VALUE can not be converted to a String"})");
  EXPECT_EQ(ecs("StopTask", "{}").body, R"({"__type":"InvalidParameterException","message":"Task can not be blank."})");
  EXPECT_EQ(sink_->response.status, 400);
}

TEST_F(EndpointTest, QueryProtocol) {
  dispatcher_.serve(model::sts::kGetCallerIdentity, [](std::unique_ptr<Call> call) {
    auto output = std::make_shared<model::sts::GetCallerIdentityResponse>();
    output->account = call->caller.account;
    output->arn = "a<b>&\"c\"\x01\xff";
    call->respond(output);
  });
  EXPECT_EQ(form("sts", "Action=GetCallerIdentity&Version=2011-06-15").status, 200);
  EXPECT_EQ(
      sink_->response.body,
      "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>"
      "<Account>123456789012</Account><Arn>a&lt;b&gt;&amp;&quot;c&quot;\xef\xbf\xbd\xef\xbf\xbd</Arn></GetCallerIdentityResult>"
      "<ResponseMetadata><RequestId>" +
          sink_->request_id + "</RequestId></ResponseMetadata></GetCallerIdentityResponse>");
  EXPECT_EQ(send("sts", {}, "", "GET", "Action=GetCallerIdentity&Version=2011-06-15").status, 200);
}

TEST_F(EndpointTest, Ec2QueryProtocol) {
  dispatcher_.serve(model::ec2::kDescribeVpcs, [](std::unique_ptr<Call> call) {
    const auto& input = call->input<model::ec2::DescribeVpcsRequest>();
    auto output = std::make_shared<model::ec2::DescribeVpcsResult>();
    auto& vpc = output->vpcs.emplace().emplace_back();
    vpc.is_default = true;
    vpc.vpc_id = input.vpc_ids->at(0);
    auto& tags = vpc.tags.emplace();
    for (const auto& filter : *input.filters) {
      for (const auto& value : *filter.values) tags.push_back({.key = filter.name, .value = value});
    }
    call->respond(output);
  });
  EXPECT_EQ(
      form(
          "ec2",
          "Action=DescribeVpcs&Version=2016-11-15&Filter.2.Name=z&Filter.2.Value.1=%C3%A9+x&Filter.1.Name=a&Filter.1.Value.2=2&Filter.1.Value.10=10"
          "&VpcId.1=vpc-1&Filter.01.Name=no&Filter.x.Name=no&MaxResults=5&DryRun=false")
          .status,
      200);
  EXPECT_EQ(
      sink_->response.body,
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<DescribeVpcsResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>" +
          sink_->request_id +
          "</requestId><vpcSet><item><isDefault>true</isDefault><tagSet>"
          "<item><key>a</key><value>2</value></item><item><key>a</key><value>10</value></item>"
          "<item><key>z</key><value>é x</value></item></tagSet><vpcId>vpc-1</vpcId></item></vpcSet></DescribeVpcsResponse>");
  EXPECT_THAT(
      form("ec2", "Action=DescribeVpcs&Version=2016-11-15&MaxResults=many").body,
      HasSubstr(
          "<Code>MalformedInput</Code><Message>Invalid value for MaxResults: 'many' is not an integer</Message>"));
  // Elements without a value of their own are passed over.
  EXPECT_THAT(
      form("ec2", "Action=DescribeVpcs&Version=2016-11-15&VpcId.1.x=1&VpcId.2=vpc-2&Filter.1.Name=a&Filter.1.Value.1=b")
          .body,
      HasSubstr("<vpcId>vpc-2</vpcId>"));
  std::string many = "Action=DescribeVpcs&Version=2016-11-15";
  for (size_t i = 0; i < limits::kQueryParametersMax; ++i) many += "&VpcId." + std::to_string(i) + "=x";
  EXPECT_THAT(form("ec2", many).body, HasSubstr("The request has more than 4096 parameters."));
}

TEST_F(EndpointTest, Health) {
  const std::vector<sigv4::Header> none;
  endpoint_->handle({"GET", "/_berth/health", "", none, ""}, Reply(sink_, 1));
  EXPECT_EQ(sink_->response.body,
            "{\"services\":{\"ec2\":\"available\",\"ecs\":\"available\",\"logs\":\"available\","
            "\"servicediscovery\":\"available\",\"sts\":\"available\"}}\n");
  endpoint_->handle({"HEAD", "/_berth/health", "", none, ""}, Reply(sink_, 1));
  EXPECT_EQ(sink_->response.status, 200);
}

// The client's side of the query protocols, by the same tables: what is written must be what is read.
void write_form(std::string& out, const model::Shape& shape, const void* object, const std::string& key) {
  using model::Kind;
  const auto scalar = [&](const std::string& text) {
    static constexpr char kHex[] = "0123456789ABCDEF";
    out += "&" + key + "=";
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      out += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  };
  switch (shape.kind) {
    case Kind::string: scalar(*static_cast<const std::string*>(object)); break;
    case Kind::integer: scalar(std::to_string(*static_cast<const int32_t*>(object))); break;
    case Kind::long_integer: scalar(std::to_string(*static_cast<const int64_t*>(object))); break;
    case Kind::boolean: scalar(*static_cast<const bool*>(object) ? "true" : "false"); break;
    case Kind::structure:
      for (const model::Member& member : shape.members) {
        const void* place = static_cast<const char*>(object) + member.offset;
        const void* value = member.presence ? member.presence->get(place) : place;
        if (value)
          write_form(out, *member.shape, value, (key.empty() ? "" : key + ".") + std::string(member.query_key));
      }
      break;
    case Kind::list: {
      const char* element = static_cast<const char*>(shape.vector->data(object));
      for (size_t i = 0; i < shape.vector->size(object); ++i, element += shape.vector->stride) {
        write_form(out, *shape.element, element,
                   key + "." + (shape.flattened ? "" : std::string(shape.element_name) + ".") + std::to_string(i + 1));
      }
      break;
    }
    default: FAIL() << "no such kind in what is served yet";
  }
}

TEST_F(EndpointTest, EveryQueryInputArrivesAsItWasSent) {
  for (const model::Service* service : model::services()) {
    if (service->protocol == model::Protocol::json) continue;
    for (const model::Operation* operation : service->operations) {
      std::string expected, seen;
      dispatcher_.serve(*operation, [&](std::unique_ptr<Call> call) {
        model::append_json(seen, *call->operation.input, call->raw_input());
        call->respond(ApiError{"Seen", ""});
      });
      auto input = operation->make_input();
      model::fill(*operation->input, input.get(), random_);
      model::append_json(expected, *operation->input, input.get());
      std::string body = "Action=" + std::string(operation->name) + "&Version=" + std::string(service->api_version);
      write_form(body, *operation->input, input.get(), "");
      form(service->signing_name, body);
      EXPECT_EQ(seen, expected) << operation->name << ": " << sink_->response.body;
    }
  }
}

TEST_F(EndpointTest, EveryJsonInputArrivesAsItWasSent) {
  for (const model::Service* service : model::services()) {
    if (service->protocol != model::Protocol::json) continue;
    for (const model::Operation* operation : service->operations) {
      std::string expected, seen;
      dispatcher_.serve(*operation, [&](std::unique_ptr<Call> call) {
        model::append_json(seen, *call->operation.input, call->raw_input());
        call->respond(ApiError{"Seen", ""});
      });
      auto input = operation->make_input();
      model::fill(*operation->input, input.get(), random_);
      model::append_json(expected, *operation->input, input.get());
      send(service->signing_name,
           {{"X-Amz-Target", std::string(service->target_prefix) + "." + std::string(operation->name)}}, expected);
      EXPECT_EQ(seen, expected) << operation->name << ": " << sink_->response.body;
    }
  }
}

}  // namespace
}  // namespace berth::wire
