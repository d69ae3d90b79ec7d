// What the agent can have done to this machine: the seam between the decisions of task.h and the kernel. Implemented
// by host_machine.h; tests have a fake. Agent thread only; nothing here blocks, and each answer comes by its callback
// on the agent's thread, never from within the call.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "agent/apply/order.h"
#include "agent/images/image.h"
#include "agent/network/network.h"
#include "base/result.h"
#include "records/task_definition.h"

namespace berth::agent {

// Everything that a supervisor's start needs.
struct Launch {
  const Assignment& assigned;
  const std::vector<records::ContainerDefinition>& containers;
  const std::vector<images::ResolvedImage>& images;
  const network::TaskNet& net;
  Ipv4 address;
  std::string observed;  // encoded TaskObserved: kept beside the plan, from where an adopted task goes on
};

struct Executed {
  bool passed = false;  // exit code 0 within the time
  std::string output;   // its beginning, or why it could not run
};

class Machine {
 public:
  virtual ~Machine() = default;

  // Local images at once, others pulled and unpacked, one after the other. Those before the first that cannot be had
  // are in `images`; of that one the error's context is the container's reason, "CannotPull…".
  struct Prepared {
    std::vector<images::ResolvedImage> images;
    Result<void> all;
  };
  virtual void prepare_images(const std::string& task_id, std::vector<std::string> names,
                              std::function<void(Prepared)> done) = 0;
  // The task needs no images any more: `done` is called soon, and a pull that no other task waits for ends. Nothing
  // happens where nothing is being prepared.
  virtual void cancel_images(const std::string& task_id) = 0;
  // With the order's interface. `address`: the one that an adopted task has.
  virtual void attach(const Assignment& assigned, std::optional<Ipv4> address,
                      std::function<void(Result<std::pair<network::TaskNet, Ipv4>>)> done) = 0;
  virtual void detach(const Assignment& assigned, std::function<void()> done) = 0;

  // Its facts arrive at Agent::fact. On an error nothing runs. Otherwise, those of its containers that are not essential and
  // cannot be created: they are not to be started.
  struct Uncreatable {
    size_t container;
    std::string reason;  // without "CannotCreateContainerError: "
  };
  virtual Result<std::vector<Uncreatable>> supervise(const Launch& launch) = 0;
  // `attempt` counts from 1: a start that has been carried out already is not repeated.
  virtual void start(const std::string& task_id, uint32_t container, uint32_t attempt) = 0;
  virtual void stop(const std::string& task_id, const std::string& why) = 0;
  // For a supervisor that does not come to an end; Agent::gone says `why`.
  virtual void kill(const std::string& task_id, const std::string& why) = 0;
  virtual void execute(const std::string& task_id, uint32_t container, std::vector<std::string> command,
                       uint32_t timeout_ms, std::function<void(Executed)> done) = 0;
  // Kills what is left of the task and takes away its directory and cgroups.
  virtual void remove(const std::string& task_id) = 0;

  // Calls back at or after the moment, once.
  virtual void wake_at(TimeMs when_ms, std::function<void()> callback) = 0;
  virtual TimeMs now_ms() const = 0;
};

}  // namespace berth::agent
