// The agent that runs containers, with everything it stands on and its thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/images/image_store.h"
#include "agent/network/network.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "records/keys.h"
#include "state/store.h"

namespace berth::agent {

class RealAgent {
 public:
  struct Needs {
    state::Store& store;
    const Clock& clock;
    Random& random;
    std::string state_directory;
    std::string host;    // its id
    int64_t host_epoch;  // as it was registered
    std::function<void(std::function<void()>)> on_state_thread;
    Ipv4Network public_pool;      // what public addresses are from
    bool pool_announced = false;  // a block of the LAN, for which this host answers ARP
  };

  // As root. Fails, with the remedy, where this machine cannot run containers.
  static Result<std::unique_ptr<RealAgent>> open(Needs needs);
  ~RealAgent();  // tasks go on

  // On the state thread, once: takes over what is there and follows the state.
  void start();
  void stop();  // ends the agent's thread and what it copies; tasks go on

  // What the host's network should be from now on. Before the order of a task that it is for. Any thread.
  void apply(dataplane::NetworkChange change);

  images::ImageStore& images();  // any thread
  // After stop(): everything on the host that is ours, where no task is left to need it.
  Result<void> remove_from_host();

 private:
  struct Parts;
  static void serve_names(Parts& p, const std::string& vpc, std::optional<Ipv4Network> primary);
  static void prepare_companions(Parts& p);
  explicit RealAgent(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace berth::agent
