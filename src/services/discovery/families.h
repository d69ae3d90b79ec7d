// The handlers, by family: namespaces.cc, services.cc, instances.cc, discover.cc, operations.cc, tags.cc.
#pragma once

#include "model/servicediscovery/instance.h"
#include "model/servicediscovery/namespace.h"
#include "model/servicediscovery/operation.h"
#include "model/servicediscovery/service.h"
#include "model/servicediscovery/tag.h"
#include "services/discovery/lookup.h"

namespace berth::services::discovery {

Handled<m::CreateHttpNamespaceResponse> create_http_namespace(const Context&, const m::CreateHttpNamespaceRequest&);
Handled<m::CreatePrivateDnsNamespaceResponse> create_private_dns_namespace(const Context&,
                                                                           const m::CreatePrivateDnsNamespaceRequest&);
Handled<m::CreatePublicDnsNamespaceResponse> create_public_dns_namespace(const Context&,
                                                                         const m::CreatePublicDnsNamespaceRequest&);
Handled<m::UpdateHttpNamespaceResponse> update_http_namespace(const Context&, const m::UpdateHttpNamespaceRequest&);
Handled<m::UpdatePrivateDnsNamespaceResponse> update_private_dns_namespace(const Context&,
                                                                           const m::UpdatePrivateDnsNamespaceRequest&);
Handled<m::UpdatePublicDnsNamespaceResponse> update_public_dns_namespace(const Context&,
                                                                         const m::UpdatePublicDnsNamespaceRequest&);
Handled<m::DeleteNamespaceResponse> delete_namespace(const Context&, const m::DeleteNamespaceRequest&);
Handled<m::GetNamespaceResponse> get_namespace(const Context&, const m::GetNamespaceRequest&);
Handled<m::ListNamespacesResponse> list_namespaces(const Context&, const m::ListNamespacesRequest&);

Handled<m::CreateServiceResponse> create_service(const Context&, const m::CreateServiceRequest&);
Handled<m::UpdateServiceResponse> update_service(const Context&, const m::UpdateServiceRequest&);
Handled<m::DeleteServiceResponse> delete_service(const Context&, const m::DeleteServiceRequest&);
Handled<m::GetServiceResponse> get_service(const Context&, const m::GetServiceRequest&);
Handled<m::ListServicesResponse> list_services(const Context&, const m::ListServicesRequest&);
Handled<m::GetServiceAttributesResponse> get_service_attributes(const Context&, const m::GetServiceAttributesRequest&);
Handled<m::UpdateServiceAttributesResponse> update_service_attributes(const Context&,
                                                                      const m::UpdateServiceAttributesRequest&);
Handled<m::DeleteServiceAttributesResponse> delete_service_attributes(const Context&,
                                                                      const m::DeleteServiceAttributesRequest&);

Handled<m::RegisterInstanceResponse> register_instance(const Context&, const m::RegisterInstanceRequest&);
Handled<m::DeregisterInstanceResponse> deregister_instance(const Context&, const m::DeregisterInstanceRequest&);
Handled<m::GetInstanceResponse> get_instance(const Context&, const m::GetInstanceRequest&);
Handled<m::ListInstancesResponse> list_instances(const Context&, const m::ListInstancesRequest&);
Handled<m::GetInstancesHealthStatusResponse> get_instances_health_status(const Context&,
                                                                         const m::GetInstancesHealthStatusRequest&);
Handled<Nothing> update_instance_custom_health_status(const Context&,
                                                      const m::UpdateInstanceCustomHealthStatusRequest&);

// `floor`: below it no revision is answered. Deletions from before this process started are not known one by one.
Handled<m::DiscoverInstancesResponse> discover_instances(state::Revision floor, const Context&,
                                                         const m::DiscoverInstancesRequest&);
Handled<m::DiscoverInstancesRevisionResponse> discover_instances_revision(state::Revision floor, const Context&,
                                                                          const m::DiscoverInstancesRevisionRequest&);

Handled<m::GetOperationResponse> get_operation(const Context&, const m::GetOperationRequest&);
Handled<m::ListOperationsResponse> list_operations(const Context&, const m::ListOperationsRequest&);

Handled<m::TagResourceResponse> tag_resource(const Context&, const m::TagResourceRequest&);
Handled<m::UntagResourceResponse> untag_resource(const Context&, const m::UntagResourceRequest&);
Handled<m::ListTagsForResourceResponse> list_tags_for_resource(const Context&, const m::ListTagsForResourceRequest&);

}  // namespace berth::services::discovery
