// One route as it is shown.
#pragma once

#include "model/ec2/route_tables.h"
#include "records/network.h"
#include "services/ec2/filters.h"
#include "services/ec2/objects.h"

namespace berth::services::ec2 {

// With its state: a route whose target is gone, or detached from the VPC, is a black hole.
m::Route render_route(Work& work, const records::RouteTable& table, const records::Route& route);
void show_route(Filterable& table, const m::Route& route);

}  // namespace berth::services::ec2
