#include "records/network_index.h"

#include <algorithm>
#include <tuple>

#include "records/network.h"
#include "records/read.h"

namespace berth::records {
namespace {

using Ids = std::vector<std::string>;

// Every id that a record names: what cannot be deleted as long as it does, as a rule.
Ids ids(const Subnet& r) { return {r.vpc_id}; }
Ids ids(const InternetGateway& r) { return {r.vpc_id}; }
Ids ids(const SecurityGroup& r) { return {r.vpc_id}; }
Ids ids(const SecurityGroupRule& r) { return {r.group_id, r.peer_group_id, r.prefix_list_id}; }
Ids ids(const Address& r) { return {r.interface_id}; }
Ids ids(const Vpc& r) { return {r.dhcp_options_id}; }
Ids ids(const NatGateway& r) {
  if (r.state == "deleted" || r.state == "failed") return {};
  return {r.vpc_id, r.subnet_id, r.allocation_id, r.interface_id};
}
Ids ids(const RouteTable& r) {
  Ids out{r.vpc_id};
  for (const Route& route : r.routes) out.push_back(route.target), out.push_back(route.destination_prefix_list_id);
  for (const SubnetAssociation& association : r.associations) out.push_back(association.subnet_id);
  return out;
}
Ids ids(const NetworkAcl& r) {
  Ids out{r.vpc_id};
  for (const SubnetAssociation& association : r.associations) out.push_back(association.subnet_id);
  return out;
}
Ids ids(const Interface& r) {
  Ids out = r.groups;
  out.insert(out.end(), {r.vpc_id, r.subnet_id});
  return out;
}
Ids ids(const VpcEndpoint& r) {
  Ids out = r.route_table_ids;
  out.push_back(r.vpc_id);
  for (const Ids* more : {&r.subnet_ids, &r.interface_ids, &r.groups})
    out.insert(out.end(), more->begin(), more->end());
  return out;
}

template <class T>
Ids ids_in(const state::ValuePtr& value) {
  return value ? ids(*decoded<T>(value)) : Ids{};
}

// "ec2/<kind>/…" → <kind>
std::string_view kind_of(std::string_view key) {
  key.remove_prefix(std::string_view("ec2/").size());
  return key.substr(0, key.find('/'));
}

Ids ids_in(std::string_view kind, const state::ValuePtr& value) {
  if (kind == ec2_kinds::kVpc) return ids_in<Vpc>(value);
  if (kind == ec2_kinds::kSubnet) return ids_in<Subnet>(value);
  if (kind == ec2_kinds::kRouteTable) return ids_in<RouteTable>(value);
  if (kind == ec2_kinds::kInternetGateway) return ids_in<InternetGateway>(value);
  if (kind == ec2_kinds::kNatGateway) return ids_in<NatGateway>(value);
  if (kind == ec2_kinds::kAddress) return ids_in<Address>(value);
  if (kind == ec2_kinds::kNetworkAcl) return ids_in<NetworkAcl>(value);
  if (kind == ec2_kinds::kSecurityGroup) return ids_in<SecurityGroup>(value);
  if (kind == ec2_kinds::kSecurityGroupRule) return ids_in<SecurityGroupRule>(value);
  if (kind == ec2_kinds::kInterface) return ids_in<Interface>(value);
  if (kind == ec2_kinds::kVpcEndpoint) return ids_in<VpcEndpoint>(value);
  return {};  // DHCP options, prefix lists and tags name nothing
}

using Keys = std::set<std::string>;

// Those of a kind stand together: "ec2/<kind>/…".
std::pair<Keys::const_iterator, Keys::const_iterator> of_kind(const Keys& all, std::string_view kind) {
  if (kind.empty()) return {all.begin(), all.end()};
  return {all.lower_bound(fmt::format("ec2/{}/", kind)),
          all.lower_bound(fmt::format("ec2/{}0", kind))};  // '0' follows '/'
}

std::vector<Ipv4> private_addresses(const Interface& interface) {
  std::vector<Ipv4> out;
  if (const auto address = parse_ipv4(interface.address)) out.push_back(*address);
  for (const std::string& text : interface.secondary_addresses)
    if (const auto address = parse_ipv4(text)) out.push_back(*address);
  return out;
}

std::optional<Ipv4> next_free(const std::set<Ipv4>& used, Ipv4 latest, Ipv4 first, Ipv4 last,
                              const std::set<Ipv4>& also) {
  if (first > last) return std::nullopt;
  const uint64_t size = uint64_t{last.value} - first.value + 1;
  const uint64_t begin = latest >= first && latest < last ? latest.value - first.value + 1 : 0;
  for (uint64_t i = 0; i < size; ++i) {
    const Ipv4 address{static_cast<uint32_t>(first.value + (begin + i) % size)};
    if (!used.contains(address) && !also.contains(address)) return address;
  }
  return std::nullopt;
}

}  // namespace

bool is_assignable(const Ipv4Network& subnet, Ipv4 address) {
  return subnet.contains(address) && address.value - subnet.base.value >= kSubnetAddressesReserved - 1 &&
         address < subnet.last();
}

NetworkIndex::NetworkIndex(state::Store& store) { store.add_index("ec2/", this); }

void NetworkIndex::count(Block& block, Ipv4 address, bool added) {
  if (added) {
    block.used.insert(address);
    block.latest = address;
  } else {
    block.used.erase(address);
  }
}

void NetworkIndex::changed(const std::string& key, const state::ValuePtr& before, const state::ValuePtr& after) {
  const std::string_view kind = kind_of(key);
  Ids old_ids = ids_in(kind, before), new_ids = ids_in(kind, after);
  for (const std::string& id : old_ids) {
    if (id.empty() || std::find(new_ids.begin(), new_ids.end(), id) != new_ids.end()) continue;
    const auto found = naming_.find(id);
    if (found == naming_.end()) continue;
    found->second.erase(key);
    if (found->second.empty()) naming_.erase(found);
  }
  for (const std::string& id : new_ids)
    if (!id.empty()) naming_[id].insert(key);

  if (kind == ec2_kinds::kInterface) {
    for (const auto& [old_value, new_value, added] :
         {std::tuple(before, after, false), std::tuple(after, before, true)}) {
      if (!old_value) continue;
      const auto interface = decoded<Interface>(old_value);
      const auto other = new_value ? decoded<Interface>(new_value) : nullptr;
      Block& subnet = subnets_[interface->subnet_id];
      const auto had = other ? private_addresses(*other) : std::vector<Ipv4>{};
      for (const Ipv4 address : private_addresses(*interface))
        if (std::find(had.begin(), had.end(), address) == had.end()) count(subnet, address, added);
      if (other && other->public_address == interface->public_address) continue;
      if (const auto address = parse_ipv4(interface->public_address)) count(public_, *address, added);
    }
  } else if (kind == ec2_kinds::kAddress) {
    // An Elastic IP keeps its address from allocation to release.
    if (!before || !after)
      if (const auto address = parse_ipv4(decoded<Address>(before ? before : after)->public_address))
        count(public_, *address, after != nullptr);
  } else if (kind == ec2_kinds::kSubnet && !after) {
    subnets_.erase(key.substr(key.rfind('/') + 1));
  }
}

std::vector<std::string> NetworkIndex::naming(std::string_view id, std::string_view kind) const {
  const auto found = naming_.find(id);
  if (found == naming_.end()) return {};
  const auto [first, last] = of_kind(found->second, kind);
  return {first, last};
}

bool NetworkIndex::is_named(std::string_view id, std::string_view kind) const {
  const auto found = naming_.find(id);
  if (found == naming_.end()) return false;
  const auto [first, last] = of_kind(found->second, kind);
  return first != last;
}

int64_t NetworkIndex::used_in_subnet(std::string_view subnet_id) const {
  const auto found = subnets_.find(subnet_id);
  return found == subnets_.end() ? 0 : static_cast<int64_t>(found->second.used.size());
}

bool NetworkIndex::is_used(std::string_view subnet_id, Ipv4 address) const {
  const auto found = subnets_.find(subnet_id);
  return found != subnets_.end() && found->second.used.contains(address);
}

std::optional<Ipv4> NetworkIndex::free_address(std::string_view subnet_id, const Ipv4Network& cidr,
                                               const std::set<Ipv4>& also) const {
  static const Block kEmpty;
  const auto found = subnets_.find(subnet_id);
  const Block& block = found == subnets_.end() ? kEmpty : found->second;
  const Ipv4 first{cidr.base.value + kSubnetAddressesReserved - 1}, last{cidr.last().value - 1};
  return next_free(block.used, block.latest, first, last, also);
}

int64_t NetworkIndex::available(std::string_view subnet_id, const Ipv4Network& cidr) const {
  return static_cast<int64_t>(cidr.size()) - kSubnetAddressesReserved - used_in_subnet(subnet_id);
}

std::optional<Ipv4> NetworkIndex::free_public_address(const Ipv4Network& pool, const std::set<Ipv4>& also) const {
  return next_free(public_.used, public_.latest, {pool.base.value + 1}, {pool.last().value - 1}, also);
}

}  // namespace berth::records
