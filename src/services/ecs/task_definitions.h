// Handlers of task definitions. Pure; state thread.
#pragma once

#include "model/ecs/task_definition.h"
#include "services/ecs/shapes.h"
#include "services/handler.h"

namespace berth::services::ecs {

Handled<m::RegisterTaskDefinitionResponse> register_task_definition(const Context& context,
                                                                    const m::RegisterTaskDefinitionRequest& in);
Handled<m::DescribeTaskDefinitionResponse> describe_task_definition(const Context& context,
                                                                    const m::DescribeTaskDefinitionRequest& in);
Handled<m::DeregisterTaskDefinitionResponse> deregister_task_definition(const Context& context,
                                                                        const m::DeregisterTaskDefinitionRequest& in);
Handled<m::DeleteTaskDefinitionsResponse> delete_task_definitions(const Context& context,
                                                                  const m::DeleteTaskDefinitionsRequest& in);
Handled<m::ListTaskDefinitionsResponse> list_task_definitions(const Context& context,
                                                              const m::ListTaskDefinitionsRequest& in);
Handled<m::ListTaskDefinitionFamiliesResponse> list_task_definition_families(
    const Context& context, const m::ListTaskDefinitionFamiliesRequest& in);

}  // namespace berth::services::ecs
