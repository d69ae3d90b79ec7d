#include <algorithm>

#include "services/discovery/families.h"
#include "services/discovery/filters.h"
#include "services/discovery/rules.h"

namespace berth::services::discovery {
namespace {

void put(const Context& context, state::Transaction& transaction, const records::DiscoveryService& service) {
  records::put(transaction, keys::discovery(keys::kDiscoveryService, context.scope(), service.id), service);
  transaction.durability = state::Durability::acknowledged;
}

// Service or ServiceSummary.
template <class Out>
Out render(const Context& context, const records::DiscoveryService& service) {
  Out out;
  out.id = service.id;
  out.arn = records::discovery_arn(context.scope(), "service", service.id);
  out.resource_owner = context.caller.account;
  out.name = service.name;
  out.type = service.type;
  if (!service.description.empty()) out.description = service.description;
  out.instance_count = count_instances(context, service.id);
  out.create_date = service.created_at_ms;
  out.created_by_account = context.caller.account;
  if (service.type != "HTTP") {
    m::DnsConfig& dns = out.dns_config.emplace();
    dns.namespace_id = service.namespace_id;
    dns.routing_policy = service.routing_policy;
    for (const records::DnsRecord& record : service.dns_records) dns.dns_records.push_back({record.type, record.ttl_s});
  }
  // 1 whatever was sent: AWS waits for 30 s and does not count.
  if (service.custom_health) out.health_check_custom_config.emplace().failure_threshold = 1;
  return out;
}

m::Service render_whole(const Context& context, const records::DiscoveryService& service) {
  auto out = render<m::Service>(context, service);
  out.namespace_id = service.namespace_id;
  if (!service.creator_request_id.empty()) out.creator_request_id = service.creator_request_id;
  return out;
}

ApiResult<records::DiscoveryService> service_of(const Context& context, const m::CreateServiceRequest& in,
                                                const records::Namespace& space) {
  records::DiscoveryService service;
  if (auto good = check_service_name(in.name, space); !good) return tl::unexpected(good.error());
  service.name = in.name;
  service.namespace_id = space.id;
  service.id = records::discovery_service_id(context.scope(), space.id, in.name);
  service.type = space.type == "HTTP" || !in.dns_config || in.type == "HTTP" ? "HTTP" : "DNS_HTTP";
  if (in.dns_config) {
    if (in.type == "HTTP") return invalid("When you specify an HTTP service, you can't include a DnsConfig element.");
    if (auto taken = take_dns_config(*in.dns_config, space, service); !taken) return tl::unexpected(taken.error());
  }
  service.custom_health = in.health_check_custom_config.has_value();
  service.description = in.description.value_or("");
  service.creator_request_id = in.creator_request_id.value_or("");
  service.created_at_ms = context.now_ms;
  auto tags = tags_of(in.tags);
  if (!tags) return tl::unexpected(tags.error());
  service.tags = std::move(*tags);
  return service;
}

}  // namespace

Handled<m::CreateServiceResponse> create_service(const Context& context, const m::CreateServiceRequest& in) {
  std::string namespace_id = in.namespace_id.value_or("");
  if (namespace_id.empty() && in.dns_config) namespace_id = in.dns_config->namespace_id.value_or("");
  if (namespace_id.empty()) return invalid("NamespaceId is required.");
  if (in.namespace_id && in.dns_config && in.dns_config->namespace_id &&
      id_of(*in.namespace_id) != id_of(*in.dns_config->namespace_id))
    return invalid("The two NamespaceId of the request differ.");
  const auto space = find_namespace(context, namespace_id);
  if (!space) return tl::unexpected(space.error());
  auto service = service_of(context, in, **space);
  if (!service) return tl::unexpected(service.error());
  m::CreateServiceResponse out;
  if (const auto present = find_service(context, service->id)) {
    const bool sent_again =
        !service->creator_request_id.empty() && (*present)->creator_request_id == service->creator_request_id;
    if (!sent_again)
      return refuse_with("ServiceAlreadyExists", fmt::format("The service {} already exists.", in.name),
                         {{"CreatorRequestId", (*present)->creator_request_id},
                          {"ServiceId", (*present)->id},
                          {"ServiceArn", records::discovery_arn(context.scope(), "service", (*present)->id)}});
    out.service = render_whole(context, **present);
    return out;
  }
  state::Transaction transaction;
  put(context, transaction, *service);
  out.service = render_whole(context, *service);
  return {std::move(out), std::move(transaction)};
}

// What the request leaves out is deleted; only times to live may change.
Handled<m::UpdateServiceResponse> update_service(const Context& context, const m::UpdateServiceRequest& in) {
  const auto found = find_service(context, in.id);
  if (!found) return tl::unexpected(found.error());
  const auto space = find_namespace(context, (*found)->namespace_id);
  if (space && (*space)->type == "HTTP") return invalid("A service of an HTTP namespace can't be updated.");
  if (auto free = check_not_busy(context, (*found)->operation_id); !free) return tl::unexpected(free.error());
  records::DiscoveryService changed = **found;
  if (in.service.description) changed.description = *in.service.description;
  std::vector<records::DnsRecord> records;
  if (in.service.dns_config) {
    auto taken = take_dns_records(in.service.dns_config->dns_records);
    if (!taken) return tl::unexpected(taken.error());
    records = std::move(*taken);
  }
  for (const records::DnsRecord& record : records) {
    const bool known = std::any_of(changed.dns_records.begin(), changed.dns_records.end(),
                                   [&](const auto& one) { return one.type == record.type; });
    if (!known) return invalid(fmt::format("The service has no DNS record of type {} to update.", record.type));
  }
  changed.dns_records = std::move(records);
  state::Transaction transaction;
  changed.operation_id = begin_operation(context, transaction, "UPDATE_SERVICE", {{"SERVICE", changed.id}});
  put(context, transaction, changed);
  m::UpdateServiceResponse out;
  out.operation_id = changed.operation_id;
  return {std::move(out), std::move(transaction)};
}

Handled<m::DeleteServiceResponse> delete_service(const Context& context, const m::DeleteServiceRequest& in) {
  const auto found = find_service(context, in.id);
  if (!found) return tl::unexpected(found.error());
  if (count_instances(context, (*found)->id) != 0)
    return refuse("ResourceInUse",
                  "Service contains registered instances; delete the instances before deleting the service");
  state::Transaction transaction;
  transaction.durability = state::Durability::acknowledged;
  transaction.erase(keys::discovery(keys::kDiscoveryService, context.scope(), (*found)->id));
  return {m::DeleteServiceResponse{}, std::move(transaction)};
}

Handled<m::GetServiceResponse> get_service(const Context& context, const m::GetServiceRequest& in) {
  const auto found = find_service(context, in.id);
  if (!found) return tl::unexpected(found.error());
  m::GetServiceResponse out;
  out.service = render_whole(context, **found);
  return out;
}

Handled<m::ListServicesResponse> list_services(const Context& context, const m::ListServicesRequest& in) {
  const std::string question = "services " + context.caller.account + context.caller.region;
  const auto page = open_page(question, in.next_token, in.max_results);
  if (!page) return tl::unexpected(page.error());
  if (auto good = passes(in.filters, {{"NAMESPACE_ID", "", {"EQ"}}, {"RESOURCE_OWNER", "", {"EQ"}}}); !good)
    return tl::unexpected(good.error());
  const std::string prefix = keys::discovery(keys::kDiscoveryService, context.scope());
  const auto rows = records::range<records::DiscoveryService>(
      context.store, prefix, page->after.empty() ? "" : prefix + page->after, page->size + 1);
  m::ListServicesResponse out;
  out.services.emplace();
  auto filters = in.filters;
  if (filters)
    for (m::ServiceFilter& filter : *filters)
      if (filter.name == "NAMESPACE_ID")
        for (std::string& value : filter.values) value = id_of(value);
  for (size_t i = 0; i < rows.size() && i < page->size; ++i) {
    const records::DiscoveryService& service = *rows[i].second;
    const auto wanted =
        passes(filters, {{"NAMESPACE_ID", service.namespace_id, {"EQ"}}, {"RESOURCE_OWNER", "SELF", {"EQ"}}});
    if (wanted && *wanted) out.services->push_back(render<m::ServiceSummary>(context, service));
  }
  if (rows.size() > page->size) out.next_token = page_token(question, rows[page->size - 1].second->id);
  return out;
}

Handled<m::GetServiceAttributesResponse> get_service_attributes(const Context& context,
                                                                const m::GetServiceAttributesRequest& in) {
  const auto found = find_service(context, in.service_id);
  if (!found) return tl::unexpected(found.error());
  m::GetServiceAttributesResponse out;
  m::ServiceAttributes& attributes = out.service_attributes.emplace();
  attributes.service_arn = records::discovery_arn(context.scope(), "service", (*found)->id);
  attributes.resource_owner = context.caller.account;
  attributes.attributes.emplace((*found)->attributes.begin(), (*found)->attributes.end());
  return out;
}

Handled<m::UpdateServiceAttributesResponse> update_service_attributes(const Context& context,
                                                                      const m::UpdateServiceAttributesRequest& in) {
  const auto found = find_service(context, in.service_id);
  if (!found) return tl::unexpected(found.error());
  records::DiscoveryService changed = **found;
  for (const auto& [name, value] : in.attributes) changed.attributes[name] = value;
  if (auto good = check_service_attributes(changed.attributes); !good) return tl::unexpected(good.error());
  state::Transaction transaction;
  put(context, transaction, changed);
  return {m::UpdateServiceAttributesResponse{}, std::move(transaction)};
}

Handled<m::DeleteServiceAttributesResponse> delete_service_attributes(const Context& context,
                                                                      const m::DeleteServiceAttributesRequest& in) {
  const auto found = find_service(context, in.service_id);
  if (!found) return tl::unexpected(found.error());
  records::DiscoveryService changed = **found;
  for (const std::string& name : in.attributes) changed.attributes.erase(name);
  state::Transaction transaction;
  put(context, transaction, changed);
  return {m::DeleteServiceAttributesResponse{}, std::move(transaction)};
}

}  // namespace berth::services::discovery
