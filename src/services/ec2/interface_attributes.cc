// What of an interface can be changed, and its further addresses.
#include <algorithm>

#include "model/ec2/operations.h"
#include "services/ec2/interfaces.h"
#include "services/ec2/quotas.h"
#include "services/ec2/security_groups.h"

namespace berth::services::ec2 {
namespace {

using records::Interface;

tl::unexpected<ApiError> invalid(std::string text) { return refuse("InvalidParameterValue", std::move(text)); }

ApiResult<InterfacePtr> find_own(Work& work, const std::string& id) {
  auto interface = find<Interface>(work, id);
  if (!interface) return interface;
  if (auto own = check_is_own(**interface); !own) return tl::unexpected(own.error());
  return interface;
}

Handled<m::DescribeNetworkInterfaceAttributeResult> describe_attribute(
    const Context& context, const m::DescribeNetworkInterfaceAttributeRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  const auto interface = find<Interface>(work, in.network_interface_id);
  if (!interface) return tl::unexpected(interface.error());
  const m::NetworkInterface shown = render(work, view_of(work, **interface));
  m::DescribeNetworkInterfaceAttributeResult out;
  out.network_interface_id = in.network_interface_id;
  const std::string attribute = in.attribute.value_or("");
  if (attribute == "description")
    out.description.emplace().value = shown.description;
  else if (attribute == "groupSet")
    out.groups = shown.groups;
  else if (attribute == "sourceDestCheck")
    out.source_dest_check.emplace().value = shown.source_dest_check;
  else if (attribute == "attachment")
    out.attachment = shown.attachment;
  else if (attribute == "associatePublicIpAddress")
    out.associate_public_ip_address = !(*interface)->public_address.empty();
  else  // the model has no further ones
    return refuse("MissingParameter", "The request must contain the parameter attribute");
  return {std::move(out), std::move(work.transaction)};
}

Handled<Nothing> modify_attribute(const Context& context, const m::ModifyNetworkInterfaceAttributeRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  const auto interface = find_own(work, in.network_interface_id);
  if (!interface) return tl::unexpected(interface.error());
  const int asked =
      in.description.has_value() + in.source_dest_check.has_value() + in.groups.has_value() + in.attachment.has_value();
  if (asked == 0) return refuse("MissingParameter", "The request must contain an attribute to modify");
  if (asked > 1) return refuse("InvalidParameterCombination", "Fields for multiple attribute types specified");
  if (in.attachment)
    return refuse("InvalidAttachmentID.NotFound",
                  fmt::format("The attachment ID '{}' does not exist", in.attachment->attachment_id.value_or("")));
  Interface after = **interface;
  if (in.description) after.description = in.description->value.value_or("");
  if (in.source_dest_check) after.source_dest_check = in.source_dest_check->value.value_or(true);
  if (in.groups) {
    const auto subnet = find<records::Subnet>(work, after.subnet_id);
    if (!subnet) return tl::unexpected(subnet.error());
    auto groups = groups_of_interface(work, **subnet, *in.groups);
    if (!groups) return tl::unexpected(groups.error());
    after.groups = *std::move(groups);
  }
  put(work, after);
  return {Nothing{}, std::move(work.transaction)};
}

Handled<Nothing> reset_attribute(const Context& context, const m::ResetNetworkInterfaceAttributeRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  const auto interface = find_own(work, in.network_interface_id);
  if (!interface) return tl::unexpected(interface.error());
  Interface after = **interface;
  after.source_dest_check = true;  // the one attribute that can be reset
  put(work, after);
  return {Nothing{}, std::move(work.transaction)};
}

// Takes the address from whichever interface of the subnet has it as a secondary one.
void take_from_others(Work& work, const records::Subnet& subnet, const std::string& address) {
  for (const std::string& key : work.context.networks.naming(subnet.id, records::ec2_kinds::kInterface)) {
    const auto other = work.get<Interface>(key);
    if (!other || check_is_own(*other).has_value() == false) continue;
    Interface after = *other;
    if (std::erase(after.secondary_addresses, address) > 0) put(work, after);
  }
}

Handled<m::AssignPrivateIpAddressesResult> assign_addresses(const Context& context,
                                                            const m::AssignPrivateIpAddressesRequest& in) {
  Work work(context);
  if (auto begun = begin(work, std::nullopt); !begun) return tl::unexpected(begun.error());
  const auto interface = find_own(work, in.network_interface_id);
  if (!interface) return tl::unexpected(interface.error());
  const auto subnet = find<records::Subnet>(work, (*interface)->subnet_id);
  if (!subnet) return tl::unexpected(subnet.error());
  const int count = in.secondary_private_ip_address_count.value_or(0);
  const std::vector<std::string>& asked = list(in.private_ip_addresses);
  if (asked.empty() == (count == 0))
    return refuse(asked.empty() ? "MissingParameter" : "InvalidParameterCombination",
                  "Either privateIpAddress or secondaryPrivateIpAddressCount must be specified, not both");
  if (count < 0)
    return invalid(fmt::format("Value ({}) for parameter secondaryPrivateIpAddressCount is invalid.", count));
  Interface after = **interface;
  if (1 + after.secondary_addresses.size() + asked.size() + static_cast<size_t>(count) > quotas::kAddressesOfInterface)
    return refuse(
        "PrivateIpAddressLimitExceeded",
        fmt::format("Number of private addresses will exceed limit. Limit: {}.", quotas::kAddressesOfInterface));
  m::AssignPrivateIpAddressesResult out;
  out.network_interface_id = after.id;
  out.assigned_private_ip_addresses.emplace();
  out.assigned_ipv4_prefixes.emplace();
  std::set<Ipv4> taken;
  for (size_t i = 0; i < asked.size() + static_cast<size_t>(count); ++i) {
    auto address =
        i < asked.size() ? check_address(work, **subnet, asked[i], taken) : free_address(work, **subnet, taken);
    if (!address && address.error().type == "InvalidIPAddress.InUse" && in.allow_reassignment.value_or(false)) {
      take_from_others(work, **subnet, asked[i]);
      // What is left is a primary address, or a service's.
      for (const std::string& key : context.networks.naming((*subnet)->id, records::ec2_kinds::kInterface)) {
        const auto other = work.get<Interface>(key);
        if (other && (other->address == asked[i] ||
                      std::count(other->secondary_addresses.begin(), other->secondary_addresses.end(), asked[i]) > 0))
          return tl::unexpected(address.error());
      }
      address = *parse_ipv4(asked[i]);
      std::erase(after.secondary_addresses, asked[i]);
    }
    if (!address) return tl::unexpected(address.error());
    taken.insert(*address);
    after.secondary_addresses.push_back(address->to_string());
    out.assigned_private_ip_addresses->emplace_back().private_ip_address = address->to_string();
  }
  put(work, after);
  return {std::move(out), std::move(work.transaction)};
}

Handled<Nothing> unassign_addresses(const Context& context, const m::UnassignPrivateIpAddressesRequest& in) {
  Work work(context);
  if (auto begun = begin(work, std::nullopt); !begun) return tl::unexpected(begun.error());
  const auto interface = find_own(work, in.network_interface_id);
  if (!interface) return tl::unexpected(interface.error());
  const std::vector<std::string>& asked = list(in.private_ip_addresses);
  if (asked.empty()) return refuse("MissingParameter", "The request must contain the parameter privateIpAddress");
  Interface after = **interface;
  const auto elastic = view_of(work, **interface).elastic;
  for (const std::string& address : asked) {
    if (std::erase(after.secondary_addresses, address) == 0)
      return invalid(fmt::format("Some of the specified addresses are not assigned to interface {}", after.id));
    for (const auto& one : elastic)
      if (one->private_address == address) {
        records::Address freed = *one;
        freed.association_id.clear(), freed.interface_id.clear(), freed.private_address.clear();
        put(work, freed);
      }
  }
  put(work, after);
  return {Nothing{}, std::move(work.transaction)};
}

// There are no instances here to attach to.
Handled<m::AttachNetworkInterfaceResult> attach(const Context& context, const m::AttachNetworkInterfaceRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  if (const auto interface = find<Interface>(work, in.network_interface_id); !interface)
    return tl::unexpected(interface.error());
  return refuse("InvalidInstanceID.NotFound", fmt::format("The instance ID '{}' does not exist", in.instance_id));
}

// So what is attached is a service's.
Handled<Nothing> detach(const Context& context, const m::DetachNetworkInterfaceRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  for (const auto& [key, interface] : all<Interface>(work))
    if (interface->attachment_id == in.attachment_id)
      return refuse("OperationNotPermitted", "You are not allowed to manage 'ela-attach' attachments.");
  return refuse("InvalidAttachmentID.NotFound", fmt::format("The attachment ID '{}' does not exist", in.attachment_id));
}

}  // namespace

void add_interface_attribute_handlers(OperationRegistry& registry) {
  add(registry, m::kDescribeNetworkInterfaceAttribute, named, describe_attribute);
  add(registry, m::kModifyNetworkInterfaceAttribute, named, modify_attribute);
  add(registry, m::kResetNetworkInterfaceAttribute, named, reset_attribute);
  add(registry, m::kAssignPrivateIpAddresses, named, assign_addresses);
  add(registry, m::kUnassignPrivateIpAddresses, named, unassign_addresses);
  add(registry, m::kAttachNetworkInterface, named, attach);
  add(registry, m::kDetachNetworkInterface, named, detach);
}

}  // namespace berth::services::ec2
