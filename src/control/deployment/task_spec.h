// The spec of a task that a service starts.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/random.h"
#include "records/keys.h"
#include "records/service.h"
#include "records/task.h"
#include "records/task_definition.h"

namespace berth::control::deployment {

// What placement counts for a task of the definition: the task's own size, or the sum of its containers'.
int memory_mib(const records::TaskDefinition& definition);

// `capacity_provider` is empty where the revision names a launch type.
records::TaskSpec task_spec(const records::keys::ServicePath& path, const records::ServiceSpec& service,
                            const records::Deployment& deployment, const records::TaskDefinition& definition,
                            const std::string& capacity_provider, TimeMs now_ms, Random& random);

}  // namespace berth::control::deployment
