// The network objects of EC2 that ECS refers to. Writer: services/ec2 (the default VPC of a region is made at its first use).
#pragma once

#include <string>
#include <vector>

#include "records/cluster.h"

namespace berth::records {

struct Vpc {
  std::string id;    // vpc-<17 hex>
  std::string cidr;  // 172.31.0.0/16
  bool is_default = true;
  std::string main_route_table_id;
  std::string default_security_group_id;
  std::string dhcp_options_id;
  std::string internet_gateway_id;
  Tags tags;
  template <class A>
  void fields(A& a) {
    a("id", id), a("cidr", cidr), a("default", is_default), a("routeTable", main_route_table_id);
    a("securityGroup", default_security_group_id), a("dhcpOptions", dhcp_options_id);
    a("internetGateway", internet_gateway_id), a("tags", tags);
  }
};

struct Subnet {
  std::string id;  // subnet-<17 hex>
  std::string vpc_id;
  std::string cidr;
  std::string availability_zone;  // <region>a
  bool is_default = true;
  Tags tags;
  template <class A>
  void fields(A& a) {
    a("id", id), a("vpc", vpc_id), a("cidr", cidr), a("zone", availability_zone), a("default", is_default);
    a("tags", tags);
  }
};

struct SecurityGroup {
  std::string id;  // sg-<17 hex>
  std::string vpc_id;
  std::string name;
  std::string description;
  Tags tags;
  template <class A>
  void fields(A& a) {
    a("id", id), a("vpc", vpc_id), a("name", name), a("description", description), a("tags", tags);
  }
};

}  // namespace berth::records
