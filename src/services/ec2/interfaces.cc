#include "services/ec2/interfaces.h"

#include <algorithm>

#include "model/ec2/operations.h"
#include "services/ec2/quotas.h"
#include "services/ec2/security_groups.h"
#include "services/ec2/select.h"

namespace berth::services::ec2 {
namespace {

using records::Interface;

tl::unexpected<ApiError> invalid(std::string text) { return refuse("InvalidParameterValue", std::move(text)); }

// The addresses that a new interface asks for, the primary one first; an empty text is any.
ApiResult<std::vector<std::string>> addresses_asked_for(const m::CreateNetworkInterfaceRequest& in) {
  std::vector<std::string> out{in.private_ip_address.value_or("")};
  bool has_primary = in.private_ip_address.has_value();
  for (const m::PrivateIpAddressSpecification& one : list(in.private_ip_addresses)) {
    if (!one.primary.value_or(false)) {
      out.push_back(one.private_ip_address.value_or(""));
      continue;
    }
    if (has_primary)
      return refuse("InvalidParameterCombination", "Only one primary private IP address can be specified.");
    has_primary = true;
    out.front() = one.private_ip_address.value_or("");
  }
  const int more = in.secondary_private_ip_address_count.value_or(0);
  if (more < 0)
    return invalid(fmt::format("Value ({}) for parameter secondaryPrivateIpAddressCount is invalid.", more));
  if (more > 0 && out.size() > 1)
    return refuse("InvalidParameterCombination",
                  "Secondary private IP addresses and their count may not be specified together.");
  if (out.size() + static_cast<size_t>(more) > quotas::kAddressesOfInterface)
    return refuse(
        "PrivateIpAddressLimitExceeded",
        fmt::format("Number of private addresses will exceed limit. Limit: {}.", quotas::kAddressesOfInterface));
  out.resize(out.size() + static_cast<size_t>(more));
  return out;
}

ApiResult<void> give_addresses(const Work& work, const records::Subnet& subnet, const std::vector<std::string>& asked,
                               Interface& interface) {
  std::set<Ipv4> taken;
  std::vector<std::string> given(asked.size());
  // Those that were named go first, lest one of them be given out as any.
  for (const bool named : {true, false})
    for (size_t i = 0; i < asked.size(); ++i) {
      if (asked[i].empty() == named) continue;
      const auto address = named ? check_address(work, subnet, asked[i], taken) : free_address(work, subnet, taken);
      if (!address) return tl::unexpected(address.error());
      taken.insert(*address);
      given[i] = address->to_string();
    }
  interface.address = given.front();
  interface.secondary_addresses.assign(given.begin() + 1, given.end());
  return {};
}

Handled<m::CreateNetworkInterfaceResult> create_interface(const Context& context,
                                                          const m::CreateNetworkInterfaceRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  const std::string hash = parameters_hash(in);
  const auto known = id_by_token(work, "CreateNetworkInterface", in.client_token, hash);
  if (!known) return tl::unexpected(known.error());
  m::CreateNetworkInterfaceResult out;
  out.client_token = in.client_token;
  if (!known->empty()) {
    const auto before = find<Interface>(work, *known);
    if (!before) return tl::unexpected(before.error());
    out.network_interface = render(work, view_of(work, **before));
    return {std::move(out), std::move(work.transaction)};
  }
  const auto subnet = find<records::Subnet>(work, in.subnet_id);
  if (!subnet) return tl::unexpected(subnet.error());
  auto groups = groups_of_interface(work, **subnet, list(in.groups));
  if (!groups) return tl::unexpected(groups.error());
  const auto tags = tags_at_creation(in.tag_specifications, kKind<Interface>.resource_type);
  if (!tags) return tl::unexpected(tags.error());
  Interface interface;
  interface.id = new_id<Interface>(work);
  interface.vpc_id = (*subnet)->vpc_id;
  interface.subnet_id = (*subnet)->id;
  interface.availability_zone = (*subnet)->availability_zone;
  interface.groups = *std::move(groups);
  interface.description = in.description.value_or("");
  interface.mac = new_mac(work);
  interface.created_at_ms = context.now_ms;
  const auto asked = addresses_asked_for(in);
  if (!asked) return tl::unexpected(asked.error());
  if (auto given = give_addresses(work, **subnet, *asked, interface); !given) return tl::unexpected(given.error());
  put(work, interface);
  put_tags(work, interface.id, *tags);
  remember_token(work, "CreateNetworkInterface", in.client_token, hash, interface.id);
  out.network_interface = render(work, view_of(work, interface));
  out.network_interface->status = "pending";  // as AWS answers; it is there at the next look
  return {std::move(out), std::move(work.transaction)};
}

Handled<Nothing> delete_interface(const Context& context, const m::DeleteNetworkInterfaceRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  const auto interface = find<Interface>(work, in.network_interface_id);
  if (!interface) return tl::unexpected(interface.error());
  if (!(*interface)->attachment_id.empty())
    return invalid(fmt::format("Network interface '{}' is currently in use.", (*interface)->id));
  if (auto own = check_is_own(**interface); !own) return tl::unexpected(own.error());
  // An Elastic IP goes back to its owner.
  for (const auto& address : view_of(work, **interface).elastic) {
    records::Address freed = *address;
    freed.association_id.clear(), freed.interface_id.clear(), freed.private_address.clear();
    put(work, freed);
  }
  erase(work, **interface);
  return {Nothing{}, std::move(work.transaction)};
}

const std::vector<std::string_view> kInterfaceFilters{"addresses.association.owner-id",
                                                      "addresses.association.public-ip",
                                                      "addresses.primary",
                                                      "addresses.private-ip-address",
                                                      "association.allocation-id",
                                                      "association.association-id",
                                                      "association.ip-owner-id",
                                                      "association.public-dns-name",
                                                      "association.public-ip",
                                                      "attachment.attach-time",
                                                      "attachment.attachment-id",
                                                      "attachment.delete-on-termination",
                                                      "attachment.device-index",
                                                      "attachment.instance-id",
                                                      "attachment.instance-owner-id",
                                                      "attachment.nat-gateway-id",
                                                      "attachment.status",
                                                      "availability-zone",
                                                      "availability-zone-id",
                                                      "description",
                                                      "group-id",
                                                      "group-name",
                                                      "interface-type",
                                                      "ipv6-addresses.ipv6-address",
                                                      "mac-address",
                                                      "network-interface-id",
                                                      "operator.managed",
                                                      "operator.principal",
                                                      "owner-id",
                                                      "private-dns-name",
                                                      "private-ip-address",
                                                      "requester-id",
                                                      "requester-managed",
                                                      "source-dest-check",
                                                      "status",
                                                      "subnet-id",
                                                      "vpc-id"};

void show_association(Filterable& seen, const m::NetworkInterface& shown) {
  auto with = [&](const char* name, const std::optional<std::string>& value) {
    if (value) seen.with(name, *value);
  };
  if (shown.association) {
    with("association.allocation-id", shown.association->allocation_id);
    with("association.association-id", shown.association->association_id);
    with("association.ip-owner-id", shown.association->ip_owner_id);
    with("association.public-dns-name", shown.association->public_dns_name);
    with("association.public-ip", shown.association->public_ip);
  }
  for (const auto& address : list(shown.private_ip_addresses)) {
    with("addresses.private-ip-address", address.private_ip_address);
    seen.with("addresses.primary", address.primary.value_or(false));
    if (!address.association) continue;
    with("addresses.association.public-ip", address.association->public_ip);
    with("addresses.association.owner-id", address.association->ip_owner_id);
  }
  if (shown.attachment) {
    with("attachment.attachment-id", shown.attachment->attachment_id);
    with("attachment.instance-owner-id", shown.attachment->instance_owner_id);
    with("attachment.status", shown.attachment->status);
    seen.with("attachment.device-index", std::to_string(shown.attachment->device_index.value_or(0)));
    seen.with("attachment.delete-on-termination", shown.attachment->delete_on_termination.value_or(false));
  }
}

// Filters see what the answer shows.
Filterable filterable(const m::NetworkInterface& shown) {
  Filterable seen;
  auto with = [&](const char* name, const std::optional<std::string>& value) {
    if (value) seen.with(name, *value);
  };
  show_association(seen, shown);
  with("availability-zone", shown.availability_zone);
  with("availability-zone-id", shown.availability_zone_id);
  with("description", shown.description);
  for (const auto& group : list(shown.groups)) with("group-id", group.group_id), with("group-name", group.group_name);
  with("interface-type", shown.interface_type);
  with("mac-address", shown.mac_address);
  with("network-interface-id", shown.network_interface_id);
  seen.with("operator.managed", false);
  with("owner-id", shown.owner_id);
  with("private-dns-name", shown.private_dns_name);
  with("private-ip-address", shown.private_ip_address);
  with("requester-id", shown.requester_id);
  seen.with("requester-managed", shown.requester_managed.value_or(false));
  seen.with("source-dest-check", shown.source_dest_check.value_or(true));
  with("status", shown.status);
  with("subnet-id", shown.subnet_id);
  with("vpc-id", shown.vpc_id);
  for (const auto& tag : list(shown.tag_set)) {
    seen.with("tag-key", *tag.key);
    seen.with("tag:" + *tag.key, *tag.value);
  }
  return seen;
}

// Tasks may be many: where a filter names subnets, groups or VPCs without patterns, only interfaces that name one of them
// are looked at.
ApiResult<std::map<std::string, InterfacePtr>> interfaces_asked_for(Work& work, const std::vector<std::string>& ids,
                                                                    const std::vector<FilterSpec>& filters) {
  std::map<std::string, InterfacePtr> found;
  for (const std::string& id : ids) {
    auto interface = find<Interface>(work, id);
    if (!interface) return tl::unexpected(interface.error());
    found.emplace(key_of<Interface>(work, id), *std::move(interface));
  }
  if (!ids.empty()) return found;
  for (const FilterSpec& filter : filters) {
    if (filter.name != "subnet-id" && filter.name != "group-id" && filter.name != "vpc-id") continue;
    const bool plain = std::none_of(filter.values.begin(), filter.values.end(), [](const std::string& value) {
      return value.find_first_of("*?\\") != std::string::npos;
    });
    if (!plain) continue;
    for (const std::string& id : filter.values)
      for (const std::string& key : work.context.networks.naming(id, records::ec2_kinds::kInterface))
        if (key.starts_with(key_of<Interface>(work, "")))
          if (auto interface = records::get<Interface>(work.context.store, key)) found.emplace(key, interface);
    return found;
  }
  return all<Interface>(work);
}

Handled<m::DescribeNetworkInterfacesResult> describe_interfaces(const Context& context,
                                                                const m::DescribeNetworkInterfacesRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  const auto filters = filters_in(in);
  if (auto checked = check_filters(filters, kInterfaceFilters); !checked) return tl::unexpected(checked.error());
  auto pages = pages_of(work, in);
  if (!pages) return tl::unexpected(pages.error());
  const auto found = interfaces_asked_for(work, list(in.network_interface_ids), filters);
  if (!found) return tl::unexpected(found.error());
  m::DescribeNetworkInterfacesResult out;
  out.network_interfaces.emplace();
  for (const auto& [key, interface] : *found) {
    m::NetworkInterface shown = render(work, view_of(work, *interface));
    if (filterable(shown).matches(filters) && pages->take(interface->id))
      out.network_interfaces->push_back(std::move(shown));
    if (pages->is_full()) break;
  }
  out.next_token = pages->next_token();
  return {std::move(out), std::move(work.transaction)};
}

}  // namespace

ApiResult<Ipv4> check_address(const Work& work, const records::Subnet& subnet, const std::string& asked,
                              const std::set<Ipv4>& also) {
  const auto address = parse_ipv4(asked);
  const auto cidr = parse_network(subnet.cidr);
  if (!address || !cidr) return invalid(fmt::format("Invalid IPv4 address: '{}'", asked));
  if (!cidr->contains(*address))
    return invalid(fmt::format("Address {} does not fall within the subnet's address range", asked));
  if (!records::is_assignable(*cidr, *address))
    return invalid(fmt::format("Address {} is in subnet's reserved address range", asked));
  if (also.contains(*address) || work.context.networks.is_used(subnet.id, *address))
    return refuse("InvalidIPAddress.InUse", "The specified address is already in use.");
  return *address;
}

ApiResult<Ipv4> free_address(const Work& work, const records::Subnet& subnet, const std::set<Ipv4>& also) {
  const auto cidr = parse_network(subnet.cidr);
  const auto address = cidr ? work.context.networks.free_address(subnet.id, *cidr, also) : std::nullopt;
  if (!address)
    return refuse("InsufficientFreeAddressesInSubnet",
                  "The specified subnet does not have enough free addresses to satisfy the request.");
  return *address;
}

std::string new_mac(Work& work) {
  const uint64_t bits = work.context.random.next();
  std::string out = "06";  // administered locally, as EC2's are
  for (int i = 0; i < 5; ++i) out += fmt::format(":{:02x}", bits >> (8 * i) & 0xff);
  return out;
}

ApiResult<void> check_is_own(const records::Interface& interface) {
  if (!interface.requester_managed && interface.owner.empty()) return {};
  return refuse(
      "OperationNotPermitted",
      fmt::format("You are not allowed to manage the network interface '{}': a service manages it.", interface.id));
}

void add_interface_handlers(OperationRegistry& registry) {
  add(registry, m::kCreateNetworkInterface, Creates{"network-interface"}, create_interface);
  add(registry, m::kDeleteNetworkInterface, named, delete_interface);
  add(registry, m::kDescribeNetworkInterfaces, kAnyResource, describe_interfaces);
}

}  // namespace berth::services::ec2
