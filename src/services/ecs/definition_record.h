// From a checked RegisterTaskDefinition request to what is kept: the API's own document with AWS's defaults filled in, and
// the plain values that placement and the agent act on. Pure.
#pragma once

#include "model/ecs/task_definition.h"
#include "records/task_definition.h"
#include "services/ecs/shapes.h"

namespace berth::services::ecs {

struct Registration {
  records::Scope scope;
  std::string registered_by;
  TimeMs registered_at_ms = 0;
  int64_t revision = 0;
  bool log_blocking_default = false;  // account setting defaultLogDriverMode
};

// The API's TaskDefinition without status and deregistration times, which change later.
m::TaskDefinition definition_document(const m::RegisterTaskDefinitionRequest& in, const Registration& how);
records::TaskDefinition definition_record(const m::TaskDefinition& document, const Registration& how);

}  // namespace berth::services::ecs
