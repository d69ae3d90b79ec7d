// What a cluster runs on: AWS's own two capacity providers, and no container instances.
#pragma once

#include "model/ecs/cluster.h"
#include "services/ecs/shapes.h"
#include "services/handler.h"

namespace berth::services::ecs {

Handled<m::DescribeCapacityProvidersResponse> describe_capacity_providers(
    const Context& context, const m::DescribeCapacityProvidersRequest& in);
Handled<m::ListContainerInstancesResponse> list_container_instances(const Context& context,
                                                                    const m::ListContainerInstancesRequest& in);

}  // namespace berth::services::ecs
