// What a host is told of a task, composed from what was asked and decided. Pure.
#pragma once

#include <string>
#include <vector>

#include "records/host.h"
#include "records/keys.h"
#include "records/network.h"
#include "records/task.h"
#include "records/task_definition.h"

namespace berth::control::orders {

// The definition's containers with RunTask's overrides applied, in the definition's order. Overriding names win.
std::vector<records::ContainerDefinition> effective_containers(const records::TaskDefinition& definition,
                                                               const records::TaskSpec& spec);

// All but its logs. `subnet` is null for a task that has no interface of its own, `interface` where its record is not known: the
// agent then chooses an address.
struct OrderedNetwork {
  const records::Subnet* subnet = nullptr;
  const records::Vpc* vpc = nullptr;
  const records::Interface* interface = nullptr;
};
records::TaskOrder order_of(const records::TaskSpec& spec, const records::TaskDefinition& definition,
                            const records::TaskStatus& status, const OrderedNetwork& network);

}  // namespace berth::control::orders
