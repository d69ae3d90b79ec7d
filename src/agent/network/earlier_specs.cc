#include "agent/network/earlier_specs.h"

namespace berth::network {

dataplane::VpcNet vpc_net_of(const VpcSpec& spec) {
  const Ipv4Network any{};
  dataplane::VpcNet net;
  net.cidrs = {spec.network};
  net.route_tables["main"].routes = {{any, dataplane::RouteTarget::internet, "internet"}};
  for (const Ipv4Network& subnet : spec.subnets) net.subnets[subnet.to_string()] = {subnet, "main", ""};
  for (const VpcSpec::Group& group : spec.groups) {
    dataplane::GroupNet& rules = net.groups[group.id];
    rules.egress = {{"all", {}, {any}, ""}};
    if (group.allow_within) rules.ingress = {{"within", {}, {}, group.id}};
  }
  return net;
}

dataplane::InterfaceNet interface_of(const TaskNetSpec& task, Ipv4 vpc_end) {
  dataplane::InterfaceNet interface {
    task.subnet.to_string(), task.address, {}, task.security_groups, {}, true, task.task_id
  };
  if (task.assign_public_ip) interface.public_address = vpc_end;
  return interface;
}

}  // namespace berth::network
