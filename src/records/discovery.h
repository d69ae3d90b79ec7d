// AWS Cloud Map, as records. Words are its API's own.
//
//   discovery/namespace/<account>/<region>/<ns- id>                  Namespace         services/discovery
//   discovery/service/<account>/<region>/<srv- id>                   DiscoveryService  services/discovery
//   discovery/instance/<account>/<region>/<srv- id>/<instance id>    Instance          its creator: services/discovery, or control
//                                                                                      for a task of an ECS service
//   discovery/health/<account>/<region>/<srv- id>/<instance id>      InstanceHealth    the same; control also lets a wish come true
//   discovery/operation/<account>/<region>/<operation id>            Operation         services/discovery; its end: control
//
// What is asked for is true at once; the operation that stands for it ends after that, as on AWS by polling. One that fails
// has changed nothing.
#pragma once

#include <fmt/format.h>

#include <cctype>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/hash.h"
#include "records/cluster.h"
#include "records/keys.h"
#include "records/task.h"

namespace berth::records {

struct Namespace {
  std::string id;
  std::string name;
  std::string type;       // HTTP, DNS_PRIVATE, DNS_PUBLIC
  std::string http_name;  // of DiscoverInstances; has a suffix where the name is used again
  std::string vpc_id;     // DNS_PRIVATE
  std::string hosted_zone_id;
  int64_t soa_ttl_s = 15;
  std::string description;
  std::string creator_request_id;
  Tags tags;
  std::string operation_id;  // the last one that changed it
  TimeMs created_at_ms = 0;
  template <class A>
  void fields(A& a) {
    a("id", id), a("name", name), a("type", type), a("httpName", http_name), a("vpc", vpc_id);
    a("hostedZone", hosted_zone_id), a("soaTtl", soa_ttl_s), a("description", description);
    a("creatorRequest", creator_request_id), a("tags", tags), a("operation", operation_id);
    a("createdAt", created_at_ms);
  }
};

struct DnsRecord {
  std::string type;  // A, AAAA, SRV, CNAME
  int64_t ttl_s = 0;
  bool operator==(const DnsRecord&) const = default;
  template <class A>
  void fields(A& a) {
    a("type", type), a("ttl", ttl_s);
  }
};

struct DiscoveryService {
  std::string id;
  std::string namespace_id;
  std::string name;
  std::string type;  // HTTP, DNS_HTTP, DNS
  std::string routing_policy;
  std::vector<DnsRecord> dns_records;  // empty: found by DiscoverInstances only
  bool custom_health = false;          // HealthCheckCustomConfig
  std::string description;
  std::string creator_request_id;
  Tags tags;
  std::map<std::string, std::string> attributes;
  std::string operation_id;
  TimeMs created_at_ms = 0;
  template <class A>
  void fields(A& a) {
    a("id", id), a("namespace", namespace_id), a("name", name), a("type", type), a("routing", routing_policy);
    a("records", dns_records), a("customHealth", custom_health), a("description", description);
    a("creatorRequest", creator_request_id), a("tags", tags), a("attributes", attributes);
    a("operation", operation_id), a("createdAt", created_at_ms);
  }
};

struct Instance {
  std::string id;
  std::string service_id;
  std::map<std::string, std::string> attributes;
  std::string creator_request_id;
  std::string operation_id;
  std::string task;  // its path, where ECS registered it
  template <class A>
  void fields(A& a) {
    a("id", id), a("service", service_id), a("attributes", attributes), a("creatorRequest", creator_request_id);
    a("operation", operation_id), a("task", task);
  }
};

// Only where the service has a HealthCheckCustomConfig and somebody has said something; before that AWS_INIT_HEALTH_STATUS
// counts. What is wanted comes true 30 s later, unless it is taken back before.
struct InstanceHealth {
  bool healthy = true;
  bool wanted = true;
  TimeMs due_at_ms = 0;  // 0: nothing is wanted
  bool operator==(const InstanceHealth&) const = default;
  template <class A>
  void fields(A& a) {
    a("healthy", healthy), a("wanted", wanted), a("dueAt", due_at_ms);
  }
};
inline constexpr TimeMs kCustomHealthDelayMs = 30'000;

struct Operation {
  std::string id;
  std::string type;  // CREATE_NAMESPACE …
  std::string status = "SUBMITTED";
  std::string error_code;  // not empty: it fails
  std::string error_message;
  std::map<std::string, std::string> targets;  // NAMESPACE, SERVICE, INSTANCE → id
  TimeMs created_at_ms = 0;
  TimeMs updated_at_ms = 0;
  bool over() const { return status == "SUCCESS" || status == "FAIL"; }
  template <class A>
  void fields(A& a) {
    a("id", id), a("type", type), a("status", status), a("errorCode", error_code), a("errorMessage", error_message);
    a("targets", targets), a("createdAt", created_at_ms), a("updatedAt", updated_at_ms);
  }
};

namespace keys {

inline constexpr std::string_view kNamespace = "discovery/namespace/";
inline constexpr std::string_view kDiscoveryService = "discovery/service/";
inline constexpr std::string_view kInstance = "discovery/instance/";
inline constexpr std::string_view kInstanceHealth = "discovery/health/";
inline constexpr std::string_view kOperation = "discovery/operation/";

// An empty id: the prefix of them all.
inline std::string discovery(std::string_view kind, const Scope& s, std::string_view id = {}) {
  return fmt::format("{}{}/{}/{}", kind, s.account, s.region, id);
}
// kInstance or kInstanceHealth; an empty instance: the prefix of the service's.
inline std::string instance(std::string_view kind, const Scope& s, std::string_view service,
                            std::string_view instance = {}) {
  return fmt::format("{}{}/{}/{}/{}", kind, s.account, s.region, service, escape_key_part(instance));
}
struct InstancePath {
  Scope scope;
  std::string service;
  std::string id;
};
// Of a key of one of the two.
inline InstancePath instance_path(std::string_view key) {
  std::vector<std::string> parts;
  for (size_t at = 0; at <= key.size();) {
    const size_t end = std::min(key.find('/', at), key.size());
    parts.emplace_back(key.substr(at, end - at));
    at = end + 1;
  }
  parts.resize(6);
  return {{parts[2], parts[3]}, parts[4], unescape_key_part(parts[5])};
}
// Of any key of Cloud Map.
inline Scope discovery_scope(std::string_view key) { return instance_path(key).scope; }

}  // namespace keys

inline std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

// A service that is made again under its name in its namespace has the id that it had, as on AWS.
inline std::string discovery_service_id(const Scope& s, std::string_view namespace_id, std::string_view name) {
  std::string id = "srv-";
  uint64_t value = fnv1a(fmt::format("{}/{}/{}/{}", s.account, s.region, namespace_id, lower_case(name)));
  for (int i = 0; i < 16; ++i, value = value * 6364136223846793005U + 1442695040888963407U)
    id += "abcdefghijklmnopqrstuvwxyz234567"[value >> 59];
  return id;
}
inline std::string discovery_arn(const Scope& s, std::string_view kind, std::string_view id) {
  return fmt::format("arn:aws:servicediscovery:{}:{}:{}/{}", s.region, s.account, kind, id);
}

// Whether it is healthy, of a service with custom health.
inline bool is_healthy(const Instance& instance, const InstanceHealth* health) {
  if (health) return health->healthy;
  const auto found = instance.attributes.find("AWS_INIT_HEALTH_STATUS");
  return found == instance.attributes.end() || found->second != "UNHEALTHY";
}
// What becomes of its health where somebody says that it is so now.
inline InstanceHealth told_health(const Instance& instance, const InstanceHealth* health, bool healthy, TimeMs now_ms) {
  InstanceHealth out = health ? *health : InstanceHealth{};
  out.healthy = is_healthy(instance, health);
  out.wanted = healthy;
  if (healthy == out.healthy)
    out.due_at_ms = 0;
  else if (!health || health->due_at_ms == 0 || health->wanted != healthy)
    out.due_at_ms = now_ms + kCustomHealthDelayMs;
  return out;
}

}  // namespace berth::records
