// What of a task of a service with serviceRegistries is registered in Cloud Map: pure. A task is there while it is RUNNING and
// nobody has decided that it stops; so it is gone before its containers get SIGTERM.
#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "records/discovery.h"
#include "records/task.h"

namespace berth::control::discovery {

struct Subject {
  const records::keys::TaskPath& path;
  const records::TaskSpec& spec;
  const records::TaskStatus& status;  // as it is from now on
  std::string address;                // private; empty: not known yet
};

// The id in a registry's ARN.
std::string service_id_of(const records::ServiceRegistry& registry);

// Nothing: it is not to be there.
std::optional<records::Instance> registered(const Subject& task, const records::ServiceRegistry& registry,
                                            const records::DiscoveryService& service);
// What its health becomes; nothing where it stays as it is.
std::optional<records::InstanceHealth> health_of(const Subject& task, const records::DiscoveryService& service,
                                                 const records::Instance& instance,
                                                 const records::InstanceHealth* before, TimeMs now_ms);

}  // namespace berth::control::discovery
