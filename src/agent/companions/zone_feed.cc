#include "agent/companions/zone_feed.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/ipv4.h"
#include "records/discovery.h"
#include "records/network.h"
#include "records/read.h"

namespace berth::agent {

namespace keys = records::keys;
using resolver::Change;
using resolver::Frame;
using resolver::FrameKind;
using resolver::Kind;

namespace {

constexpr std::string_view kVpcs = "ec2/vpc/";
constexpr std::string_view kInterfaces = "ec2/interface/";
constexpr std::string_view kAddresses = "ec2/address/";
// In the order in which a snapshot tells them: what holds before what is held.
constexpr std::string_view kPrefixes[] = {
    kVpcs, kInterfaces, kAddresses, keys::kNamespace, keys::kDiscoveryService, keys::kInstance};

uint16_t type_of(std::string_view name) {
  if (name == "A") return resolver::kTypeA;
  if (name == "AAAA") return resolver::kTypeAaaa;
  if (name == "SRV") return resolver::kTypeSrv;
  return resolver::kTypeCname;
}

resolver::Service service_value(const records::DiscoveryService& service) {
  resolver::Service out;
  out.weighted = service.routing_policy == "WEIGHTED";
  for (const records::DnsRecord& record : service.dns_records) {
    out.types.push_back(type_of(record.type));
    out.ttls_s.push_back(static_cast<uint32_t>(record.ttl_s));
  }
  return out;
}

resolver::Instance instance_value(const records::Instance& instance, bool healthy) {
  const auto attribute = [&](const char* name) {
    const auto found = instance.attributes.find(name);
    return found == instance.attributes.end() ? std::string() : found->second;
  };
  resolver::Instance out;
  out.ipv4 = attribute("AWS_INSTANCE_IPV4");
  out.ipv6 = attribute("AWS_INSTANCE_IPV6");
  out.cname = attribute("AWS_INSTANCE_CNAME");
  out.alias = attribute("AWS_ALIAS_DNS_NAME");
  const std::string port = attribute("AWS_INSTANCE_PORT");
  std::from_chars(port.data(), port.data() + port.size(), out.port);
  out.healthy = healthy;
  return out;
}

std::string public_host_name(const std::string& address, const std::string& region) {
  std::string label = "ec2-" + address;
  std::replace(label.begin(), label.end(), '.', '-');
  return label + (region == "us-east-1" ? ".compute-1.amazonaws.com" : "." + region + ".compute.amazonaws.com");
}

std::string key_beside(std::string_view key, std::string_view kind, std::string_view other_kind) {
  return std::string(other_kind).append(key.substr(kind.size()));
}

}  // namespace

ZoneFeed::ZoneFeed(state::Store& store, std::function<void(Frame)> sink) : store_(store), sink_(std::move(sink)) {
  (void)snapshot();  // what is there now is known, though not told
  for (const std::string_view prefix : {std::string_view("ec2/"), std::string_view("discovery/")})
    watches_.push_back(store_.watch(std::string(prefix), store_.head(), [this](const auto& one) { batch(one); }));
}

ZoneFeed::~ZoneFeed() {
  for (const state::WatchId id : watches_) store_.cancel(id);
}

std::vector<Frame> ZoneFeed::snapshot() {
  spaces_.clear();
  services_.clear();
  hosts_.clear();
  Changes changes;
  for (const std::string_view prefix : kPrefixes)
    for (const state::Entry& entry : store_.range(prefix)) tell(entry.key, entry.value, changes);
  std::vector<Frame> frames(1);
  frames[0].kind = FrameKind::snapshot_begin;
  for (size_t at = 0; at < changes.size(); at += resolver::kFrameChangesMax) {
    Frame& frame = frames.emplace_back();
    const auto begin = changes.begin() + static_cast<ptrdiff_t>(at);
    const size_t count = std::min(resolver::kFrameChangesMax, changes.size() - at);
    frame.changes.assign(std::make_move_iterator(begin),
                         std::make_move_iterator(begin + static_cast<ptrdiff_t>(count)));
  }
  frames.emplace_back().kind = FrameKind::snapshot_end;
  for (Frame& frame : frames) frame.version = store_.head();
  return frames;
}

void ZoneFeed::batch(const state::WatchBatch& batch) {
  if (batch.compacted) {
    for (Frame& frame : snapshot()) sink_(std::move(frame));
    return;
  }
  Frame frame;
  frame.version = batch.through;
  for (const state::Change& change : batch.changes) {
    tell(change.key, change.value, frame.changes);
    if (frame.changes.size() < resolver::kFrameChangesMax) continue;
    sink_(std::move(frame));
    frame = {};
    frame.version = batch.through;
  }
  if (!frame.changes.empty()) sink_(std::move(frame));
}

void ZoneFeed::tell(std::string_view key, const state::ValuePtr& value, Changes& out) {
  if (key.starts_with(keys::kInstance)) return tell_instance(key, out);
  if (key.starts_with(keys::kInstanceHealth))
    return tell_instance(key_beside(key, keys::kInstanceHealth, keys::kInstance), out);
  if (key.starts_with(keys::kDiscoveryService)) return tell_service(key, value, out);
  if (key.starts_with(keys::kNamespace)) return tell_space(key, value, out);
  if (key.starts_with(kVpcs)) return tell_vpc(key, value, out);
  if (key.starts_with(kInterfaces) || key.starts_with(kAddresses)) tell_host(key, value, out);
}

// Only private ones have names here.
void ZoneFeed::tell_space(std::string_view key, const state::ValuePtr& value, Changes& out) {
  if (!value) {
    const auto known = spaces_.find(key);
    if (known == spaces_.end()) return;
    out.push_back({.kind = Kind::zone, .vpc = known->second.vpc, .zone = known->second.name, .erased = true});
    spaces_.erase(known);
    return;
  }
  const auto space = records::decoded<records::Namespace>(value);
  if (space->vpc_id.empty()) return;
  spaces_[std::string(key)] = {space->vpc_id, space->name};
  out.push_back({.kind = Kind::zone,
                 .vpc = space->vpc_id,
                 .zone = space->name,
                 .body = resolver::encode_body(resolver::Zone{static_cast<uint32_t>(space->soa_ttl_s)})});
}

bool ZoneFeed::place(Change& change, const std::string& service_key) const {
  const auto service = services_.find(service_key);
  if (service == services_.end()) return false;
  const auto space =
      spaces_.find(keys::discovery(keys::kNamespace, keys::discovery_scope(service_key), service->second.space));
  if (space == spaces_.end()) return false;
  change.vpc = space->second.vpc;
  change.zone = space->second.name;
  change.service = service->second.name;
  return true;
}

void ZoneFeed::tell_service(std::string_view key, const state::ValuePtr& value, Changes& out) {
  Change change{.kind = Kind::service};
  if (!value) {
    change.erased = true;
    if (place(change, std::string(key))) out.push_back(std::move(change));
    services_.erase(std::string(key));
    return;
  }
  const auto service = records::decoded<records::DiscoveryService>(value);
  const bool has_records = !service->dns_records.empty();
  services_[std::string(key)] = {service->namespace_id, service->name, service->custom_health, has_records};
  if (has_records)
    change.body = resolver::encode_body(service_value(*service));
  else
    change.erased = true;
  if (place(change, std::string(key))) out.push_back(std::move(change));
}

// As it is now: its record and its health may have changed together.
void ZoneFeed::tell_instance(std::string_view key, Changes& out) {
  const keys::InstancePath path = keys::instance_path(key);
  const std::string service_key = keys::discovery(keys::kDiscoveryService, path.scope, path.service);
  Change change{.kind = Kind::instance, .id = path.id};
  if (!place(change, service_key) || !services_[service_key].has_records) return;
  const auto instance = records::get<records::Instance>(store_, key);
  if (!instance) {
    change.erased = true;
  } else {
    const auto health =
        records::get<records::InstanceHealth>(store_, key_beside(key, keys::kInstance, keys::kInstanceHealth));
    const bool healthy = !services_[service_key].custom_health || records::is_healthy(*instance, health.get());
    change.body = resolver::encode_body(instance_value(*instance, healthy));
  }
  out.push_back(std::move(change));
}

void ZoneFeed::tell_vpc(std::string_view key, const state::ValuePtr& value, Changes& out) {
  const keys::InstancePath path = keys::instance_path(std::string(key) + "/");
  Change change{.kind = Kind::vpc, .vpc = path.service};
  if (!value) {
    change.erased = true;
  } else {
    const auto vpc = records::decoded<records::Vpc>(value);
    resolver::VpcSettings settings{path.scope.region, {vpc->cidr}, vpc->dns_support, vpc->dns_hostnames};
    for (const records::CidrAssociation& more : vpc->secondary_cidrs) settings.cidrs.push_back(more.cidr);
    change.body = resolver::encode_body(settings);
  }
  out.push_back(std::move(change));
}

void ZoneFeed::tell_host(std::string_view key, const state::ValuePtr& value, Changes& out) {
  if (const auto known = hosts_.find(key); known != hosts_.end()) {
    out.push_back({.kind = Kind::host, .vpc = known->second.vpc, .zone = known->second.name, .erased = true});
    hosts_.erase(known);
  }
  if (!value) return;
  const records::Scope scope = keys::discovery_scope(key);
  std::string vpc, public_address, private_address;
  if (key.starts_with(kInterfaces)) {
    const auto interface = records::decoded<records::Interface>(value);
    vpc = interface->vpc_id, public_address = interface->public_address, private_address = interface->address;
  } else {
    const auto address = records::decoded<records::Address>(value);
    const auto interface = records::get<records::Interface>(
        store_, keys::ec2(records::ec2_kinds::kInterface, scope, address->interface_id));
    if (!interface) return;
    vpc = interface->vpc_id, public_address = address->public_address, private_address = address->private_address;
  }
  const auto inside = parse_ipv4(private_address);
  if (public_address.empty() || !inside) return;
  const std::string name = public_host_name(public_address, scope.region);
  hosts_[std::string(key)] = {vpc, name};
  std::string four;
  for (const int shift : {24, 16, 8, 0}) four += static_cast<char>(inside->value >> shift);
  out.push_back({.kind = Kind::host, .vpc = vpc, .zone = name, .body = four});
}

}  // namespace berth::agent
