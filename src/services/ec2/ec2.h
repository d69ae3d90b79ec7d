// Amazon EC2, as far as it is networks. A region's default VPC is made by the first call that is about the region.
#pragma once

#include "model/descriptor.h"
#include "services/handler.h"

namespace berth::services::ec2 {

void add_handlers(Registry<model::Operation>& registry);

}  // namespace berth::services::ec2
