#include "services/ec2/service_interfaces.h"

#include "services/ec2/interfaces.h"

namespace berth::services::ec2 {

std::optional<records::Interface> make_interface(Work& work, const records::Subnet& subnet, ServiceInterface wanted) {
  const auto cidr = parse_network(subnet.cidr);
  if (!wanted.address && cidr) wanted.address = work.context.networks.free_address(subnet.id, *cidr);
  if (!wanted.address) return std::nullopt;
  records::Interface out;
  out.id = new_id<records::Interface>(work);
  out.vpc_id = subnet.vpc_id;
  out.subnet_id = subnet.id;
  out.availability_zone = subnet.availability_zone;
  out.address = wanted.address->to_string();
  out.mac = new_mac(work);
  out.groups = std::move(wanted.groups);
  out.description = std::move(wanted.description);
  out.type = wanted.type;
  out.requester_managed = true;
  out.source_dest_check = wanted.type != "nat_gateway";
  out.attachment_id = new_id(work, "eni-attach-");
  out.attached_at_ms = out.created_at_ms = work.context.now_ms;
  out.owner = std::move(wanted.owner);
  put(work, out);
  return out;
}

void erase_interface(Work& work, std::string_view id) {
  if (const auto interface = look_up<records::Interface>(work, id)) erase(work, *interface);
}

}  // namespace berth::services::ec2
