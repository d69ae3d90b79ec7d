// The families of EC2's operations; each file of handlers ends with its own list. Handlers are pure; state thread.
#pragma once

#include <type_traits>
#include <utility>

#include "model/descriptor.h"
#include "services/ec2/access.h"
#include "services/handler.h"

namespace berth::services::ec2 {

using OperationRegistry = Registry<model::Operation>;
struct Nothing {};  // the answer of operations without one

void add_vpc_handlers(OperationRegistry& registry);
void add_subnet_handlers(OperationRegistry& registry);
void add_internet_gateway_handlers(OperationRegistry& registry);
void add_route_table_handlers(OperationRegistry& registry);
void add_route_handlers(OperationRegistry& registry);
void add_address_handlers(OperationRegistry& registry);
void add_nat_gateway_handlers(OperationRegistry& registry);
void add_dhcp_options_handlers(OperationRegistry& registry);
void add_vpc_endpoint_handlers(OperationRegistry& registry);
void add_endpoint_service_handlers(OperationRegistry& registry);
void add_security_group_handlers(OperationRegistry& registry);
void add_security_group_rule_handlers(OperationRegistry& registry);
void add_interface_handlers(OperationRegistry& registry);
void add_interface_attribute_handlers(OperationRegistry& registry);
void add_network_acl_handlers(OperationRegistry& registry);
void add_prefix_list_handlers(OperationRegistry& registry);
void add_tag_handlers(OperationRegistry& registry);
void add_account_handlers(OperationRegistry& registry);
void add_zone_handlers(OperationRegistry& registry);

template <class In, class Out>
void add(OperationRegistry& registry, const model::Operation& operation, std::type_identity_t<Access<In>> access,
         Handled<Out> (*handler)(const Context&, const In&)) {
  registry.on<In, Out>(operation, std::move(access), handler);
}

}  // namespace berth::services::ec2
