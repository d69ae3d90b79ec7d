// Between wire and the services: takes calls from the I/O thread to the state thread, runs the handler against the head,
// and lets the answer leave once everything that the handler saw and wrote is durable.
#pragma once

#include <memory>

#include "base/clock.h"
#include "base/random.h"
#include "base/workers.h"
#include "front/gate.h"
#include "front/state_thread.h"
#include "model/descriptor.h"
#include "services/handler.h"
#include "wire/call.h"

namespace berth::front {

// What every handler is given beside its call. Borrowed; outlives the API.
struct World {
  state::Store& store;
  records::TaskIndex& tasks;
  records::NetworkIndex& networks;
  const Clock& clock;
  Random& random;
  services::Capacity capacity;
  services::Network network;
  bool simulated_agent = false;
};

services::Context context_of(const World& world, const Caller& caller, TimeMs now_ms);

class Api {
 public:
  Api(World& world, StateThread& state_thread, Workers& workers)
      : world_(world), state_thread_(state_thread), workers_(workers) {}

  // The registry is borrowed and must not grow afterwards.
  void serve(wire::Dispatcher& dispatcher, const services::Registry<model::Operation>& registry);

 private:
  void admit(const Gate::Served& served, const std::shared_ptr<wire::Call>& call);
  void run(const services::ErasedHandler& handler, std::shared_ptr<wire::Call> call);
  void finish(std::shared_ptr<wire::Call> call, services::ErasedHandled handled);

  World& world_;
  StateThread& state_thread_;
  Workers& workers_;
  Gate gate_;
};

}  // namespace berth::front
