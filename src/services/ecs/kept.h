// What ECS's records keep in API shape: services/common/kept.h.
#pragma once

#include "services/common/kept.h"

namespace berth::services::ecs {

using common::from_kept;
using common::to_kept;

}  // namespace berth::services::ecs
