// serviceRegistries: what CreateService and UpdateService take, and what Describe shows.
#pragma once

#include <vector>

#include "model/ecs/service.h"
#include "records/service.h"
#include "records/task_definition.h"
#include "services/ecs/lookup.h"

namespace berth::services::ecs {

ApiResult<std::vector<records::ServiceRegistry>> check_registries(Work& work,
                                                                  const std::vector<model::ecs::ServiceRegistry>& in,
                                                                  const records::TaskDefinition& definition);
std::vector<model::ecs::ServiceRegistry> to_registries(const std::vector<records::ServiceRegistry>& registries);

}  // namespace berth::services::ecs
