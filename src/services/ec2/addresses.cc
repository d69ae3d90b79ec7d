// Elastic IPs: addresses of the machine's public pool, and what they are associated with.
#include <algorithm>

#include "base/limits.h"
#include "model/ec2/addresses.h"
#include "model/ec2/operations.h"
#include "services/ec2/handlers.h"
#include "services/ec2/objects.h"
#include "services/ec2/select.h"

namespace berth::services::ec2 {
namespace {

namespace kinds = records::ec2_kinds;
using AddressPtr = std::shared_ptr<const records::Address>;

tl::unexpected<ApiError> not_permitted() {
  return refuse("AuthFailure", "You do not have permission to access the specified resource.");
}

tl::unexpected<ApiError> no_such_address(const std::string& public_ip) {
  return refuse("InvalidAddress.NotFound", fmt::format("Address '{}' not found.", public_ip));
}

m::Address render(Work& work, const records::Address& address) {
  m::Address out;
  out.allocation_id = address.allocation_id;
  out.domain = "vpc";
  if (!address.association_id.empty()) {
    out.association_id = address.association_id;
    out.network_interface_id = address.interface_id;
    out.network_interface_owner_id = work.scope.account;
    out.private_ip_address = address.private_address;
  }
  out.tags = render_tags(work, address.allocation_id);
  out.public_ipv4_pool = "amazon";
  out.network_border_group = work.scope.region;
  out.public_ip = address.public_address;
  return out;
}

AddressPtr by_public_ip(Work& work, const std::string& public_ip) {
  for (const auto& [key, address] : all<records::Address>(work))
    if (address->public_address == public_ip) return address;
  return nullptr;
}

Handled<m::DescribeAddressesResult> describe_addresses(const Context& context, const m::DescribeAddressesRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  std::vector<std::string> ids = list(in.allocation_ids);
  for (const std::string& public_ip : list(in.public_ips)) {
    const auto address = by_public_ip(work, public_ip);
    if (!address) return no_such_address(public_ip);
    ids.push_back(address->allocation_id);
  }
  auto found = select<records::Address>(
      work, in, ids,
      {"allocation-id", "association-id", "domain", "instance-id", "network-border-group", "network-interface-id",
       "network-interface-owner-id", "private-ip-address", "public-ip"},
      [&](const records::Address& address) {
        Filterable out;
        out.with("allocation-id", address.allocation_id).with("domain", "vpc").with("public-ip", address.public_address);
        out.with("network-border-group", work.scope.region);
        if (!address.association_id.empty())
          out.with("association-id", address.association_id)
              .with("network-interface-id", address.interface_id)
              .with("network-interface-owner-id", work.scope.account)
              .with("private-ip-address", address.private_address);
        return out;
      });
  if (!found) return tl::unexpected(found.error());
  m::DescribeAddressesResult out;
  out.addresses.emplace();
  for (const auto& address : found->records) out.addresses->push_back(render(work, *address));
  return {std::move(out), std::move(work.transaction)};
}

// A given address is taken back from the pool, as AWS recovers one that was released.
ApiResult<Ipv4> choose_address(const Work& work, const std::optional<std::string>& wanted) {
  const Ipv4Network& pool = work.context.network.public_pool;
  if (wanted) {
    const auto address = parse_ipv4(*wanted);
    if (!address || !pool.contains(*address) || *address == pool.base || *address == pool.last() ||
        work.context.networks.is_used_publicly(*address))
      return no_such_address(*wanted);
    return *address;
  }
  const auto address = work.context.networks.free_public_address(pool);
  if (!address)
    return refuse("InsufficientAddressCapacity",
                  fmt::format("No public address is left in {} (--public-cidr).", pool.to_string()));
  return *address;
}

ApiResult<void> check_border_group(const Work& work, const std::optional<std::string>& group) {
  if (!group || *group == work.scope.region) return {};
  return refuse("InvalidParameterValue", fmt::format("Invalid network border group: {}", *group));
}

Handled<m::AllocateAddressResult> allocate_address(const Context& context, const m::AllocateAddressRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  if (auto checked = check_border_group(work, in.network_border_group); !checked)
    return tl::unexpected(checked.error());
  const auto tags = tags_at_creation(in.tag_specifications, kKind<records::Address>.resource_type);
  if (!tags) return tl::unexpected(tags.error());
  if (all<records::Address>(work).size() >= limits::kAddressesMax)
    return refuse("AddressLimitExceeded", "The maximum number of addresses has been reached.");
  const auto chosen = choose_address(work, in.address);
  if (!chosen) return tl::unexpected(chosen.error());
  records::Address address;
  address.allocation_id = new_id<records::Address>(work);
  address.public_address = chosen->to_string();
  put(work, address);
  put_tags(work, address.allocation_id, *tags);
  m::AllocateAddressResult out;
  out.allocation_id = address.allocation_id;
  out.public_ip = address.public_address;
  out.public_ipv4_pool = "amazon";
  out.network_border_group = work.scope.region;
  out.domain = "vpc";
  return {std::move(out), std::move(work.transaction)};
}

bool is_of_nat_gateway(Work& work, const records::Address& address) {
  const auto interface = look_up<records::Interface>(work, address.interface_id);
  return interface && interface->type == "nat_gateway";
}

Handled<Nothing> release_address(const Context& context, const m::ReleaseAddressRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  if (!in.allocation_id) {
    if (!in.public_ip) return refuse("MissingParameter", "Either public IP or allocation id must be specified");
    if (!by_public_ip(work, *in.public_ip)) return no_such_address(*in.public_ip);
    return refuse("InvalidParameterValue",
                  "You must specify an allocation id when releasing a VPC elastic IP address");
  }
  const auto address = find<records::Address>(work, *in.allocation_id);
  if (!address) return tl::unexpected(address.error());
  // AWS: a wrong border group is an address that is not there.
  if (!check_border_group(work, in.network_border_group)) return no_such_address((*address)->public_address);
  if (is_of_nat_gateway(work, **address)) return not_permitted();
  if (!(*address)->association_id.empty())
    return refuse("InvalidIPAddress.InUse", fmt::format("Address {} is in use.", (*address)->public_address));
  erase(work, **address);
  return {Nothing{}, std::move(work.transaction)};
}

void disassociate(Work& work, records::Address address) {
  address.association_id.clear();
  address.interface_id.clear();
  address.private_address.clear();
  put(work, address);
}

// Where the address is to point: an interface that is the user's own, in a VPC with an internet gateway, and one of its
// private addresses.
struct Target {
  std::string interface_id;
  std::string private_address;
};
ApiResult<Target> target_of(Work& work, const m::AssociateAddressRequest& in) {
  if (!in.network_interface_id)
    return refuse("MissingParameter", "Either instance ID or network interface id must be specified");
  const auto interface = find<records::Interface>(work, *in.network_interface_id);
  if (!interface) return tl::unexpected(interface.error());
  const records::Interface& at = **interface;
  if (at.requester_managed) return not_permitted();
  if (!work.context.networks.is_named(at.vpc_id, kinds::kInternetGateway))
    return refuse("Gateway.NotAttached", fmt::format("Network {} is not attached to any internet gateway", at.vpc_id));
  const std::string wanted = in.private_ip_address.value_or(at.address);
  if (wanted != at.address &&
      std::find(at.secondary_addresses.begin(), at.secondary_addresses.end(), wanted) == at.secondary_addresses.end())
    return refuse("InvalidParameterValue", fmt::format("Value ({}) for parameter privateIpAddress is invalid. The "
                                                       "network interface {} has no such address.",
                                                       wanted, at.id));
  return Target{at.id, wanted};
}

Handled<m::AssociateAddressResult> associate_address(const Context& context, const m::AssociateAddressRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  if (!in.allocation_id && !in.public_ip)
    return refuse("MissingParameter", "Either public IP or allocation id must be specified");
  AddressPtr found;
  if (in.allocation_id) {
    auto by_id = find<records::Address>(work, *in.allocation_id);
    if (!by_id) return tl::unexpected(by_id.error());
    found = *std::move(by_id);
  } else if (found = by_public_ip(work, *in.public_ip); !found) {
    return no_such_address(*in.public_ip);
  }
  const auto target = target_of(work, in);
  if (!target) return tl::unexpected(target.error());
  records::Address address = *found;
  m::AssociateAddressResult out;
  if (address.interface_id == target->interface_id && address.private_address == target->private_address) {
    out.association_id = address.association_id;
    return {std::move(out), std::move(work.transaction)};
  }
  if (is_of_nat_gateway(work, address)) return not_permitted();
  // AWS moves it without a word, unless it is told not to.
  if (!address.association_id.empty() && !in.allow_reassociation.value_or(true))
    return refuse("Resource.AlreadyAssociated", fmt::format("resource {} is already associated with associate-id {}",
                                                            address.allocation_id, address.association_id));
  for (const std::string& key : context.networks.naming(target->interface_id, kinds::kAddress)) {
    const auto other = work.get<records::Address>(key);
    if (!other || other->private_address != target->private_address) continue;
    if (!in.allow_reassociation.value_or(true))
      return refuse("Resource.AlreadyAssociated",
                    fmt::format("resource {} is already associated with associate-id {}", target->interface_id,
                                other->association_id));
    disassociate(work, *other);
  }
  address.association_id = new_id(work, "eipassoc-");
  address.interface_id = target->interface_id;
  address.private_address = target->private_address;
  put(work, address);
  out.association_id = address.association_id;
  return {std::move(out), std::move(work.transaction)};
}

Handled<Nothing> disassociate_address(const Context& context, const m::DisassociateAddressRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  if (!in.association_id) {
    if (!in.public_ip) return refuse("MissingParameter", "Either public IP or association id must be specified");
    if (!by_public_ip(work, *in.public_ip)) return no_such_address(*in.public_ip);
    return refuse("InvalidParameterValue",
                  "You must specify an association id when unmapping an address from a VPC instance");
  }
  if (!in.association_id->starts_with("eipassoc-"))
    return refuse("InvalidAssociationID.Malformed",
                  fmt::format("Invalid id: \"{}\" (expecting \"eipassoc-...\")", *in.association_id));
  for (const auto& [key, address] : all<records::Address>(work)) {
    if (address->association_id != *in.association_id) continue;
    if (is_of_nat_gateway(work, *address)) return not_permitted();
    disassociate(work, *address);
    return {Nothing{}, std::move(work.transaction)};
  }
  return refuse("InvalidAssociationID.NotFound",
                fmt::format("The association ID '{}' does not exist", *in.association_id));
}

}  // namespace

void add_address_handlers(OperationRegistry& registry) {
  add(registry, m::kDescribeAddresses, kAnyResource, describe_addresses);
  add(registry, m::kAllocateAddress, Creates{"elastic-ip"}, allocate_address);
  add(registry, m::kReleaseAddress, named, release_address);
  add(registry, m::kAssociateAddress, named, associate_address);
  add(registry, m::kDisassociateAddress, named, disassociate_address);
}

}  // namespace berth::services::ec2
