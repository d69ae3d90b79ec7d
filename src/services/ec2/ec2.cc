#include "services/ec2/ec2.h"

#include "services/ec2/handlers.h"

namespace berth::services::ec2 {

void add_handlers(Registry<model::Operation>& registry) {
  add_vpc_handlers(registry);
  add_subnet_handlers(registry);
  add_internet_gateway_handlers(registry);
  add_route_table_handlers(registry);
  add_route_handlers(registry);
  add_address_handlers(registry);
  add_nat_gateway_handlers(registry);
  add_dhcp_options_handlers(registry);
  add_vpc_endpoint_handlers(registry);
  add_endpoint_service_handlers(registry);
  add_security_group_handlers(registry);
  add_security_group_rule_handlers(registry);
  add_interface_handlers(registry);
  add_interface_attribute_handlers(registry);
  add_network_acl_handlers(registry);
  add_prefix_list_handlers(registry);
  add_tag_handlers(registry);
  add_account_handlers(registry);
  add_zone_handlers(registry);
}

}  // namespace berth::services::ec2
