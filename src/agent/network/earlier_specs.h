// What the earlier specs of network.h mean as a HostNetwork; goes with them.
#pragma once

#include "agent/network/network.h"
#include "dataplane/host_network.h"

namespace berth::network {

dataplane::VpcNet vpc_net_of(const VpcSpec& spec);
// `vpc_end`: what public tasks go out under; the host turns it into its own address.
dataplane::InterfaceNet interface_of(const TaskNetSpec& task, Ipv4 vpc_end);

}  // namespace berth::network
