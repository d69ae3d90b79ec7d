// What RegisterTaskDefinition refuses, as a table of rules over the request. Pure.
#pragma once

#include "base/result.h"
#include "model/ecs/task_definition.h"
#include "records/keys.h"
#include "services/ecs/shapes.h"

namespace berth::services::ecs {

// A request with its sizes read.
struct DefinitionSubject {
  const m::RegisterTaskDefinitionRequest& in;
  bool fargate = false;  // to be checked for Fargate
  bool awsvpc = false;
  int cpu_units = 0;  // 0: none given
  int memory_mib = 0;
};

ApiResult<void> check_definition(const m::RegisterTaskDefinitionRequest& in);
// Whether it would run on Fargate as well, asked or not.
bool is_fargate_compatible(const m::RegisterTaskDefinitionRequest& in);
// What a task of it would need that Berth does not do yet; empty: nothing.
std::string not_served_text(const m::RegisterTaskDefinitionRequest& in);

}  // namespace berth::services::ecs
