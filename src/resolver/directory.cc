#include "resolver/directory.h"

#include <arpa/inet.h>

#include <algorithm>

#include "resolver/wire/message.h"

namespace berth::resolver {
namespace {

std::string lowered(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  return out;
}

std::string_view parent(std::string_view name) { return name.substr(1 + static_cast<unsigned char>(name[0])); }

// Labels before an apex, joined into one name; empty where it cannot be one.
std::string below(std::string_view text, std::string_view apex) {
  std::string name = wire_name(text);
  if (name.empty() || name.size() - 1 + apex.size() > kNameBytesMax) return {};
  name.pop_back();
  return name.append(apex);
}

InstanceEntry make_entry(const std::string& service_name, const std::string& id, const Instance& value) {
  InstanceEntry entry;
  entry.healthy = value.healthy;
  in_addr four{};
  if (inet_pton(AF_INET, value.ipv4.c_str(), &four) == 1) entry.a = address_data(ntohl(four.s_addr));
  in6_addr six{};
  if (inet_pton(AF_INET6, value.ipv6.c_str(), &six) == 1)
    entry.aaaa.assign(reinterpret_cast<const char*>(&six), sizeof six);
  entry.name = below(id, service_name);
  if (value.port != 0 && !entry.name.empty()) entry.srv = srv_data(1, 1, value.port, entry.name);
  entry.alias = !value.alias.empty();
  entry.cname = wire_name(entry.alias ? value.alias : value.cname);
  return entry;
}

}  // namespace

std::string private_domain(std::string_view region) {
  return region == "us-east-1" ? "ec2.internal" : std::string(region) + ".compute.internal";
}

std::optional<uint32_t> ServiceEntry::ttl_s_of(uint16_t type) const {
  for (size_t i = 0; i < value.types.size() && i < value.ttls_s.size(); ++i)
    if (value.types[i] == type) return value.ttls_s[i];
  return std::nullopt;
}

std::string ZoneEntry::soa_data() {
  std::string data = wire_name("ns-1536.awsdns-00.co.uk") + wire_name("awsdns-hostmaster.amazon.com");
  for (const uint32_t value : {1U, 7200U, 900U, 1'209'600U, 86'400U}) data += address_data(value);
  return data;
}

const NameEntry* ZoneEntry::find(std::string_view name) const {
  const auto found = names_.find(name);
  if (found != names_.end()) return &found->second;
  return name == apex_ ? &apex_entry_ : nullptr;
}

void ZoneEntry::set(const Zone& value) {
  value_ = value;
  known_ = true;
}

ServiceEntry& ZoneEntry::service(const std::string& name) {
  auto& entry = services_[lowered(name)];
  if (!entry) {
    entry = std::make_unique<ServiceEntry>();
    entry->name = below(name, apex_);
  }
  return *entry;
}

void ZoneEntry::put_service(const std::string& name, const Service& value) {
  ServiceEntry& entry = service(name);
  for (const auto& [id, instance] : entry.instances) hide(entry, *instance);
  entry.value = value;
  for (const auto& [id, instance] : entry.instances) show(entry, *instance);
}

void ZoneEntry::erase_service(const std::string& name) {
  const auto found = services_.find(lowered(name));
  if (found == services_.end()) return;
  ServiceEntry& entry = *found->second;
  while (!entry.instances.empty()) drop_instance(entry, std::string(entry.instances.begin()->first));
  services_.erase(found);
}

void ZoneEntry::put_instance(const std::string& service_name, const std::string& id, const Instance& value) {
  ServiceEntry& entry = service(service_name);
  drop_instance(entry, id);
  auto& place = entry.instances[id];
  place = std::make_unique<InstanceEntry>(make_entry(entry.name, id, value));
  show(entry, *place);
}

void ZoneEntry::erase_instance(const std::string& service_name, const std::string& id) {
  const auto found = services_.find(lowered(service_name));
  if (found != services_.end()) drop_instance(*found->second, id);
}

void ZoneEntry::drop_instance(ServiceEntry& entry, const std::string& id) {
  const auto found = entry.instances.find(id);
  if (found == entry.instances.end()) return;
  hide(entry, *found->second);
  entry.instances.erase(found);
}

// Makes the instance found, under the service's name and, for SRV, under its own.
void ZoneEntry::show(ServiceEntry& entry, const InstanceEntry& instance) {
  (instance.healthy ? entry.healthy : entry.unhealthy).push_back(&instance);
  if (entry.healthy.size() + entry.unhealthy.size() == 1 && !entry.name.empty()) {
    names_[entry.name].service = &entry;
    count(entry.name, 1);
  }
  const auto ttl_s = entry.ttl_s_of(kTypeSrv);
  if (!ttl_s || instance.srv.empty() || (instance.a.empty() && instance.aaaa.empty())) return;
  NameEntry& own = names_[instance.name];
  own.instance = &instance;
  own.ttl_s = *ttl_s;
  count(instance.name, 1);
}

void ZoneEntry::hide(ServiceEntry& entry, const InstanceEntry& instance) {
  std::erase(instance.healthy ? entry.healthy : entry.unhealthy, &instance);
  if (entry.healthy.empty() && entry.unhealthy.empty() && !entry.name.empty()) {
    names_[entry.name].service = nullptr;
    count(entry.name, -1);
    tidy(entry.name);
  }
  const auto own = names_.find(instance.name);
  if (own == names_.end() || own->second.instance != &instance) return;
  own->second.instance = nullptr;
  count(instance.name, -1);
  tidy(instance.name);
}

void ZoneEntry::count(std::string_view name, int by) {
  for (name = parent(name); name.size() > apex_.size(); name = parent(name)) {
    const std::string key(name);
    names_[key].below += by;
    tidy(key);
  }
}

void ZoneEntry::tidy(std::string_view name) {
  const auto found = names_.find(name);
  if (found == names_.end()) return;
  const NameEntry& entry = found->second;
  if (entry.below == 0 && !entry.service && !entry.instance) names_.erase(found);
}

const ZoneEntry* VpcEntry::zone_of(std::string_view name) const {
  if (zones.empty()) return nullptr;
  for (; name.size() > 1; name = parent(name)) {
    const auto found = zones.find(name);
    if (found != zones.end() && found->second->known()) return found->second.get();
  }
  return nullptr;
}

const VpcEntry* Directory::find(std::string_view vpc) const {
  const auto found = vpcs_.find(vpc);
  return found == vpcs_.end() ? nullptr : &found->second;
}

bool Directory::apply(const Change& change) {
  VpcEntry& vpc = vpcs_[change.vpc];
  switch (change.kind) {
    case Kind::vpc: {
      if (change.erased) {
        vpcs_.erase(change.vpc);
        return true;
      }
      const auto settings = decode_body<VpcSettings>(change.body);
      if (!settings) return false;
      vpc.cidrs.clear();
      for (const std::string& cidr : settings->cidrs)
        if (const auto network = parse_network(cidr)) vpc.cidrs.push_back(*network);
      vpc.compute_domain = wire_name(private_domain(settings->region));
      vpc.settings = settings;
      return true;
    }
    case Kind::host: {
      const std::string name = wire_name(change.zone);
      if (name.empty() || (!change.erased && change.body.size() != 4)) return false;
      if (change.erased)
        vpc.hosts.erase(name);
      else
        vpc.hosts[name] = change.body;
      return true;
    }
    case Kind::zone:
    case Kind::service:
    case Kind::instance: return apply_to_zone(vpc, change);
    case Kind::listener: break;
  }
  return false;
}

bool Directory::apply_to_zone(VpcEntry& vpc, const Change& change) {
  const std::string apex = wire_name(change.zone);
  if (apex.empty()) return false;
  if (change.kind == Kind::zone && change.erased) {
    vpc.zones.erase(apex);
    return true;
  }
  auto& zone = vpc.zones[apex];
  if (!zone) zone = std::make_unique<ZoneEntry>(apex);
  if (change.kind == Kind::zone) {
    const auto value = decode_body<Zone>(change.body);
    if (value) zone->set(*value);
    return value.has_value();
  }
  if (change.kind == Kind::service) {
    if (change.erased) return zone->erase_service(change.service), true;
    const auto value = decode_body<Service>(change.body);
    if (value) zone->put_service(change.service, *value);
    return value.has_value();
  }
  if (change.erased) return zone->erase_instance(change.service, change.id), true;
  const auto value = decode_body<Instance>(change.body);
  if (value) zone->put_instance(change.service, change.id, *value);
  return value.has_value();
}

}  // namespace berth::resolver
