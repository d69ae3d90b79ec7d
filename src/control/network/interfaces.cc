#include "control/network/interfaces.h"

#include "dataplane/vpc_layout.h"

namespace berth::control::network {
namespace {

constexpr std::string_view kTaskOwner = "task:";

}  // namespace

std::string owner_of(const records::keys::TaskPath& path) { return std::string(kTaskOwner) + path.str(); }

std::string task_of_owner(const std::string& owner) {
  return owner.starts_with(kTaskOwner) ? owner.substr(owner.rfind('/') + 1) : std::string();
}

records::Interface interface_of(const Placed& placed) {
  const records::Scope& scope = placed.path.scope;
  records::Interface out;
  out.id = placed.spec.eni_id;
  out.vpc_id = placed.subnet.vpc_id;
  out.subnet_id = placed.subnet.id;
  out.availability_zone = placed.subnet.availability_zone;
  out.address = placed.address.to_string();
  out.mac = dataplane::mac_of(placed.address);
  out.groups = placed.spec.network.security_groups;
  if (out.groups.empty()) out.groups = {placed.vpc.default_security_group_id};
  out.description =
      fmt::format("arn:aws:ecs:{}:{}:attachment/{}", scope.region, scope.account, placed.spec.attachment_id);
  out.requester_managed = true;
  if (placed.public_address) out.public_address = placed.public_address->to_string();
  out.attachment_id = "eni-attach-" + placed.spec.eni_id.substr(std::string_view("eni-").size());
  out.attached_at_ms = placed.now_ms;
  out.owner = owner_of(placed.path);
  out.created_at_ms = placed.now_ms;
  return out;
}

dataplane::InterfaceNet to_net(const records::Interface& interface, const records::Address* elastic) {
  dataplane::InterfaceNet out;
  out.subnet = interface.subnet_id;
  out.address = parse_ipv4(interface.address).value_or(Ipv4{});
  for (const std::string& text : interface.secondary_addresses)
    if (const auto address = parse_ipv4(text)) out.secondary.push_back(*address);
  out.groups = interface.groups;
  out.public_address = parse_ipv4(elastic ? elastic->public_address : interface.public_address);
  out.source_dest_check = interface.source_dest_check;
  out.task = task_of_owner(interface.owner);
  return out;
}

}  // namespace berth::control::network
