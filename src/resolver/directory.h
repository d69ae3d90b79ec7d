// What the resolver answers from: zones of every VPC, indexed by name. One thread's.
//
// A name exists in a zone where an instance answers under it, or where another name lies below it; a service without
// instances has none (Route 53 has no record then, either). Names are in wire form and lower case.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/ipv4.h"
#include "resolver/zones/zones.h"

namespace berth::resolver {

struct NameHash {
  using is_transparent = void;
  size_t operator()(std::string_view name) const { return std::hash<std::string_view>{}(name); }
};
template <class T>
using ByName = std::unordered_map<std::string, T, NameHash, std::equal_to<>>;

struct InstanceEntry {
  bool healthy = true;
  std::string a;  // records' data, ready; empty: no such record
  std::string aaaa;
  std::string srv;
  std::string cname;  // also of an alias, whose target it then is
  bool alias = false;
  std::string name;  // <instance>.<service>.<zone>, what SRV records point at; empty: cannot be a name
};

struct ServiceEntry {
  Service value;
  std::string name;
  std::map<std::string, std::unique_ptr<InstanceEntry>, std::less<>> instances;
  std::vector<const InstanceEntry*> healthy, unhealthy;  // in no order

  std::optional<uint32_t> ttl_s_of(uint16_t type) const;
};

struct NameEntry {
  int below = 0;  // names under it
  ServiceEntry* service = nullptr;
  const InstanceEntry* instance = nullptr;
  uint32_t ttl_s = 0;  // of the instance's own name
};

class ZoneEntry {
 public:
  explicit ZoneEntry(std::string apex) : apex_(std::move(apex)) {}
  ZoneEntry(const ZoneEntry&) = delete;

  const std::string& apex() const { return apex_; }
  const std::string& soa() const { return soa_; }
  uint32_t soa_ttl_s() const { return value_.soa_ttl_s; }
  // Null: there is no such name. `name` lies in the zone.
  const NameEntry* find(std::string_view name) const;

  void set(const Zone& value);
  void put_service(const std::string& name, const Service& value);
  void erase_service(const std::string& name);
  void put_instance(const std::string& service, const std::string& id, const Instance& value);
  void erase_instance(const std::string& service, const std::string& id);
  bool known() const { return known_; }
  bool empty() const { return services_.empty(); }

 private:
  ServiceEntry& service(const std::string& name);
  void drop_instance(ServiceEntry& service, const std::string& id);
  void show(ServiceEntry& service, const InstanceEntry& instance);
  void hide(ServiceEntry& service, const InstanceEntry& instance);
  void count(std::string_view name, int by);
  void tidy(std::string_view name);

  const std::string apex_;
  Zone value_;
  bool known_ = false;
  std::string soa_ = soa_data();
  ByName<NameEntry> names_;
  std::map<std::string, std::unique_ptr<ServiceEntry>, std::less<>> services_;  // by lower-case text
  NameEntry apex_entry_;

  static std::string soa_data();
};

struct VpcEntry {
  std::optional<VpcSettings> settings;
  std::vector<Ipv4Network> cidrs;
  std::string compute_domain;                // <region>.compute.internal, in wire form
  ByName<std::unique_ptr<ZoneEntry>> zones;  // by apex
  ByName<std::string> hosts;                 // data of an A record, by public host name

  // The zone of the longest apex; null: none.
  const ZoneEntry* zone_of(std::string_view name) const;
  bool has_names() const { return settings && settings->dns_support && settings->dns_hostnames; }
};

class Directory {
 public:
  // False where the change makes no sense; nothing is changed then. Listeners are not its matter.
  bool apply(const Change& change);
  const VpcEntry* find(std::string_view vpc) const;

 private:
  bool apply_to_zone(VpcEntry& vpc, const Change& change);
  std::map<std::string, VpcEntry, std::less<>> vpcs_;
};

std::string private_domain(std::string_view region);  // text; base for names of interfaces

}  // namespace berth::resolver
