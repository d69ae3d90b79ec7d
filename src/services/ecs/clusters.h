// Handlers of clusters. Pure; state thread.
#pragma once

#include "model/ecs/cluster.h"
#include "services/ecs/shapes.h"
#include "services/handler.h"

namespace berth::services::ecs {

Handled<m::CreateClusterResponse> create_cluster(const Context& context, const m::CreateClusterRequest& in);
Handled<m::DescribeClustersResponse> describe_clusters(const Context& context, const m::DescribeClustersRequest& in);
Handled<m::ListClustersResponse> list_clusters(const Context& context, const m::ListClustersRequest& in);
Handled<m::UpdateClusterResponse> update_cluster(const Context& context, const m::UpdateClusterRequest& in);
Handled<m::UpdateClusterSettingsResponse> update_cluster_settings(const Context& context,
                                                                  const m::UpdateClusterSettingsRequest& in);
Handled<m::DeleteClusterResponse> delete_cluster(const Context& context, const m::DeleteClusterRequest& in);
Handled<m::PutClusterCapacityProvidersResponse> put_cluster_capacity_providers(
    const Context& context, const m::PutClusterCapacityProvidersRequest& in);

}  // namespace berth::services::ecs
