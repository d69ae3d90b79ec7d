// A VPC's structure, from its records to the value that hosts make true. Pure.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "dataplane/host_network.h"
#include "records/network.h"

namespace berth::control::network {

template <class T>
using Records = std::vector<std::shared_ptr<const T>>;

// All records of one VPC, and the prefix lists that its rules and routes name.
struct VpcRecords {
  std::shared_ptr<const records::Vpc> vpc;
  Records<records::Subnet> subnets;
  Records<records::RouteTable> route_tables;
  Records<records::NetworkAcl> acls;
  Records<records::SecurityGroup> groups;
  Records<records::SecurityGroupRule> rules;
  Records<records::NatGateway> nat_gateways;
  Records<records::PrefixList> prefix_lists;
  std::set<std::string> internet_gateways;  // attached to it
  std::set<std::string> interfaces;         // that routes name and that exist
};

// Everything of VpcNet but its interfaces. What is IPv6 is left out: packets are IPv4 only.
dataplane::VpcNet structure_of(const VpcRecords& records);

}  // namespace berth::control::network
