// What `berth net` and `berth net why` are told. Pure.
#pragma once

#include <string>

#include "base/json.h"
#include "base/result.h"
#include "dataplane/host_network.h"

namespace berth::admin {

// {"vpcs":[{"id","cidrs","dns","subnets":[{"id","cidr","acl","routeTable","routes","interfaces"}],"natGateways"}]}
json::Value tell_network(const dataplane::HostNetwork& network);

// {"from","to","protocol","port"} → {"passes","steps":[{"passes","what"}],"from","to"}. From and to are a task's id or its
// beginning, an interface's id, a private or a public address; from an address that nobody has is from outside.
Result<json::Value> tell_why(const dataplane::HostNetwork& network, const json::Value& question);

}  // namespace berth::admin
