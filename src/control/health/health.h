// The health of a task: essential containers with a check count, all others do not.
#pragma once

#include "records/task.h"
#include "records/task_definition.h"

namespace berth::control::health {

// False: health says nothing about a task of this definition, and RUNNING is as good as healthy.
bool has_check(const records::TaskDefinition& definition);

// Any UNHEALTHY makes the task so; else any UNKNOWN; else HEALTHY. Without a check: UNKNOWN.
records::Health of_task(const records::TaskDefinition& definition, const records::TaskObserved& observed);

}  // namespace berth::control::health
