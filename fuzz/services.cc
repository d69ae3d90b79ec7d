// Requests as callers write them, a line each ("ecs:RunTask {…}"), against one store: identifiers, tokens, filters, sizes and
// all that handlers read out of their inputs themselves. Whatever is asked, the answer renders, an error is one, and what is
// to be stored is taken.
#include <cstdlib>
#include <map>

#include "base/json.h"
#include "model/json_codec.h"
#include "model/validate.h"
#include "services/ec2/default_vpc.h"
#include "services/ec2/ec2.h"
#include "services/ecs/ecs.h"
#include "services/logs/logs.h"
#include "services/sts/sts.h"
#include "state/memory_store.h"

namespace {

using namespace berth;

void require(bool holds) {
  if (!holds) std::abort();
}

// What all inputs begin from, with a seed that makes the ids of the default VPC the same for all of them.
struct World {
  World() {
    services::ecs::add_handlers(registry);
    services::ec2::add_handlers(registry);
    services::sts::add_handlers(registry);
    services::logs::add_handlers(registry, logs);
    for (const auto& served : registry.handlers()) handlers[served.operation] = &served;
    state::MemoryStore store;
    state::Transaction transaction;
    const records::Scope scope{caller.account, caller.region};
    services::ec2::ensure_default_vpc(store, scope, services::kDefaultNetwork, random, transaction);
    require(store.apply(std::move(transaction)).has_value());
    store.settle();
    begin = store.after_kill();
  }

  const Caller caller{"123456789012", "eu-central-1", "arn:aws:iam::123456789012:root", "AKIDEXAMPLE"};
  logstore::LogStore logs{"/nonexistent/logs"};  // nothing is put: every read finds an empty store
  services::Registry<model::Operation> registry;
  std::map<const model::Operation*, const services::Served<model::Operation>*> handlers;
  Prng random{7};
  state::MemoryStore::Image begin;
};

void call(const World& world, state::MemoryStore& store, records::TaskIndex& tasks, records::NetworkIndex& networks,
          Random& random, TimeMs now_ms, const model::Operation& operation, std::string_view body) {
  const auto input = operation.make_input();
  std::vector<model::Path> missing;
  if (!model::read_json(body, *operation.input, input.get(), &missing)) return;
  if (model::validate(operation, input.get(), missing)) return;
  static const services::Capacity capacity{1 << 16, 1 << 16};
  const services::Context context{store, tasks, networks, world.caller, now_ms, random, capacity};
  const services::Served<model::Operation>& served = *world.handlers.at(&operation);
  require(!services::find_access(operation, served.access, context, input.get()).permissions().empty());
  services::ErasedHandled handled = served.handler(context, input.get());
  if (handled.answer) {
    require(store.apply(std::move(handled.transaction)).has_value());
    if (handled.later && operation.name != "PutLogEvents") handled.answer = handled.later();
  }
  store.settle();
  if (!handled.answer) {
    // Never 5xx: clients send those again.
    require(!handled.answer.error().type.empty() && handled.answer.error().status / 100 == 4);
  } else if (operation.output && handled.answer->get()) {
    std::string text;
    model::append_json(text, *operation.output, handled.answer->get());
    require(json::parse(text).has_value());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const World world;
  state::MemoryStore store(world.begin);
  records::TaskIndex tasks(store);
  records::NetworkIndex networks(store);
  Prng random = world.random;
  TimeMs now_ms = 1'700'000'000'000;
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  for (int lines = 0; !rest.empty() && lines < 16; ++lines) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    const size_t colon = std::min(line.find(':'), line.size()), blank = std::min(line.find(' '), line.size());
    if (colon >= blank) continue;
    const model::Service* service = model::find_service(line.substr(0, colon));
    const auto* operation =
        service ? model::find_operation(*service, line.substr(colon + 1, blank - colon - 1)) : nullptr;
    if (operation) call(world, store, tasks, networks, random, now_ms, *operation, line.substr(blank));
  }
  return 0;
}
