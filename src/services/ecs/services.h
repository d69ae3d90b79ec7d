// Handlers of services. Pure; state thread. What they write is the spec; control makes it true and writes the status.
#pragma once

#include "model/ecs/service.h"
#include "services/ecs/shapes.h"
#include "services/handler.h"

namespace berth::services::ecs {

Handled<m::CreateServiceResponse> create_service(const Context& context, const m::CreateServiceRequest& in);
Handled<m::UpdateServiceResponse> update_service(const Context& context, const m::UpdateServiceRequest& in);
Handled<m::DeleteServiceResponse> delete_service(const Context& context, const m::DeleteServiceRequest& in);
Handled<m::DescribeServicesResponse> describe_services(const Context& context, const m::DescribeServicesRequest& in);
Handled<m::ListServicesResponse> list_services(const Context& context, const m::ListServicesRequest& in);

}  // namespace berth::services::ecs
