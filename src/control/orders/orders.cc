#include "control/orders/orders.h"

#include <algorithm>

namespace berth::control::orders {

using records::ContainerDefinition;

namespace {

void apply_override(ContainerDefinition& container, const records::ContainerOverride& with) {
  if (with.command && !with.command->empty()) container.command = with.command;
  if (with.cpu_units) container.cpu_units = *with.cpu_units;
  if (with.memory_mib) container.memory_mib = *with.memory_mib;
  if (with.memory_reservation_mib) container.memory_reservation_mib = *with.memory_reservation_mib;
  for (const auto& variable : with.environment) {
    std::erase_if(container.environment, [&](const auto& entry) { return entry.first == variable.first; });
    container.environment.push_back(variable);
  }
}

}  // namespace

std::vector<ContainerDefinition> effective_containers(const records::TaskDefinition& definition,
                                                      const records::TaskSpec& spec) {
  std::vector<ContainerDefinition> out = definition.containers;
  for (const records::ContainerOverride& with : spec.overrides)
    for (ContainerDefinition& container : out)
      if (container.name == with.name) apply_override(container, with);
  return out;
}

records::TaskOrder order_of(const records::TaskSpec& spec, const records::TaskDefinition& definition,
                            const records::TaskStatus& status, const OrderedNetwork& network) {
  records::TaskOrder order;
  order.epoch = status.host_epoch;
  order.cpu_units = spec.cpu_units;
  order.memory_mib = spec.memory_mib;
  order.containers = effective_containers(definition, spec);
  order.volumes = definition.volumes;
  order.interface.eni_id = spec.eni_id;
  order.interface.subnet_id = status.subnet_id;
  order.interface.groups = spec.network.security_groups;
  order.interface.assign_public_ip = spec.network.assign_public_ip;
  if (network.subnet) order.interface.subnet_cidr = network.subnet->cidr;
  if (network.vpc) order.interface.vpc_id = network.vpc->id;
  if (network.vpc && order.interface.groups.empty()) order.interface.groups = {network.vpc->default_security_group_id};
  if (network.interface) {
    order.interface.address = network.interface->address;
    order.interface.mac = network.interface->mac;
    order.interface.groups = network.interface->groups;
    order.interface.public_address = network.interface->public_address;
  }
  return order;
}

}  // namespace berth::control::orders
