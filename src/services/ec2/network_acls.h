// Network ACLs and their entries. Stateless rules of a subnet's border; every subnet has exactly one ACL.
#pragma once

#include "model/ec2/network_acls.h"
#include "services/ec2/handlers.h"
#include "services/ec2/objects.h"

namespace berth::services::ec2 {

inline constexpr int kLastRuleNumber = 32767;  // the denial that ends every direction; nobody can change it

// An entry as a request gives it, before it is checked.
struct EntryFields {
  int rule_number = 0;
  std::string protocol;
  std::string action;
  bool egress = false;
  std::optional<std::string> cidr_ipv4;
  std::optional<std::string> cidr_ipv6;
  std::optional<model::ec2::IcmpTypeCode> icmp;
  std::optional<model::ec2::PortRange> ports;
};
ApiResult<records::NetworkAclEntry> make_entry(const EntryFields& fields);

}  // namespace berth::services::ec2
