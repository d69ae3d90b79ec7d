// DescribeServices' view of a service: its spec and status merged, tasks counted. Pure.
#pragma once

#include "model/ecs/service.h"
#include "services/ecs/lookup.h"
#include "services/ecs/shapes.h"

namespace berth::services::ecs {

m::Service render_service(const Context& context, const Service& service, bool with_tags);

}  // namespace berth::services::ecs
