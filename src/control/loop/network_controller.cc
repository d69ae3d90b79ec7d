#include "control/loop/network_controller.h"

#include "control/loop/entries.h"
#include "control/network/interfaces.h"
#include "records/network.h"

namespace berth::control {

namespace keys = records::keys;
namespace kinds = records::ec2_kinds;

namespace {

constexpr std::string_view kPrefix = "ec2/";

// ec2/<kind>/<account>/<region>/<id>[/<rule>]
struct Key {
  std::string_view kind, scope, id;  // scope: "<account>/<region>"
};
Key parse(std::string_view key) {
  key.remove_prefix(kPrefix.size());
  const size_t kind_end = key.find('/'), account_end = key.find('/', kind_end + 1);
  const size_t region_end = key.find('/', account_end + 1);
  return {key.substr(0, kind_end), key.substr(kind_end + 1, region_end - kind_end - 1),
          key.substr(region_end + 1, key.find('/', region_end + 1) - region_end - 1)};
}

std::string key_beside(const Key& key, std::string_view kind, std::string_view id) {
  return fmt::format("{}{}/{}/{}", kPrefix, kind, key.scope, id);
}

constexpr std::string_view kStructure[] = {kinds::kSubnet,        kinds::kRouteTable, kinds::kNetworkAcl,
                                           kinds::kSecurityGroup, kinds::kNatGateway, kinds::kInternetGateway};

template <class T>
std::string vpc_id_in(const state::ValuePtr& value) {
  return records::decoded<T>(value)->vpc_id;
}

std::string vpc_id_in(std::string_view kind, const state::ValuePtr& value) {
  if (kind == kinds::kSubnet) return vpc_id_in<records::Subnet>(value);
  if (kind == kinds::kRouteTable) return vpc_id_in<records::RouteTable>(value);
  if (kind == kinds::kNetworkAcl) return vpc_id_in<records::NetworkAcl>(value);
  if (kind == kinds::kSecurityGroup) return vpc_id_in<records::SecurityGroup>(value);
  if (kind == kinds::kNatGateway) return vpc_id_in<records::NatGateway>(value);
  if (kind == kinds::kInternetGateway) return vpc_id_in<records::InternetGateway>(value);
  return {};
}

template <class T>
void take(network::Records<T>& out, const state::Store& store, const std::string& key) {
  if (auto record = records::get<T>(store, key)) out.push_back(std::move(record));
}

}  // namespace

std::vector<std::string_view> NetworkController::prefixes() const { return {kPrefix}; }

void NetworkController::begin_again() {
  known_.clear();
  in_use_.clear();
  fresh_.clear();
  for (const auto& [key, interface] : records::range<records::Interface>(store_, "ec2/interface/"))
    if (!network::task_of_owner(interface->owner).empty())
      concern_vpc(key_beside(parse(key), kinds::kVpc, interface->vpc_id));
  for (const std::string& vpc : std::set(in_use_)) agenda().now(vpc);
}

void NetworkController::placed(const records::Scope& scope, const records::Interface& interface) {
  concern_vpc(keys::ec2(kinds::kVpc, scope, interface.vpc_id));
  agenda().now(keys::ec2(kinds::kInterface, scope, interface.id));
}

void NetworkController::concern_vpc(const std::string& vpc_key) {
  if (!in_use_.insert(vpc_key).second) return;
  fresh_.insert(vpc_key);
  agenda().now(vpc_key);
}

std::string NetworkController::vpc_of(std::string_view kind, const state::Change& change) const {
  const Key key = parse(change.key);
  if (kind == kinds::kVpc) return change.key;
  if (kind == kinds::kSecurityGroupRule) {
    const auto group = records::get<records::SecurityGroup>(store_, key_beside(key, kinds::kSecurityGroup, key.id));
    return group ? key_beside(key, kinds::kVpc, group->vpc_id) : std::string();
  }
  const std::string id = change.value ? vpc_id_in(kind, change.value) : std::string();
  return id.empty() ? std::string() : key_beside(key, kinds::kVpc, id);
}

void NetworkController::changed(const state::Change& change) {
  const Key key = parse(change.key);
  if (key.kind == kinds::kInterface) {
    // A route to one that is gone is a black hole.
    for (const std::string& table : index_.naming(key.id, kinds::kRouteTable))
      if (const auto record = records::get<records::RouteTable>(store_, table))
        if (const std::string vpc = key_beside(key, kinds::kVpc, record->vpc_id); in_use_.contains(vpc))
          agenda().now(vpc);
    return agenda().now(change.key);
  }
  if (key.kind == kinds::kAddress) {
    // Where it was, and where it is.
    std::string& before = known_[change.key].interface_key;
    if (!before.empty()) agenda().now(before);
    before.clear();
    const auto address = change.value ? records::decoded<records::Address>(change.value) : nullptr;
    if (address && !address->interface_id.empty()) {
      before = key_beside(key, kinds::kInterface, address->interface_id);
      agenda().now(before);
    }
    if (before.empty()) known_.erase(change.key);
    return;
  }
  if (key.kind == kinds::kPrefixList) {  // any rule or route may name it; lists change seldom
    for (const std::string& vpc : in_use_) agenda().now(vpc);
    return;
  }
  // A gateway may have been detached, and what is deleted no longer says where it was: both are remembered.
  const std::string vpc = vpc_of(key.kind, change);
  const auto known = known_.find(change.key);
  const std::string before = known == known_.end() ? std::string() : known->second.vpc_key;
  for (const std::string& one : {before, vpc})
    if (in_use_.contains(one)) agenda().now(one);
  if (!change.value || vpc.empty())
    known_.erase(change.key);
  else if (before != vpc && key.kind != kinds::kVpc)
    known_[change.key].vpc_key = vpc;
}

void NetworkController::decide(const std::string& key, TimeMs) {
  if (parse(key).kind == kinds::kVpc)
    decide_vpc(key);
  else
    decide_interface(key);
}

void NetworkController::decide_vpc(const std::string& key) {
  const Key parsed = parse(key);
  dataplane::NetworkChange change;
  change.vpc = parsed.id;
  const auto vpc = records::get<records::Vpc>(store_, key);
  if (!vpc) {
    in_use_.erase(key);
    fresh_.erase(key);
    change.removed = true;
    return sink_(std::move(change));
  }
  change.structure = structure_of(gather(key, vpc));
  for (const std::string_view kind : kStructure)
    for (const std::string& part : index_.naming(vpc->id, kind)) known_[part].vpc_key = key;
  change.whole = fresh_.erase(key) > 0;
  if (change.whole)
    for (const std::string& interface_key : index_.naming(vpc->id, kinds::kInterface))
      if (auto seen = see(interface_key)) {
        known_[interface_key] = {key, {}, seen->revisions};
        change.interfaces[std::string(parse(interface_key).id)] = std::move(seen->net);
      }
  sink_(std::move(change));
}

void NetworkController::decide_interface(const std::string& key) {
  const Key parsed = parse(key);
  const auto interface = records::get<records::Interface>(store_, key);
  dataplane::NetworkChange change;
  if (!interface) {
    const auto known = known_.extract(key);
    if (!known || !in_use_.contains(known.mapped().vpc_key)) return;
    change.vpc = parse(known.mapped().vpc_key).id;
    change.interfaces[std::string(parsed.id)] = std::nullopt;
    return sink_(std::move(change));
  }
  const std::string vpc_key = key_beside(parsed, kinds::kVpc, interface->vpc_id);
  if (!network::task_of_owner(interface->owner).empty()) concern_vpc(vpc_key);
  if (!in_use_.contains(vpc_key) || fresh_.contains(vpc_key)) return;  // not yet; or with its VPC, whose turn comes
  auto seen = see(key);
  Known& known = known_[key];
  if (known.revisions == seen->revisions && known.vpc_key == vpc_key) return;
  known = {vpc_key, {}, seen->revisions};
  change.vpc = interface->vpc_id;
  change.interfaces[interface->id] = std::move(seen->net);
  sink_(std::move(change));
}

dataplane::HostNetwork NetworkController::network() const {
  dataplane::HostNetwork out;
  for (const std::string& key : in_use_) {
    const auto vpc = records::get<records::Vpc>(store_, key);
    if (!vpc) continue;
    dataplane::VpcNet& net = out.vpcs[vpc->id];
    net = structure_of(gather(key, vpc));
    for (const std::string& interface_key : index_.naming(vpc->id, kinds::kInterface)) {
      if (auto seen = see(interface_key)) net.interfaces[std::string(parse(interface_key).id)] = std::move(seen->net);
    }
  }
  return out;
}

std::optional<NetworkController::Seen> NetworkController::see(const std::string& key) const {
  const auto entry = store_.get(key);
  if (!entry) return std::nullopt;
  const auto interface = value_of<records::Interface>(entry);
  Seen seen{{}, {entry->mod_revision, 0}};
  std::shared_ptr<const records::Address> elastic;
  for (const std::string& address_key : index_.naming(interface->id, kinds::kAddress)) {
    const auto address_entry = store_.get(address_key);
    auto address = value_of<records::Address>(address_entry);
    if (!address || address->private_address != interface->address) continue;
    elastic = std::move(address);
    seen.revisions.second = address_entry->mod_revision;
  }
  seen.net = network::to_net(*interface, elastic.get());
  return seen;
}

network::VpcRecords NetworkController::gather(const std::string& key, std::shared_ptr<const records::Vpc> vpc) const {
  network::VpcRecords out;
  const std::string id = vpc->id;
  out.vpc = std::move(vpc);
  for (const std::string& one : index_.naming(id, kinds::kSubnet)) take(out.subnets, store_, one);
  for (const std::string& one : index_.naming(id, kinds::kRouteTable)) take(out.route_tables, store_, one);
  for (const std::string& one : index_.naming(id, kinds::kNetworkAcl)) take(out.acls, store_, one);
  for (const std::string& one : index_.naming(id, kinds::kNatGateway)) take(out.nat_gateways, store_, one);
  for (const std::string& one : index_.naming(id, kinds::kInternetGateway))
    out.internet_gateways.emplace(parse(one).id);
  const Key parsed = parse(key);
  std::set<std::string> prefix_lists;
  for (const std::string& one : index_.naming(id, kinds::kSecurityGroup)) {
    take(out.groups, store_, one);
    const std::string rules = key_beside(parsed, kinds::kSecurityGroupRule, parse(one).id) + "/";
    for (auto& [rule_key, rule] : records::range<records::SecurityGroupRule>(store_, rules)) {
      if (!rule->prefix_list_id.empty()) prefix_lists.insert(rule->prefix_list_id);
      out.rules.push_back(std::move(rule));
    }
  }
  for (const auto& table : out.route_tables)
    for (const records::Route& route : table->routes) {
      if (!route.destination_prefix_list_id.empty()) prefix_lists.insert(route.destination_prefix_list_id);
      if (route.target.starts_with("eni-") && store_.get(key_beside(parsed, kinds::kInterface, route.target)))
        out.interfaces.insert(route.target);
    }
  for (const std::string& list : prefix_lists)
    take(out.prefix_lists, store_, key_beside(parsed, kinds::kPrefixList, list));
  return out;
}

}  // namespace berth::control
