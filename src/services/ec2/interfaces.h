// Network interfaces: those that the API makes, and those of tasks, NAT gateways and endpoints, which it shows.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/ipv4.h"
#include "model/ec2/common.h"
#include "model/ec2/interfaces.h"
#include "services/ec2/handlers.h"
#include "services/ec2/objects.h"

namespace berth::services::ec2 {

using InterfacePtr = std::shared_ptr<const records::Interface>;

// What an interface has beside its own record, read once for an answer.
struct InterfaceView {
  const records::Interface& record;
  records::Tags tags;                                            // of a task, those that ECS manages too
  std::vector<std::shared_ptr<const records::Address>> elastic;  // associated with one of its addresses
  bool has_dns_names = false;                                    // the VPC's attributes
};
InterfaceView view_of(Work& work, const records::Interface& interface);
model::ec2::NetworkInterface render(const Work& work, const InterfaceView& view);

// Chooses the addresses of an interface, checked against the subnet and what is in use. `asked` may be empty: any.
ApiResult<Ipv4> check_address(const Work& work, const records::Subnet& subnet, const std::string& asked,
                              const std::set<Ipv4>& also);
ApiResult<Ipv4> free_address(const Work& work, const records::Subnet& subnet, const std::set<Ipv4>& also);
std::string new_mac(Work& work);

// Those of services cannot be changed by their users.
ApiResult<void> check_is_own(const records::Interface& interface);

}  // namespace berth::services::ec2
