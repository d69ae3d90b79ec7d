// DescribeTasks' view of a task: what was asked, decided and seen, merged. Pure.
#pragma once

#include <memory>

#include "model/ecs/task.h"
#include "records/task.h"
#include "records/task_definition.h"
#include "services/ecs/lookup.h"
#include "services/ecs/shapes.h"

namespace berth::services::ecs {

struct TaskView {
  records::keys::TaskPath path;
  std::shared_ptr<const records::TaskSpec> spec;
  std::shared_ptr<const records::TaskStatus> status;          // null: control has not seen it yet
  std::shared_ptr<const records::TaskObserved> observed;      // null: the agent has not begun
  std::shared_ptr<const records::TaskIntent> intent;          // null: nobody called StopTask
  std::shared_ptr<const records::TaskTags> tags;              // null: as at creation
  std::shared_ptr<const records::TaskDefinition> definition;  // null: deleted meanwhile

  records::TaskState state() const { return status ? status->state : records::TaskState::provisioning; }
  bool wants_to_stop() const { return intent || (status && status->desired == records::DesiredStatus::stopped); }
};

// Null spec: there is no such task.
TaskView load_task(const Context& context, const records::keys::TaskPath& path);
m::Task render_task(const Context& context, const TaskView& task, bool with_tags);

}  // namespace berth::services::ecs
