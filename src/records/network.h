// The network objects of EC2, as records. Words are the EC2 API's own. Writer: services/ec2, but for interfaces of tasks, which
// control writes (records/keys.h). Lifetimes and texts: VPC User Guide and the EC2 API Reference.
//
//   vpc ──┬─ subnet ── interface (a task's, a NAT gateway's, an endpoint's, or made by API) ── address (Elastic IP)
//         ├─ route-table ── routes, associations with subnets; the VPC's main one serves the rest
//         ├─ network-acl ── entries, associations; the VPC's default one serves the rest
//         ├─ security-group ── security-group-rule (one peer each)
//         ├─ internet-gateway (attached to one VPC at most) · nat-gateway · vpc-endpoint · dhcp-options
//         └─ tags (of any of these, and of tasks' interfaces: a key of its own, so that tagging has one writer)
//
// All ids are a prefix and 17 hex digits. CIDRs are canonical text; an empty string is "none".
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "records/cluster.h"

namespace berth::records {

namespace ec2_kinds {  // the <kind> of keys::ec2(kind, scope, id)
inline constexpr std::string_view kVpc = "vpc";
inline constexpr std::string_view kSubnet = "subnet";
inline constexpr std::string_view kRouteTable = "route-table";
inline constexpr std::string_view kInternetGateway = "internet-gateway";
inline constexpr std::string_view kNatGateway = "nat-gateway";
inline constexpr std::string_view kAddress = "address";
inline constexpr std::string_view kNetworkAcl = "network-acl";
inline constexpr std::string_view kSecurityGroup = "security-group";
inline constexpr std::string_view kSecurityGroupRule = "security-group-rule";  // …/<group id>/<rule id>
inline constexpr std::string_view kInterface = "interface";
inline constexpr std::string_view kDhcpOptions = "dhcp-options";
inline constexpr std::string_view kPrefixList = "prefix-list";
inline constexpr std::string_view kVpcEndpoint = "vpc-endpoint";
inline constexpr std::string_view kRegion = "region";
inline constexpr std::string_view kTags = "tags";  // …/<id of what is tagged>
}  // namespace ec2_kinds

struct CidrAssociation {
  std::string id;  // vpc-cidr-assoc-…
  std::string cidr;
  bool operator==(const CidrAssociation&) const = default;
  template <class A>
  void fields(A& a) {
    a("id", id), a("cidr", cidr);
  }
};

struct Vpc {
  std::string id;    // vpc-<17 hex>
  std::string cidr;  // the primary one, as 172.31.0.0/16
  std::string cidr_association_id;
  std::vector<CidrAssociation> secondary_cidrs;
  bool is_default = true;
  std::string main_route_table_id;
  std::string default_security_group_id;
  std::string
      default_network_acl_id;       // empty: written before there were network ACLs; services/ec2 completes it at start
  std::string dhcp_options_id;      // "default": none
  std::string internet_gateway_id;  // of a default VPC, for completing one; attachments are in the gateway's record
  std::string instance_tenancy = "default";
  bool dns_support = true;
  bool dns_hostnames = true;  // AWS: true for a default VPC, else false until set
  bool address_usage_metrics = false;  // kept
  template <class A>
  void fields(A& a) {
    a("id", id), a("cidr", cidr), a("cidrAssociation", cidr_association_id), a("secondaryCidrs", secondary_cidrs);
    a("default", is_default), a("routeTable", main_route_table_id), a("securityGroup", default_security_group_id);
    a("networkAcl", default_network_acl_id), a("dhcpOptions", dhcp_options_id);
    a("internetGateway", internet_gateway_id), a("tenancy", instance_tenancy), a("dnsSupport", dns_support);
    a("dnsHostnames", dns_hostnames), a("addressUsageMetrics", address_usage_metrics);
  }
};

struct Subnet {
  std::string id;  // subnet-<17 hex>
  std::string vpc_id;
  std::string cidr;
  std::string availability_zone;  // <region>a
  bool is_default = true;
  bool map_public_ip_on_launch = true;  // AWS: true for a default subnet, else false until set
  std::string kept;                     // JSON: attributes that change nothing here, in API shape
  template <class A>
  void fields(A& a) {
    a("id", id), a("vpc", vpc_id), a("cidr", cidr), a("zone", availability_zone), a("default", is_default);
    a("mapPublicIp", map_public_ip_on_launch), a("kept", kept);
  }
};

struct Route {
  std::string destination_cidr;            // IPv4 or IPv6 (kept: packets are IPv4 only)
  std::string destination_prefix_list_id;  // instead of a CIDR
  // Of what the target is, by its id: "local", igw-…, nat-…, eni-…, vpce-…. One that is gone makes the route a black hole.
  std::string target;
  std::string origin = "CreateRoute";  // or CreateRouteTable
  bool operator==(const Route&) const = default;
  template <class A>
  void fields(A& a) {
    a("cidr", destination_cidr), a("prefixList", destination_prefix_list_id), a("target", target), a("origin", origin);
  }
};

// A route table's, or a network ACL's, bond with a subnet.
struct SubnetAssociation {
  std::string id;         // rtbassoc-… or aclassoc-…
  std::string subnet_id;  // empty: the main association of a route table, or one with a gateway
  bool main = false;
  bool operator==(const SubnetAssociation&) const = default;
  template <class A>
  void fields(A& a) {
    a("id", id), a("subnet", subnet_id), a("main", main);
  }
};

struct RouteTable {
  std::string id;  // rtb-<17 hex>
  std::string vpc_id;
  std::vector<Route> routes;  // the local ones first, one for each CIDR of the VPC
  std::vector<SubnetAssociation> associations;
  template <class A>
  void fields(A& a) {
    a("id", id), a("vpc", vpc_id), a("routes", routes), a("associations", associations);
  }
};

struct InternetGateway {
  std::string id;      // igw-<17 hex>
  std::string vpc_id;  // empty: detached
  template <class A>
  void fields(A& a) {
    a("id", id), a("vpc", vpc_id);
  }
};

struct NatGateway {
  std::string id;  // nat-<17 hex>
  std::string vpc_id;
  std::string subnet_id;
  std::string connectivity_type = "public";
  std::string state = "available";  // or failed, deleted (kept for an hour, then erased by control)
  std::string failure_code;
  std::string failure_message;
  std::string allocation_id;  // of its Elastic IP; empty: private
  std::string association_id;
  std::string interface_id;
  std::string private_address;
  std::string public_address;
  TimeMs created_at_ms = 0;
  TimeMs deleted_at_ms = 0;
  template <class A>
  void fields(A& a) {
    a("id", id), a("vpc", vpc_id), a("subnet", subnet_id), a("connectivity", connectivity_type), a("state", state);
    a("failureCode", failure_code), a("failureMessage", failure_message), a("allocation", allocation_id);
    a("association", association_id), a("interface", interface_id), a("private", private_address);
    a("public", public_address), a("createdAt", created_at_ms), a("deletedAt", deleted_at_ms);
  }
};

// An Elastic IP. Where it is associated, packets follow: its interface's private address, or its NAT gateway's.
struct Address {
  std::string allocation_id;  // eipalloc-<17 hex>
  std::string public_address;
  std::string association_id;  // empty: not associated
  std::string interface_id;
  std::string private_address;
  template <class A>
  void fields(A& a) {
    a("id", allocation_id), a("public", public_address), a("association", association_id);
    a("interface", interface_id), a("private", private_address);
  }
};

struct NetworkAclEntry {
  int rule_number = 0;  // 1 to 32766; 32767: the final deny
  bool egress = false;
  int protocol = -1;  // IANA's number; -1: all
  bool allow = false;
  std::string cidr;   // IPv4 or IPv6
  int from_port = 0;  // TCP and UDP; ICMP: its type, -1: all
  int to_port = 0;    // ICMP: its code, -1: all
  bool operator==(const NetworkAclEntry&) const = default;
  template <class A>
  void fields(A& a) {
    a("number", rule_number), a("egress", egress), a("protocol", protocol), a("allow", allow), a("cidr", cidr);
    a("from", from_port), a("to", to_port);
  }
};

struct NetworkAcl {
  std::string id;  // acl-<17 hex>
  std::string vpc_id;
  bool is_default = false;
  std::vector<NetworkAclEntry> entries;         // by direction and number
  std::vector<SubnetAssociation> associations;  // every subnet has exactly one
  template <class A>
  void fields(A& a) {
    a("id", id), a("vpc", vpc_id), a("default", is_default), a("entries", entries), a("associations", associations);
  }
};

struct SecurityGroup {
  std::string id;  // sg-<17 hex>
  std::string vpc_id;
  std::string name;
  std::string description;
  template <class A>
  void fields(A& a) {
    a("id", id), a("vpc", vpc_id), a("name", name), a("description", description);
  }
};

// The unit that EC2 keeps: one protocol, one range, one peer. Exactly one of the four peers is not empty.
struct SecurityGroupRule {
  std::string id;  // sgr-<17 hex>
  std::string group_id;
  bool egress = false;
  int protocol = -1;   // IANA's number; -1: all, ports then do not matter
  int from_port = -1;  // ICMP: type, -1: all
  int to_port = -1;    // ICMP: code, -1: all
  std::string cidr_ipv4;
  std::string cidr_ipv6;  // kept: packets are IPv4 only
  std::string prefix_list_id;
  std::string peer_group_id;  // its members' private addresses
  std::string description;
  template <class A>
  void fields(A& a) {
    a("id", id), a("group", group_id), a("egress", egress), a("protocol", protocol), a("from", from_port);
    a("to", to_port), a("cidr", cidr_ipv4), a("cidr6", cidr_ipv6), a("prefixList", prefix_list_id);
    a("peerGroup", peer_group_id), a("description", description);
  }
};

struct Interface {
  std::string id;  // eni-<17 hex>
  std::string vpc_id;
  std::string subnet_id;
  std::string availability_zone;
  std::string address;                           // the primary private one
  std::vector<std::string> secondary_addresses;  // private
  std::string mac;
  std::vector<std::string> groups;  // at least one, but for NAT gateways
  std::string description;
  std::string type = "interface";  // nat_gateway, vpc_endpoint
  bool requester_managed = false;
  bool source_dest_check = true;
  std::string public_address;  // assigned with it and gone with it; Elastic IPs are Address records
  std::string attachment_id;   // eni-attach-…; empty: status available
  TimeMs attached_at_ms = 0;
  // Whose it is: "task:<account>/<region>/<cluster>/<id>", "nat-…", "vpce-…"; empty: made by API. Others than tasks have no
  // namespace: nothing answers at their addresses but what a NAT gateway does.
  std::string owner;
  TimeMs created_at_ms = 0;
  template <class A>
  void fields(A& a) {
    a("id", id), a("vpc", vpc_id), a("subnet", subnet_id), a("zone", availability_zone), a("address", address);
    a("secondary", secondary_addresses), a("mac", mac), a("groups", groups), a("description", description);
    a("type", type), a("requesterManaged", requester_managed), a("sourceDestCheck", source_dest_check);
    a("public", public_address), a("attachment", attachment_id), a("attachedAt", attached_at_ms), a("owner", owner);
    a("createdAt", created_at_ms);
  }
};

struct DhcpOptions {
  std::string id;                                                                // dopt-<17 hex>
  std::vector<std::pair<std::string, std::vector<std::string>>> configurations;  // by option name
  template <class A>
  void fields(A& a) {
    a("id", id), a("configurations", configurations);
  }
};

struct PrefixListEntry {
  std::string cidr;
  std::string description;
  bool operator==(const PrefixListEntry&) const = default;
  template <class A>
  void fields(A& a) {
    a("cidr", cidr), a("description", description);
  }
};

struct PrefixListVersion {
  int version = 0;
  std::vector<PrefixListEntry> entries;
  template <class A>
  void fields(A& a) {
    a("version", version), a("entries", entries);
  }
};

// One made by the caller. AWS's own (S3, DynamoDB) are constants (aws_prefix_lists.h).
struct PrefixList {
  std::string id;  // pl-<17 hex>
  std::string name;
  int max_entries = 0;
  int version = 1;
  std::vector<PrefixListEntry> entries;
  std::string address_family = "IPv4";     // or IPv6: kept, packets are IPv4 only
  std::string state = "create-complete";   // then modify-complete, restore-complete
  std::vector<PrefixListVersion> earlier;  // oldest first
  template <class A>
  void fields(A& a) {
    a("id", id), a("name", name), a("max", max_entries), a("version", version), a("entries", entries);
    a("family", address_family), a("state", state), a("earlier", earlier);
  }
};

// Kept and described. A gateway endpoint's routes are in its route tables; nothing answers behind it.
struct VpcEndpoint {
  std::string id;  // vpce-<17 hex>
  std::string vpc_id;
  std::string type = "Gateway";
  std::string service_name;  // com.amazonaws.<region>.s3
  std::string policy;
  std::vector<std::string> route_table_ids;
  std::vector<std::string> subnet_ids;
  std::vector<std::string> interface_ids;
  std::vector<std::string> groups;
  bool private_dns = false;
  std::string kept;  // JSON: further members in API shape
  TimeMs created_at_ms = 0;
  template <class A>
  void fields(A& a) {
    a("id", id), a("vpc", vpc_id), a("type", type), a("service", service_name), a("policy", policy);
    a("routeTables", route_table_ids), a("subnets", subnet_ids), a("interfaces", interface_ids), a("groups", groups);
    a("privateDns", private_dns), a("kept", kept), a("createdAt", created_at_ms);
  }
};

// What public addresses are taken from, chosen when a state directory is first used. Key: kPublicPoolKey. Writer: the daemon.
inline constexpr std::string_view kPublicPoolKey = "network/public-pool";
struct PublicPool {
  std::string cidr;
  bool announced = false;  // given by --public-cidr: others on the LAN reach it, and see it as the source
  template <class A>
  void fields(A& a) {
    a("cidr", cidr), a("announced", announced);
  }
};

// That a region has got its default VPC: once deleted by its user, it is not made again.
struct DefaultVpcMade {
  std::string vpc_id;
  std::string dhcp_options_id;  // the region's own, which new VPCs have
  template <class A>
  void fields(A& a) {
    a("vpc", vpc_id), a("dhcpOptions", dhcp_options_id);
  }
};

struct ResourceTags {
  Tags tags;
  template <class A>
  void fields(A& a) {
    a("tags", tags);
  }
};

}  // namespace berth::records
