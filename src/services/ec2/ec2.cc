#include "services/ec2/ec2.h"

#include "services/ec2/handlers.h"

namespace berth::services::ec2 {

void add_handlers(Registry<model::Operation>& registry) {
  add_vpc_handlers(registry);
  add_subnet_handlers(registry);
  add_internet_gateway_handlers(registry);
  add_route_table_handlers(registry);
  add_route_handlers(registry);
  add_security_group_handlers(registry);
  add_zone_handlers(registry);
}

}  // namespace berth::services::ec2
