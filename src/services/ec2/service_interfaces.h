// Interfaces that belong to a NAT gateway or a VPC endpoint: in the subnet's books, shown to the user, managed by the service.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/ipv4.h"
#include "services/ec2/objects.h"

namespace berth::services::ec2 {

struct ServiceInterface {
  std::string owner;             // nat-…, vpce-…
  std::string_view type;         // nat_gateway, vpc_endpoint
  std::string description;
  std::vector<std::string> groups;
  std::optional<Ipv4> address;   // chosen and checked by the caller; absent: any
};
// Written, attached. Nothing: the subnet has no free address.
std::optional<records::Interface> make_interface(Work& work, const records::Subnet& subnet, ServiceInterface wanted);
// With its tags. Elastic IPs at it are the caller's matter.
void erase_interface(Work& work, std::string_view id);

}  // namespace berth::services::ec2
