// Handlers of tasks. Pure; state thread.
#pragma once

#include "model/ecs/task.h"
#include "services/ecs/shapes.h"
#include "services/handler.h"

namespace berth::services::ecs {

Handled<m::RunTaskResponse> run_task(const Context& context, const m::RunTaskRequest& in);
Handled<m::StopTaskResponse> stop_task(const Context& context, const m::StopTaskRequest& in);
Handled<m::DescribeTasksResponse> describe_tasks(const Context& context, const m::DescribeTasksRequest& in);
Handled<m::ListTasksResponse> list_tasks(const Context& context, const m::ListTasksRequest& in);

}  // namespace berth::services::ecs
