#include "control/network/vpc_net.h"

#include <algorithm>

#include "records/aws_prefix_lists.h"

namespace berth::control::network {
namespace {

using dataplane::RouteTarget;

class Builder {
 public:
  explicit Builder(const VpcRecords& records) : records_(records) {}

  dataplane::VpcNet build() {
    take_cidrs();
    for (const auto& table : records_.route_tables) out_.route_tables[table->id] = table_net(*table);
    for (const auto& acl : records_.acls) out_.acls[acl->id] = acl_net(*acl);
    for (const auto& subnet : records_.subnets) take_subnet(*subnet);
    for (const auto& group : records_.groups) out_.groups[group->id];
    for (const auto& rule : records_.rules) take_rule(*rule);
    for (auto& [id, group] : out_.groups) {
      std::sort(group.ingress.begin(), group.ingress.end());
      std::sort(group.egress.begin(), group.egress.end());
    }
    for (const auto& gateway : records_.nat_gateways) take_nat(*gateway);
    out_.dns = records_.vpc->dns_support;
    return std::move(out_);
  }

 private:
  void take_cidrs() {
    if (const auto primary = parse_network(records_.vpc->cidr)) out_.cidrs.push_back(*primary);
    for (const records::CidrAssociation& secondary : records_.vpc->secondary_cidrs)
      if (const auto cidr = parse_network(secondary.cidr)) out_.cidrs.push_back(*cidr);
  }

  std::vector<Ipv4Network> networks_of(const std::string& prefix_list) const {
    std::vector<Ipv4Network> out;
    if (const records::AwsPrefixList* aws = records::aws_prefix_list(prefix_list))
      for (const std::string_view text : aws->cidrs)
        if (const auto cidr = parse_network(text)) out.push_back(*cidr);
    for (const auto& list : records_.prefix_lists) {
      if (list->id != prefix_list) continue;
      for (const records::PrefixListEntry& entry : list->entries)
        if (const auto cidr = parse_network(entry.cidr)) out.push_back(*cidr);
    }
    return out;
  }

  RouteTarget target_of(const std::string& target) const {
    if (target == "local") return RouteTarget::local;
    if (records_.internet_gateways.contains(target)) return RouteTarget::internet;
    if (records_.interfaces.contains(target)) return RouteTarget::interface;
    const auto is_nat = [&](const auto& gateway) { return gateway->id == target && gateway->state == "available"; };
    if (std::any_of(records_.nat_gateways.begin(), records_.nat_gateways.end(), is_nat)) return RouteTarget::nat;
    return RouteTarget::blackhole;
  }

  dataplane::RouteTableNet table_net(const records::RouteTable& table) const {
    dataplane::RouteTableNet out;
    for (const records::Route& route : table.routes) {
      if (route.target.starts_with("vpce-")) continue;  // endpoints answer nothing: no way leads to them
      const RouteTarget target = target_of(route.target);
      std::vector<Ipv4Network> destinations = networks_of(route.destination_prefix_list_id);
      if (const auto cidr = parse_network(route.destination_cidr)) destinations.push_back(*cidr);
      for (const Ipv4Network& destination : destinations)
        out.routes.push_back({destination, target, target == RouteTarget::local ? std::string() : route.target});
    }
    std::sort(out.routes.begin(), out.routes.end(), [](const auto& a, const auto& b) {
      if (a.destination.prefix != b.destination.prefix) return a.destination.prefix > b.destination.prefix;
      return a.destination < b.destination;
    });
    return out;
  }

  static dataplane::AclNet acl_net(const records::NetworkAcl& acl) {
    constexpr int kFinalDeny = 32767;
    dataplane::AclNet out;
    for (const records::NetworkAclEntry& entry : acl.entries) {
      const auto cidr = parse_network(entry.cidr);
      if (!cidr || entry.rule_number >= kFinalDeny) continue;
      auto& rules = entry.egress ? out.egress : out.ingress;
      rules.push_back({entry.rule_number, entry.allow, {entry.protocol, entry.from_port, entry.to_port}, *cidr});
    }
    std::sort(out.ingress.begin(), out.ingress.end());
    std::sort(out.egress.begin(), out.egress.end());
    return out;
  }

  template <class T>
  static std::string associated(const Records<T>& all, const std::string& subnet, const std::string& otherwise) {
    for (const auto& one : all)
      for (const records::SubnetAssociation& association : one->associations)
        if (association.subnet_id == subnet) return one->id;
    return otherwise;
  }

  void take_subnet(const records::Subnet& subnet) {
    const auto cidr = parse_network(subnet.cidr);
    if (!cidr) return;
    out_.subnets[subnet.id] = {*cidr, associated(records_.route_tables, subnet.id, records_.vpc->main_route_table_id),
                               associated(records_.acls, subnet.id, records_.vpc->default_network_acl_id)};
  }

  void take_rule(const records::SecurityGroupRule& rule) {
    const auto group = out_.groups.find(rule.group_id);
    if (group == out_.groups.end()) return;
    dataplane::GroupRule out{rule.id, {rule.protocol, rule.from_port, rule.to_port}, {}, rule.peer_group_id};
    if (const auto cidr = parse_network(rule.cidr_ipv4)) out.networks = {*cidr};
    if (!rule.prefix_list_id.empty()) out.networks = networks_of(rule.prefix_list_id);
    if (out.networks.empty() && out.group.empty()) return;  // IPv6, or an empty prefix list
    (rule.egress ? group->second.egress : group->second.ingress).push_back(std::move(out));
  }

  void take_nat(const records::NatGateway& gateway) {
    const auto address = parse_ipv4(gateway.private_address);
    if (gateway.state != "available" || !address) return;
    out_.nats[gateway.id] = {gateway.subnet_id, *address, parse_ipv4(gateway.public_address)};
  }

  const VpcRecords& records_;
  dataplane::VpcNet out_;
};

}  // namespace

dataplane::VpcNet structure_of(const VpcRecords& records) { return Builder(records).build(); }

}  // namespace berth::control::network
