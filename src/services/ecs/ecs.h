// Amazon ECS: every operation that is served, with its handler.
#pragma once

#include "model/descriptor.h"
#include "services/handler.h"

namespace berth::services::ecs {

void add_handlers(Registry<model::Operation>& registry);

}  // namespace berth::services::ecs
