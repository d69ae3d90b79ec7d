// A server of a few constant answers, to try clients against the wire alone and to measure it.
//
//   wire_demo [PORT]      prints the port; key AKIDEXAMPLE, secret "secret", account 123456789012
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "base/random.h"
#include "model/ec2/operations.h"
#include "model/ec2/vpcs.h"
#include "model/ecs/cluster.h"
#include "model/ecs/operations.h"
#include "model/ecs/task_definition.h"
#include "model/logs/group.h"
#include "model/logs/operations.h"
#include "model/sts/identity.h"
#include "model/sts/operations.h"
#include "wire/call.h"
#include "wire/endpoint.h"
#include "wire/server.h"

namespace {

using namespace berth;

class OneKey final : public sigv4::KeyLookup {
 public:
  std::shared_ptr<const sigv4::Key> find(std::string_view access_key_id) override {
    return access_key_id == key_->access_key_id ? key_ : nullptr;
  }

 private:
  std::shared_ptr<const sigv4::Key> key_ = std::make_shared<sigv4::Key>(
      sigv4::Key{"AKIDEXAMPLE", "secret", "", 0, "123456789012", "arn:aws:iam::123456789012:root"});
};

// About the size of the video platform's: 5 KB of JSON.
std::shared_ptr<const std::string> big_definition() {
  model::ecs::TaskDefinition definition;
  definition.family = "platform";
  definition.revision = 1;
  definition.task_definition_arn = "arn:aws:ecs:us-east-1:123456789012:task-definition/platform:1";
  auto& containers = definition.container_definitions.emplace();
  while (model::to_json(definition).size() < 5000) {
    auto& container = containers.emplace_back();
    container.name = "container-" + std::to_string(containers.size());
    container.image = "example/image:stable";
    container.essential = true;
    for (int i = 0; i < 8; ++i) {
      container.environment = container.environment.value_or(std::vector<model::ecs::KeyValuePair>{});
      container.environment->push_back({"SOME_VARIABLE_" + std::to_string(i), "some value of some length"});
    }
  }
  return std::make_shared<const std::string>(model::to_json(definition));
}

wire::Server* running = nullptr;

}  // namespace

int main(int argc, char** argv) {
  OneKey keys;
  SystemClock clock;
  Prng random(SystemRandom().next());
  wire::Dispatcher dispatcher;
  dispatcher.serve(model::sts::kGetCallerIdentity, [](std::unique_ptr<wire::Call> call) {
    auto output = std::make_shared<model::sts::GetCallerIdentityResponse>();
    output->account = call->caller.account;
    output->arn = call->caller.arn;
    output->user_id = call->caller.account;
    call->respond(output);
  });
  const auto definition = big_definition();
  dispatcher.serve(model::ecs::kDescribeTaskDefinition, [definition](std::unique_ptr<wire::Call> call) {
    auto output = std::make_shared<model::ecs::DescribeTaskDefinitionResponse>();
    output->task_definition.json = definition;
    output->tags.emplace();
    call->respond(output);
  });
  dispatcher.serve(model::ecs::kRegisterTaskDefinition, [](std::unique_ptr<wire::Call> call) {
    const auto& input = call->input<model::ecs::RegisterTaskDefinitionRequest>();
    auto output = std::make_shared<model::ecs::RegisterTaskDefinitionResponse>();
    auto& made = output->task_definition.value.emplace();
    made.family = input.family;
    made.container_definitions = input.container_definitions;
    call->respond(output);
  });
  dispatcher.serve(model::ecs::kDescribeClusters, [](std::unique_ptr<wire::Call> call) {
    const auto& input = call->input<model::ecs::DescribeClustersRequest>();
    auto output = std::make_shared<model::ecs::DescribeClustersResponse>();
    output->clusters.emplace();
    for (const std::string& name : input.clusters.value_or(std::vector<std::string>{})) {
      output->failures = output->failures.value_or(std::vector<model::ecs::Failure>{});
      output->failures->push_back({.arn = name, .reason = "MISSING"});
    }
    call->respond(output);
  });
  dispatcher.serve(model::ecs::kStopTask, [](std::unique_ptr<wire::Call> call) {
    call->respond(ApiError{"InvalidParameterException", "The referenced task was not found."});
  });
  dispatcher.serve(model::ec2::kDescribeVpcs, [](std::unique_ptr<wire::Call> call) {
    auto output = std::make_shared<model::ec2::DescribeVpcsResult>();
    auto& vpc = output->vpcs.emplace().emplace_back();
    vpc.vpc_id = "vpc-1";
    vpc.cidr_block = "172.31.0.0/16";
    vpc.is_default = true;
    vpc.tags.emplace().push_back({.key = "a<b", .value = "c&d"});
    const auto& input = call->input<model::ec2::DescribeVpcsRequest>();
    for (const auto& filter : input.filters.value_or(std::vector<model::ec2::Filter>{})) {
      vpc.tags->push_back({.key = filter.name, .value = filter.values ? std::to_string(filter.values->size()) : "0"});
    }
    call->respond(output);
  });
  dispatcher.serve(model::ec2::kDescribeVpcAttribute, [](std::unique_ptr<wire::Call> call) {
    auto output = std::make_shared<model::ec2::DescribeVpcAttributeResult>();
    output->enable_dns_support.emplace().value = true;
    call->respond(output);
  });
  dispatcher.serve(model::logs::kCreateLogGroup, [](std::unique_ptr<wire::Call> call) { call->respond_empty(); });

  wire::Endpoint endpoint(dispatcher, keys, clock, random, {});
  auto server = wire::Server::create(clock);
  if (!server) return std::fprintf(stderr, "%s\n", server.error().context.c_str()), 1;
  auto port = (*server)->listen_tcp("127.0.0.1", static_cast<uint16_t>(argc > 1 ? std::atoi(argv[1]) : 0), endpoint);
  if (!port) return std::fprintf(stderr, "%s\n", port.error().context.c_str()), 1;
  std::printf("%d\n", *port);
  std::fflush(stdout);
  running = server->get();
  std::signal(SIGTERM, [](int) { running->stop(); });
  (*server)->run();
  return 0;
}
