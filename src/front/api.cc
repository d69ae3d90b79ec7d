#include "front/api.h"

#include "base/limits.h"

namespace berth::front {
namespace {

ApiError not_durable() {
  return {"ServerException", "The state could not be written to disk; nothing was changed.", 500};
}

// A reply must not be copied once it is known, and a when_durable callback must be copyable: hence shared ownership.
using CallPtr = std::shared_ptr<wire::Call>;

// A handler of an operation without output answers with an empty struct of its own, which no protocol can render.
void answer_with(wire::Call& call, std::shared_ptr<const void> output) {
  if (call.operation.output)
    call.respond_raw(std::move(output));
  else
    call.respond_empty();
}

}  // namespace

void Pools::drop() {
  for (const auto& pool : pools_) pool->drop();
}

services::Context context_of(const World& world, const Caller& caller, TimeMs now_ms) {
  return {world.store,    world.tasks,   world.networks,       caller, now_ms, world.random,
          world.capacity, world.network, world.simulated_agent};
}

void Api::serve(wire::Dispatcher& dispatcher, const services::Registry<model::Operation>& registry) {
  for (const Gate::Served& served : registry.handlers())
    dispatcher.serve(*served.operation, [this, &served](std::unique_ptr<wire::Call> call) {
      state_thread_.post_quietly([this, &served, shared = CallPtr(std::move(call))] { admit(served, shared); });
    });
}

void Api::admit(const Gate::Served& served, const CallPtr& call) {
  const services::Context context = context_of(world_, call->caller, call->now_ms);
  if (auto refused = gate_.admit(served, context, call->raw_input())) return call->respond(std::move(*refused));
  run(served.handler, call);
}

void Api::run(const services::ErasedHandler& handler, CallPtr call) {
  services::ErasedHandled handled = handler(context_of(world_, call->caller, call->now_ms), call->raw_input());
  const bool writes = handled.answer && !handled.transaction.empty();
  if (writes) {
    const auto applied = world_.store.apply(std::move(handled.transaction));
    if (!applied) {
      // Handlers run one after the other against the head, so what they read still holds; only size is left.
      call->respond(ApiError{"InvalidParameterException", "The request changes more than one transaction may hold."});
      return;
    }
  }
  const state::Revision seen = world_.store.head();
  world_.store.when_durable(
      seen, [this, &handler, call = std::move(call), handled = std::move(handled), writes](bool durable) mutable {
        if (durable)
          finish(std::move(call), std::move(handled));
        else if (writes)
          call->respond(not_durable());
        else  // it saw what control or the agent had written; now the head is what the disk has
          run(handler, std::move(call));
      });
}

void Api::finish(CallPtr call, services::ErasedHandled handled) {
  if (!handled.answer) return call->respond(std::move(handled.answer.error()));
  if (!handled.later) return answer_with(*call, std::move(*handled.answer));
  Job job = [call, later = std::move(handled.later)] {
    auto answer = later();
    if (answer)
      answer_with(*call, std::move(*answer));
    else
      call->respond(std::move(answer.error()));
  };
  if (!pools_[handled.pool].offer(job, limits::kPoolQueueMax))
    call->respond(ApiError{"ServiceUnavailableException", "Too many requests of this kind wait already.", 503});
}

}  // namespace berth::front
