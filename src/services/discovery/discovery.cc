#include "services/discovery/discovery.h"

#include "model/servicediscovery/operations.h"
#include "services/discovery/families.h"

namespace berth::services::discovery {
namespace {

std::string arn_of(const Context& context, std::string_view kind, std::string_view id_or_arn) {
  if (id_or_arn.starts_with("arn:")) return std::string(id_or_arn);
  return records::discovery_arn(context.scope(), kind, id_or_arn);
}

void of_namespace(const Context& context, const std::string& id, AccessQuery& query) {
  query.resource(arn_of(context, "namespace", id));
}
void of_service(const Context& context, const std::string& id, AccessQuery& query) {
  query.resource(arn_of(context, "service", id));
}

// Finders for what the requests of one family call the object that they are about.
template <class In>
void by_namespace(const Context& context, const In& in, AccessQuery& query) {
  of_namespace(context, in.id, query);
}
template <class In>
void by_service(const Context& context, const In& in, AccessQuery& query) {
  if constexpr (requires { in.service_id; })
    of_service(context, in.service_id, query);
  else
    of_service(context, in.id, query);
}
template <class In>
void by_arn(const Context&, const In& in, AccessQuery& query) {
  query.resource(in.resource_arn);
}
template <class In>
void by_name(const Context&, const In& in, AccessQuery& query) {
  query.every_resource();
  query.condition("servicediscovery:NamespaceName", in.namespace_name);
  query.condition("servicediscovery:ServiceName", in.service_name);
}
template <class In>
void by_tags(const Context& context, const In& in, AccessQuery& query) {
  if constexpr (requires { in.namespace_id; })
    of_namespace(context, in.namespace_id.value_or("*"), query);
  else
    query.every_resource();
  if (!in.tags) return;
  for (const auto& tag : *in.tags) {
    query.condition("aws:RequestTag/" + tag.key, tag.value);
    query.condition("aws:TagKeys", tag.key);
  }
}

template <class In, class Out, class A>
void add(Registry<model::Operation>& registry, const model::Operation& operation, A access,
         Handled<Out> (*handler)(const Context&, const In&)) {
  registry.on<In, Out>(operation, access, handler);
}

void add_namespaces(Registry<model::Operation>& registry) {
  add(registry, m::kCreateHttpNamespace, by_tags<m::CreateHttpNamespaceRequest>, create_http_namespace);
  add(registry, m::kCreatePrivateDnsNamespace, by_tags<m::CreatePrivateDnsNamespaceRequest>,
      create_private_dns_namespace);
  add(registry, m::kCreatePublicDnsNamespace, by_tags<m::CreatePublicDnsNamespaceRequest>, create_public_dns_namespace);
  add(registry, m::kUpdateHttpNamespace, by_namespace<m::UpdateHttpNamespaceRequest>, update_http_namespace);
  add(registry, m::kUpdatePrivateDnsNamespace, by_namespace<m::UpdatePrivateDnsNamespaceRequest>,
      update_private_dns_namespace);
  add(registry, m::kUpdatePublicDnsNamespace, by_namespace<m::UpdatePublicDnsNamespaceRequest>,
      update_public_dns_namespace);
  add(registry, m::kDeleteNamespace, by_namespace<m::DeleteNamespaceRequest>, delete_namespace);
  add(registry, m::kGetNamespace, by_namespace<m::GetNamespaceRequest>, get_namespace);
  add(registry, m::kListNamespaces, kAnyResource, list_namespaces);
}

void add_services(Registry<model::Operation>& registry) {
  add(registry, m::kCreateService, by_tags<m::CreateServiceRequest>, create_service);
  add(registry, m::kUpdateService, by_service<m::UpdateServiceRequest>, update_service);
  add(registry, m::kDeleteService, by_service<m::DeleteServiceRequest>, delete_service);
  add(registry, m::kGetService, by_service<m::GetServiceRequest>, get_service);
  add(registry, m::kListServices, kAnyResource, list_services);
  add(registry, m::kGetServiceAttributes, by_service<m::GetServiceAttributesRequest>, get_service_attributes);
  add(registry, m::kUpdateServiceAttributes, by_service<m::UpdateServiceAttributesRequest>, update_service_attributes);
  add(registry, m::kDeleteServiceAttributes, by_service<m::DeleteServiceAttributesRequest>, delete_service_attributes);
}

void add_instances(Registry<model::Operation>& registry, state::Revision started) {
  add(registry, m::kRegisterInstance, by_service<m::RegisterInstanceRequest>, register_instance);
  add(registry, m::kDeregisterInstance, by_service<m::DeregisterInstanceRequest>, deregister_instance);
  add(registry, m::kGetInstance, by_service<m::GetInstanceRequest>, get_instance);
  add(registry, m::kListInstances, by_service<m::ListInstancesRequest>, list_instances);
  add(registry, m::kGetInstancesHealthStatus, by_service<m::GetInstancesHealthStatusRequest>,
      get_instances_health_status);
  add(registry, m::kUpdateInstanceCustomHealthStatus, by_service<m::UpdateInstanceCustomHealthStatusRequest>,
      update_instance_custom_health_status);
  registry.on<m::DiscoverInstancesRequest, m::DiscoverInstancesResponse>(
      m::kDiscoverInstances, by_name<m::DiscoverInstancesRequest>,
      [started](const Context& context, const m::DiscoverInstancesRequest& in) {
        return discover_instances(started, context, in);
      });
  registry.on<m::DiscoverInstancesRevisionRequest, m::DiscoverInstancesRevisionResponse>(
      m::kDiscoverInstancesRevision, by_name<m::DiscoverInstancesRevisionRequest>,
      [started](const Context& context, const m::DiscoverInstancesRevisionRequest& in) {
        return discover_instances_revision(started, context, in);
      });
}

}  // namespace

void add_handlers(Registry<model::Operation>& registry, state::Revision started) {
  add_namespaces(registry);
  add_services(registry);
  add_instances(registry, started);
  add(registry, m::kGetOperation, kAnyResource, get_operation);
  add(registry, m::kListOperations, kAnyResource, list_operations);
  add(registry, m::kTagResource, by_arn<m::TagResourceRequest>, tag_resource);
  add(registry, m::kUntagResource, by_arn<m::UntagResourceRequest>, untag_resource);
  add(registry, m::kListTagsForResource, by_arn<m::ListTagsForResourceRequest>, list_tags_for_resource);
}

}  // namespace berth::services::discovery
