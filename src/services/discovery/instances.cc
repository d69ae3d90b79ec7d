#include <algorithm>

#include "services/discovery/families.h"
#include "services/discovery/rules.h"

namespace berth::services::discovery {
namespace {

constexpr size_t kInstancesMax = 1000;  // AWS's quota a service

std::shared_ptr<const records::InstanceHealth> health_of(const Context& context, const records::Instance& instance) {
  return records::get<records::InstanceHealth>(
      context.store, keys::instance(keys::kInstanceHealth, context.scope(), instance.service_id, instance.id));
}

std::map<std::string, std::string> targets(const records::DiscoveryService& service, const std::string& id) {
  return {{"NAMESPACE", service.namespace_id}, {"SERVICE", service.id}, {"INSTANCE", id}};
}

}  // namespace

Handled<m::RegisterInstanceResponse> register_instance(const Context& context, const m::RegisterInstanceRequest& in) {
  const auto service = find_service(context, in.service_id);
  if (!service) return tl::unexpected(service.error());
  const auto space = find_namespace(context, (*service)->namespace_id);
  if (!space) return tl::unexpected(space.error());
  if (auto good = check_instance_id(in.instance_id); !good) return tl::unexpected(good.error());
  records::Instance instance;
  instance.id = in.instance_id;
  instance.service_id = (*service)->id;
  instance.creator_request_id = in.creator_request_id.value_or("");
  instance.attributes = {in.attributes.begin(), in.attributes.end()};
  if (auto good = check_attributes(instance.attributes, **service, **space); !good) return tl::unexpected(good.error());
  const auto before = find_instance(context, instance.service_id, instance.id);
  if (before)
    if (auto free = check_not_busy(context, (*before)->operation_id); !free) return tl::unexpected(free.error());
  if (!before && static_cast<size_t>(count_instances(context, instance.service_id)) >= kInstancesMax)
    return refuse("ResourceLimitExceeded",
                  fmt::format("A service can have at most {} registered instances.", kInstancesMax));
  state::Transaction transaction;
  instance.operation_id = begin_operation(context, transaction, "REGISTER_INSTANCE", targets(**service, instance.id));
  records::put(transaction, keys::instance(keys::kInstance, context.scope(), instance.service_id, instance.id),
               instance);
  m::RegisterInstanceResponse out;
  out.operation_id = instance.operation_id;
  return {std::move(out), std::move(transaction)};
}

Handled<m::DeregisterInstanceResponse> deregister_instance(const Context& context,
                                                           const m::DeregisterInstanceRequest& in) {
  const auto service = find_service(context, in.service_id);
  if (!service) return tl::unexpected(service.error());
  const auto instance = find_instance(context, (*service)->id, in.instance_id);
  if (!instance) return tl::unexpected(instance.error());
  if (auto free = check_not_busy(context, (*instance)->operation_id); !free) return tl::unexpected(free.error());
  state::Transaction transaction;
  m::DeregisterInstanceResponse out;
  out.operation_id = begin_operation(context, transaction, "DEREGISTER_INSTANCE", targets(**service, in.instance_id));
  for (const std::string_view kind : {keys::kInstance, keys::kInstanceHealth})
    transaction.erase(keys::instance(kind, context.scope(), (*service)->id, in.instance_id));
  return {std::move(out), std::move(transaction)};
}

Handled<m::GetInstanceResponse> get_instance(const Context& context, const m::GetInstanceRequest& in) {
  const auto service = find_service(context, in.service_id);
  if (!service) return tl::unexpected(service.error());
  const auto instance = find_instance(context, (*service)->id, in.instance_id);
  if (!instance) return tl::unexpected(instance.error());
  m::GetInstanceResponse out;
  out.resource_owner = context.caller.account;
  m::Instance& shown = out.instance.emplace();
  shown.id = (*instance)->id;
  if (!(*instance)->creator_request_id.empty()) shown.creator_request_id = (*instance)->creator_request_id;
  shown.attributes.emplace((*instance)->attributes.begin(), (*instance)->attributes.end());
  shown.created_by_account = context.caller.account;
  return out;
}

Handled<m::ListInstancesResponse> list_instances(const Context& context, const m::ListInstancesRequest& in) {
  const auto service = find_service(context, in.service_id);
  if (!service) return tl::unexpected(service.error());
  const std::string question = "instances " + (*service)->id;
  const auto page = open_page(question, in.next_token, in.max_results);
  if (!page) return tl::unexpected(page.error());
  const std::string prefix = keys::instance(keys::kInstance, context.scope(), (*service)->id);
  const auto rows = records::range<records::Instance>(
      context.store, prefix, page->after.empty() ? "" : prefix + records::escape_key_part(page->after), page->size + 1);
  m::ListInstancesResponse out;
  out.resource_owner = context.caller.account;
  out.instances.emplace();
  for (size_t i = 0; i < rows.size() && i < page->size; ++i) {
    m::InstanceSummary& shown = out.instances->emplace_back();
    shown.id = rows[i].second->id;
    shown.attributes.emplace(rows[i].second->attributes.begin(), rows[i].second->attributes.end());
    shown.created_by_account = context.caller.account;
  }
  if (rows.size() > page->size) out.next_token = page_token(question, rows[page->size - 1].second->id);
  return out;
}

Handled<m::GetInstancesHealthStatusResponse> get_instances_health_status(const Context& context,
                                                                         const m::GetInstancesHealthStatusRequest& in) {
  const auto service = find_service(context, in.service_id);
  if (!service) return tl::unexpected(service.error());
  const std::string question = "health " + (*service)->id;
  const auto page = open_page(question, in.next_token, in.max_results);
  if (!page) return tl::unexpected(page.error());
  std::vector<std::shared_ptr<const records::Instance>> instances;
  if (in.instances) {
    for (const std::string& id : *in.instances) {
      auto instance = find_instance(context, (*service)->id, id);
      if (!instance) return tl::unexpected(instance.error());
      instances.push_back(std::move(*instance));
    }
    std::sort(instances.begin(), instances.end(), [](const auto& a, const auto& b) { return a->id < b->id; });
  } else {
    for (auto& [key, instance] : records::range<records::Instance>(
             context.store, keys::instance(keys::kInstance, context.scope(), (*service)->id)))
      instances.push_back(std::move(instance));
  }
  m::GetInstancesHealthStatusResponse out;
  out.status.emplace();
  std::string last;
  for (const auto& instance : instances) {
    if (!page->after.empty() && instance->id <= page->after) continue;
    if (out.status->size() == page->size) {
      out.next_token = page_token(question, last);
      break;
    }
    last = instance->id;
    const bool healthy = records::is_healthy(*instance, health_of(context, *instance).get());
    (*out.status)[instance->id] = !(*service)->custom_health ? "UNKNOWN" : healthy ? "HEALTHY" : "UNHEALTHY";
  }
  return out;
}

Handled<Nothing> update_instance_custom_health_status(const Context& context,
                                                      const m::UpdateInstanceCustomHealthStatusRequest& in) {
  const auto service = find_service(context, in.service_id);
  if (!service) return tl::unexpected(service.error());
  const auto instance = find_instance(context, (*service)->id, in.instance_id);
  if (!instance) return tl::unexpected(instance.error());
  if (!(*service)->custom_health)
    return refuse("CustomHealthNotFound",
                  fmt::format("The service {} has no HealthCheckCustomConfig.", (*service)->id));
  state::Transaction transaction;
  transaction.durability = state::Durability::acknowledged;
  records::put(
      transaction, keys::instance(keys::kInstanceHealth, context.scope(), (*service)->id, in.instance_id),
      records::told_health(**instance, health_of(context, **instance).get(), in.status == "HEALTHY", context.now_ms));
  return {Nothing{}, std::move(transaction)};
}

}  // namespace berth::services::discovery
