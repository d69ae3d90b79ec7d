#include "services/discovery/rules.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

namespace berth::services::discovery {
namespace {

constexpr size_t kCustomAttributesMax = 30;
constexpr size_t kAttributesBytesMax = 5000;
constexpr size_t kDnsNameBytesMax = 253;

tl::unexpected<ApiError> invalid(std::string message) { return refuse("InvalidInput", std::move(message)); }

bool has(const Attributes& attributes, const std::string& name) { return attributes.contains(name); }

bool is_dns_name(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.empty() || name.size() > kDnsNameBytesMax) return false;
  while (!name.empty()) {
    const size_t dot = std::min(name.find('.'), name.size());
    if (dot == 0 || dot > 63 || dot + 1 == name.size()) return false;
    name.remove_prefix(std::min(dot + 1, name.size()));
  }
  return true;
}

bool is_address(int family, const std::string& text) {
  in6_addr any{};
  return inet_pton(family, text.c_str(), &any) == 1;
}

bool is_port(const std::string& text) {
  int value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  return read.ec == std::errc{} && read.ptr == text.data() + text.size() && value >= 1 && value <= 65535;
}

bool has_record(const records::DiscoveryService& service, std::string_view type) {
  return std::any_of(service.dns_records.begin(), service.dns_records.end(),
                     [&](const records::DnsRecord& record) { return record.type == type; });
}

// The values that have a form, wherever they stand.
ApiResult<void> check_values(const Attributes& attributes) {
  for (const auto& [name, value] : attributes) {
    if (name == "AWS_INSTANCE_IPV4" && !is_address(AF_INET, value))
      return invalid(fmt::format("Invalid value for attribute AWS_INSTANCE_IPV4: {}", value));
    if (name == "AWS_INSTANCE_IPV6" && !is_address(AF_INET6, value))
      return invalid(fmt::format("Invalid value for attribute AWS_INSTANCE_IPV6: {}", value));
    if (name == "AWS_INSTANCE_PORT" && !is_port(value))
      return invalid(fmt::format("Invalid value for attribute AWS_INSTANCE_PORT: {}", value));
    if ((name == "AWS_INSTANCE_CNAME" || name == "AWS_ALIAS_DNS_NAME") && !is_dns_name(value))
      return invalid(fmt::format("Invalid value for attribute {}: {}", name, value));
    if (name == "AWS_INIT_HEALTH_STATUS" && value != "HEALTHY" && value != "UNHEALTHY")
      return invalid(fmt::format("Invalid value for attribute AWS_INIT_HEALTH_STATUS: {}", value));
  }
  return {};
}

ApiResult<void> check_alias(const Attributes& attributes, const records::DiscoveryService& service) {
  const bool address = has_record(service, "A") || has_record(service, "AAAA");
  if (!address || has_record(service, "SRV") || service.routing_policy != "WEIGHTED")
    return invalid("AWS_ALIAS_DNS_NAME needs a service with A or AAAA records and the routing policy WEIGHTED.");
  for (const auto& [name, value] : attributes)
    if (name.starts_with("AWS_INSTANCE_"))
      return invalid("When AWS_ALIAS_DNS_NAME is specified, AWS_INSTANCE_ attributes can't be.");
  return {};
}

// What each record that the service makes is made from.
ApiResult<void> check_records(const Attributes& attributes, const records::DiscoveryService& service) {
  const auto needs = [&](std::string_view type, const std::string& attribute) -> ApiResult<void> {
    if (!has_record(service, type) || has(attributes, attribute)) return {};
    return invalid(fmt::format("The service has records of type {}: the attribute {} is required.", type, attribute));
  };
  for (const auto& [type, attribute] : {std::pair{"A", "AWS_INSTANCE_IPV4"},
                                        {"AAAA", "AWS_INSTANCE_IPV6"},
                                        {"CNAME", "AWS_INSTANCE_CNAME"},
                                        {"SRV", "AWS_INSTANCE_PORT"}})
    if (auto given = needs(type, attribute); !given) return given;
  if (has_record(service, "SRV") && !has(attributes, "AWS_INSTANCE_IPV4") && !has(attributes, "AWS_INSTANCE_IPV6"))
    return invalid("The service has records of type SRV: AWS_INSTANCE_IPV4 or AWS_INSTANCE_IPV6 is required.");
  return {};
}

}  // namespace

ApiResult<void> check_namespace_name(const std::string& name, const std::string& type) {
  if (name.starts_with("arn:")) return invalid("Name can't begin with 'arn:'.");
  if (type == "HTTP") return {};
  if (!is_dns_name(name)) return invalid(fmt::format("{} is not a valid DNS name.", name));
  if (type == "DNS_PUBLIC" && name.find('.') == name.npos)
    return invalid(fmt::format("{} is not a valid name for a public DNS namespace: it has no dot.", name));
  return {};
}

ApiResult<void> check_service_name(const std::string& name, const records::Namespace& space) {
  if (name.empty() || name.size() > 127) return invalid("A service's name has 1 to 127 characters.");
  if (space.type != "HTTP" && !is_dns_name(name + "." + space.name))
    return invalid(fmt::format("{}.{} is not a valid DNS name.", name, space.name));
  return {};
}

ApiResult<std::vector<records::DnsRecord>> take_dns_records(
    const std::vector<model::servicediscovery::DnsRecord>& from) {
  std::vector<records::DnsRecord> out;
  std::set<std::string> types;
  for (const auto& record : from) {
    out.push_back({record.type, record.ttl});
    if (!types.insert(record.type).second)
      return invalid(fmt::format("The DNS record type {} is given twice.", record.type));
  }
  if (types.contains("CNAME") && types.size() > 1)
    return invalid("A CNAME record can't be combined with records of other types.");
  return out;
}

ApiResult<void> take_dns_config(const model::servicediscovery::DnsConfig& config, const records::Namespace& space,
                                records::DiscoveryService& service) {
  if (space.type == "HTTP") return invalid("When you specify an HTTP service, you can't include a DnsConfig element.");
  auto records = take_dns_records(config.dns_records);
  if (!records) return tl::unexpected(records.error());
  if (records->empty()) return invalid("DnsConfig needs at least one DNS record.");
  service.dns_records = std::move(*records);
  service.routing_policy = config.routing_policy.value_or(has_record(service, "CNAME") ? "WEIGHTED" : "MULTIVALUE");
  if (has_record(service, "CNAME") && service.routing_policy != "WEIGHTED")
    return invalid("Records of type CNAME need the routing policy WEIGHTED.");
  return {};
}

ApiResult<void> check_instance_id(const std::string& id) {
  const bool good = !id.empty() && id.size() <= 64 && std::all_of(id.begin(), id.end(), [](unsigned char c) {
    return std::isalnum(c) || std::string_view("_/:.@-").find(static_cast<char>(c)) != std::string_view::npos;
  });
  if (good) return {};
  return invalid(fmt::format("'{}' is not a valid InstanceId.", id));
}

ApiResult<void> check_attributes(const Attributes& attributes, const records::DiscoveryService& service,
                                 const records::Namespace& space) {
  size_t bytes = 0, custom = 0;
  for (const auto& [name, value] : attributes) {
    bytes += name.size() + value.size();
    custom += name.starts_with("AWS_") ? 0 : 1;
  }
  if (custom > kCustomAttributesMax)
    return invalid(fmt::format("An instance can have at most {} custom attributes.", kCustomAttributesMax));
  if (bytes > kAttributesBytesMax)
    return invalid(fmt::format("The attributes of an instance can have at most {} characters.", kAttributesBytesMax));
  if (auto good = check_values(attributes); !good) return good;
  if (has(attributes, "AWS_EC2_INSTANCE_ID"))
    return invalid(space.type == "HTTP" ? "The EC2 instance in AWS_EC2_INSTANCE_ID was not found."
                                        : "AWS_EC2_INSTANCE_ID needs an HTTP namespace.");
  if (has(attributes, "AWS_INIT_HEALTH_STATUS") && !service.custom_health)
    return invalid("AWS_INIT_HEALTH_STATUS needs a service with HealthCheckCustomConfig.");
  if (has(attributes, "AWS_ALIAS_DNS_NAME")) return check_alias(attributes, service);
  return check_records(attributes, service);
}

ApiResult<void> check_service_attributes(const Attributes& attributes) {
  if (attributes.size() > kServiceAttributesMax)
    return refuse("ServiceAttributesLimitExceededException",
                  fmt::format("A service can have at most {} attributes.", kServiceAttributesMax));
  for (const auto& [name, value] : attributes) {
    if (name.empty() || name.size() > 255) return invalid("The key of a service's attribute has 1 to 255 characters.");
    if (value.size() > 1024) return invalid("The value of a service's attribute has at most 1024 characters.");
  }
  return {};
}

}  // namespace berth::services::discovery
