// Amazon EC2, as far as ECS and its clients look at networks: the default VPC of each region. A region's VPC is made by
// the first call that looks for it.
#pragma once

#include "model/descriptor.h"
#include "services/handler.h"

namespace berth::services::ec2 {

void add_handlers(Registry<model::Operation>& registry);

// "euc1-az1" of eu-central-1a.
std::string zone_id(std::string_view region, char letter);

}  // namespace berth::services::ec2
