// DescribeVpcEndpointServices.
#include "services/ec2/endpoint_services.h"

#include <algorithm>
#include <array>

#include "base/hash.h"
#include "model/ec2/operations.h"
#include "model/ec2/vpc_endpoints.h"
#include "services/ec2/default_vpc.h"
#include "services/ec2/handlers.h"
#include "services/ec2/objects.h"
#include "services/ec2/select.h"

namespace berth::services::ec2 {
namespace {

constexpr std::array kServices = {
    EndpointService{"application-autoscaling"},
    EndpointService{"dynamodb", true},
    EndpointService{"ec2"},
    EndpointService{"ecr.api"},
    EndpointService{"ecr.dkr"},
    EndpointService{"ecs"},
    EndpointService{"ecs-agent"},
    EndpointService{"ecs-telemetry"},
    EndpointService{"elasticloadbalancing"},
    EndpointService{"events"},
    EndpointService{"execute-api"},
    EndpointService{"kms"},
    EndpointService{"lambda"},
    EndpointService{"logs"},
    EndpointService{"monitoring"},
    EndpointService{"s3", true},
    EndpointService{"secretsmanager"},
    EndpointService{"servicediscovery"},
    EndpointService{"sns"},
    EndpointService{"sqs"},
    EndpointService{"ssm"},
    EndpointService{"ssmmessages"},
    EndpointService{"sts"},
};

m::ServiceDetail render(const Work& work, const EndpointService& service, bool gateway) {
  const std::string& region = work.scope.region;
  m::ServiceDetail out;
  out.service_name = service.full_name(region);
  out.service_id = fmt::format("vpce-svc-{:016x}{}", fnv1a(*out.service_name), gateway ? 0 : 1);
  out.service_type.emplace().emplace_back().service_type = gateway ? "Gateway" : "Interface";
  out.service_region = region;
  out.availability_zones.emplace();
  for (const char letter : kZoneLetters) out.availability_zones->push_back(region + letter);
  out.owner = "amazon";
  out.base_endpoint_dns_names = std::vector<std::string>{
      gateway ? fmt::format("{}.{}.amazonaws.com", service.name, region)
              : fmt::format("{}.{}.vpce.amazonaws.com", service.name, region)};
  if (!gateway) {
    out.private_dns_name = fmt::format("{}.{}.amazonaws.com", service.name, region);
    out.private_dns_names.emplace().emplace_back().private_dns_name = out.private_dns_name;
    out.private_dns_name_verification_state = "verified";
  }
  out.vpc_endpoint_policy_supported = true;
  out.acceptance_required = false;
  out.manages_vpc_endpoints = false;
  out.tags.emplace();
  out.supported_ip_address_types = std::vector<std::string>{"ipv4"};
  return out;
}

Handled<m::DescribeVpcEndpointServicesResult> describe_vpc_endpoint_services(
    const Context& context, const m::DescribeVpcEndpointServicesRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  const auto filters = filters_in(in);
  if (auto checked = check_filters(filters, {"owner", "service-name", "service-region", "service-type",
                                             "supported-ip-address-types"});
      !checked)
    return tl::unexpected(checked.error());
  const auto pages = pages_of(work, in, {1, kPageMax});
  if (!pages) return tl::unexpected(pages.error());
  for (const std::string& name : list(in.service_names))
    if (!find_endpoint_service(name, work.scope.region))
      return refuse("InvalidServiceName", fmt::format("The Vpc Endpoint Service '{}' does not exist", name));
  m::DescribeVpcEndpointServicesResult out;
  out.service_names.emplace();
  out.service_details.emplace();
  auto page = *pages;
  for (const EndpointService& service : kServices) {
    const std::string name = service.full_name(work.scope.region);
    const auto& asked = list(in.service_names);
    if (!asked.empty() && std::find(asked.begin(), asked.end(), name) == asked.end()) continue;
    std::vector<m::ServiceDetail> details;
    for (const bool gateway : {true, false}) {
      if (gateway && !service.gateway) continue;
      const auto visible = Filterable()
                               .with("owner", "amazon")
                               .with("service-name", name)
                               .with("service-region", work.scope.region)
                               .with("service-type", gateway ? "Gateway" : "Interface")
                               .with("supported-ip-address-types", "ipv4");
      if (visible.matches(filters)) details.push_back(render(work, service, gateway));
    }
    if (details.empty() || !page.take(name)) continue;
    out.service_names->push_back(name);
    for (auto& detail : details) out.service_details->push_back(std::move(detail));
  }
  out.next_token = page.next_token();
  return {std::move(out), std::move(work.transaction)};
}

}  // namespace

std::string EndpointService::full_name(std::string_view region) const {
  return fmt::format("com.amazonaws.{}.{}", region, name);
}

const EndpointService* find_endpoint_service(std::string_view full_name, std::string_view region) {
  for (const EndpointService& service : kServices)
    if (service.full_name(region) == full_name) return &service;
  return nullptr;
}

void add_endpoint_service_handlers(OperationRegistry& registry) {
  add(registry, m::kDescribeVpcEndpointServices, kAnyResource, describe_vpc_endpoint_services);
}

}  // namespace berth::services::ec2
