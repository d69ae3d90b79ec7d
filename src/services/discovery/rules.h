// What AWS takes for namespaces, services and instances, and its texts for the rest. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/servicediscovery/service.h"
#include "records/discovery.h"

namespace berth::services::discovery {

ApiResult<void> check_namespace_name(const std::string& name, const std::string& type);

// Completes a service's DNS settings from the request; `space` is its namespace.
ApiResult<void> take_dns_config(const model::servicediscovery::DnsConfig& config, const records::Namespace& space,
                                records::DiscoveryService& service);
ApiResult<void> check_service_name(const std::string& name, const records::Namespace& space);
ApiResult<std::vector<records::DnsRecord>> take_dns_records(
    const std::vector<model::servicediscovery::DnsRecord>& records);

using Attributes = std::map<std::string, std::string>;
ApiResult<void> check_instance_id(const std::string& id);
ApiResult<void> check_attributes(const Attributes& attributes, const records::DiscoveryService& service,
                                 const records::Namespace& space);

inline constexpr size_t kServiceAttributesMax = 30;
ApiResult<void> check_service_attributes(const Attributes& attributes);

}  // namespace berth::services::discovery
