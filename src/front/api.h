// Between wire and the services: takes calls from the I/O thread to the state thread, runs the handler against the head,
// and lets the answer leave once everything that the handler saw and wrote is durable.
#pragma once

#include <array>
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

// The threads on which handlers' deferred work runs, a pool each; at most limits::kPoolQueueMax jobs wait for one.
class Pools {
 public:
  Workers& operator[](services::Pool pool) { return *pools_[static_cast<size_t>(pool)]; }
  void drop();  // what has not begun

 private:
  std::array<std::unique_ptr<Workers>, services::kPools> pools_{std::make_unique<Workers>("logs", 4),
                                                                std::make_unique<Workers>("exec", 4)};
};

class Api {
 public:
  Api(World& world, StateThread& state_thread, Pools& pools)
      : world_(world), state_thread_(state_thread), pools_(pools) {}

  // The registry is borrowed and must not grow afterwards.
  void serve(wire::Dispatcher& dispatcher, const services::Registry<model::Operation>& registry);

 private:
  void admit(const Gate::Served& served, const std::shared_ptr<wire::Call>& call);
  void run(const services::ErasedHandler& handler, std::shared_ptr<wire::Call> call);
  void finish(std::shared_ptr<wire::Call> call, services::ErasedHandled handled);

  World& world_;
  StateThread& state_thread_;
  Pools& pools_;
  Gate gate_;
};

}  // namespace berth::front
