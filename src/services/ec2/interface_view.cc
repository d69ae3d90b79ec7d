// How interfaces are shown.
#include <algorithm>

#include "records/host_names.h"
#include "records/task.h"
#include "services/ec2/zones.h"
#include "services/ec2/interfaces.h"

namespace berth::services::ec2 {
namespace {

using records::Interface;

// Accounts of AWS itself: they own what its services attach.
constexpr std::string_view kServiceAccount = "591542846629";
constexpr std::string_view kTaskOwner = "task:";

std::optional<records::keys::TaskPath> task_of(const Interface& interface) {
  if (!interface.owner.starts_with(kTaskOwner)) return std::nullopt;
  return records::keys::task_path(std::string(records::keys::kTaskSpec) + interface.owner.substr(kTaskOwner.size()));
}

// ECS tags a task's interface where managed tags are on; the task's own tags do not come along.
void add_managed_tags(Work& work, const Interface& interface, records::Tags& tags) {
  const auto path = task_of(interface);
  if (!path) return;
  const auto spec = work.get<records::TaskSpec>(records::keys::task(records::keys::kTaskSpec, *path));
  if (!spec) return;
  for (const auto& [key, value] : spec->tags)
    if (key == "aws:ecs:clusterName" || key == "aws:ecs:serviceName") tags.emplace_back(key, value);
}

const records::Address* elastic_at(const InterfaceView& view, const std::string& address) {
  for (const auto& elastic : view.elastic)
    if (elastic->private_address == address) return elastic.get();
  return nullptr;
}

std::optional<m::NetworkInterfaceAssociation> association_of(const Work& work, const InterfaceView& view,
                                                             const std::string& address) {
  const records::Address* elastic = elastic_at(view, address);
  const bool assigned = address == view.record.address && !view.record.public_address.empty();
  if (elastic == nullptr && !assigned) return std::nullopt;
  m::NetworkInterfaceAssociation out;
  if (elastic) {
    out.allocation_id = elastic->allocation_id;
    out.association_id = elastic->association_id;
  }
  out.ip_owner_id = elastic ? work.scope.account : "amazon";
  out.public_ip = elastic ? elastic->public_address : view.record.public_address;
  out.public_dns_name = view.has_dns_names ? records::public_host_name(*out.public_ip, work.scope.region) : "";
  return out;
}

std::optional<m::NetworkInterfaceAttachment> attachment_of(const Interface& interface) {
  if (interface.attachment_id.empty()) return std::nullopt;
  m::NetworkInterfaceAttachment out;
  out.attachment_id = interface.attachment_id;
  out.attach_time = interface.attached_at_ms;
  out.delete_on_termination = false;
  out.device_index = 1;
  out.network_card_index = 0;
  out.instance_owner_id = task_of(interface) ? std::string(kServiceAccount) : "amazon-aws";
  out.status = "attached";
  return out;
}

}  // namespace

InterfaceView view_of(Work& work, const Interface& interface) {
  InterfaceView view{interface, tags_of(work, interface.id), {}, false};
  add_managed_tags(work, interface, view.tags);
  for (const std::string& key : work.context.networks.naming(interface.id, records::ec2_kinds::kAddress))
    if (auto elastic = work.get<records::Address>(key)) view.elastic.push_back(std::move(elastic));
  if (const auto vpc = look_up<records::Vpc>(work, interface.vpc_id))
    view.has_dns_names = vpc->dns_support && vpc->dns_hostnames;
  return view;
}

m::NetworkInterface render(const Work& work, const InterfaceView& view) {
  const Interface& interface = view.record;
  m::NetworkInterface out;
  const std::string zone = interface.availability_zone;
  auto name_of = [&](const std::string& address) {
    return view.has_dns_names ? std::optional(records::private_host_name(address, work.scope.region)) : std::nullopt;
  };
  out.association = association_of(work, view, interface.address);
  out.attachment = attachment_of(interface);
  out.availability_zone = zone;
  if (!zone.empty()) out.availability_zone_id = zone_id(work.scope.region, zone.back());
  out.description = interface.description;
  out.groups.emplace();
  for (const std::string& id : interface.groups) {
    auto& group = out.groups->emplace_back();
    group.group_id = id;
    if (const auto found =
            records::get<records::SecurityGroup>(work.context.store, key_of<records::SecurityGroup>(work, id)))
      group.group_name = found->name;
  }
  out.interface_type = interface.type;
  out.ipv6_addresses.emplace();
  out.mac_address = interface.mac;
  out.network_interface_id = interface.id;
  out.owner_id = work.scope.account;
  out.private_dns_name = name_of(interface.address);
  out.private_ip_address = interface.address;
  auto show_address = [&](const std::string& address, bool primary) {
    auto& shown = out.private_ip_addresses->emplace_back();
    shown.association = association_of(work, view, address);
    shown.primary = primary;
    shown.private_dns_name = name_of(address);
    shown.private_ip_address = address;
  };
  out.private_ip_addresses.emplace();
  show_address(interface.address, true);
  for (const std::string& address : interface.secondary_addresses) show_address(address, false);
  if (out.association) out.public_dns_name = out.association->public_dns_name;
  if (interface.requester_managed) out.requester_id = std::string(kServiceAccount);
  out.requester_managed = interface.requester_managed;
  out.source_dest_check = interface.source_dest_check;
  out.status = interface.attachment_id.empty() ? "available" : "in-use";
  out.subnet_id = interface.subnet_id;
  out.tag_set.emplace();
  for (const auto& [key, value] : view.tags) out.tag_set->push_back({key, value});
  out.vpc_id = interface.vpc_id;
  out.operator_.emplace().managed = false;
  return out;
}

}  // namespace berth::services::ec2
