// Tasks: Stop, Describe, List. RunTask has its own file.
#include "services/ecs/tasks.h"

#include <algorithm>

#include "base/limits.h"
#include "services/ecs/errors.h"
#include "services/ecs/identifiers.h"
#include "services/ecs/lookup.h"
#include "services/ecs/paging.h"
#include "services/ecs/task_render.h"

namespace berth::services::ecs {
namespace {

using records::TaskState;

constexpr size_t kTasksDescribedMax = 100;

struct TaskFilter {
  std::string family, started_by, service, launch_type;
  bool stopped = false;

  bool takes(const Context& context, const records::TaskSummary& task) const {
    if (!family.empty() && task.family != family) return false;
    if (!started_by.empty() && task.started_by != started_by) return false;
    if (!service.empty() && task.service != service) return false;
    if (!launch_type.empty() && launch_type != "FARGATE") return false;  // all that runs here is Fargate's
    const bool wants_to_stop =
        task.desired == records::DesiredStatus::stopped ||
        context.store.get(records::keys::task(records::keys::kTaskIntent, task.path)).has_value();
    return wants_to_stop == stopped;
  }
};

ApiResult<TaskFilter> filter_of(Work& work, const std::string& cluster, const m::ListTasksRequest& in) {
  TaskFilter filter;
  filter.family = text(in.family);
  filter.started_by = text(in.started_by);
  filter.launch_type = text(in.launch_type);
  filter.stopped = text(in.desired_status) == "STOPPED";
  if (!text(in.started_by).empty() && (in.family || in.service_name))
    return invalid_parameter("The startedBy filter cannot be combined with family or serviceName.");
  if (!text(in.service_name).empty()) {
    const auto name = parse_service(work.scope, cluster, *in.service_name);
    if (!name) return tl::unexpected(name.error());
    if (!find_service(work, cluster, *name)) return service_not_found();
    filter.service = *name;
  }
  return filter;
}

}  // namespace

Handled<m::StopTaskResponse> stop_task(const Context& context, const m::StopTaskRequest& in) {
  if (text(in.reason).size() > limits::kStoppedReasonBytesMax)
    return invalid_parameter(fmt::format("reason can have at most {} bytes.", limits::kStoppedReasonBytesMax));
  Work work(context);
  const auto cluster = find_cluster(work, text(in.cluster));
  if (!cluster) return tl::unexpected(cluster.error());
  const auto id = parse_task(work.scope, (*cluster)->name, in.task);
  if (!id) return tl::unexpected(id.error());
  TaskView task = load_task(context, {work.scope, (*cluster)->name, *id});
  if (!task.spec) return task_not_found();
  // Stopping what has stopped, or is told to already, changes nothing; the first reason stays.
  if (task.state() != TaskState::stopped && !task.intent) {
    records::TaskIntent intent{context.now_ms, in.reason.value_or("Task stopped by user")};
    const std::string key = records::keys::task(records::keys::kTaskIntent, task.path);
    work.get<records::TaskIntent>(key);
    work.put(key, intent);
    task.intent = std::make_shared<const records::TaskIntent>(std::move(intent));
  }
  m::StopTaskResponse out;
  out.task = render_task(context, task, true);
  return {std::move(out), std::move(work.transaction)};
}

Handled<m::DescribeTasksResponse> describe_tasks(const Context& context, const m::DescribeTasksRequest& in) {
  Work work(context);
  const auto cluster = find_cluster(work, text(in.cluster));
  if (!cluster) return tl::unexpected(cluster.error());
  if (in.tasks.empty()) return invalid_parameter("Tasks cannot be empty.");
  if (in.tasks.size() > kTasksDescribedMax) return invalid_parameter("taskIds can have at most 100 items.");
  const auto& include = list(in.include);
  const bool with_tags = std::find(include.begin(), include.end(), "TAGS") != include.end();
  m::DescribeTasksResponse out;
  out.tasks.emplace();
  out.failures.emplace();
  for (const std::string& text : in.tasks) {
    const auto id = parse_task(work.scope, (*cluster)->name, text);
    if (!id) return tl::unexpected(id.error());
    const TaskView task = load_task(context, {work.scope, (*cluster)->name, *id});
    if (task.spec)
      out.tasks->push_back(render_task(context, task, with_tags));
    else
      out.failures->push_back(missing(task.path.arn()));
  }
  return out;
}

Handled<m::ListTasksResponse> list_tasks(const Context& context, const m::ListTasksRequest& in) {
  Work work(context);
  const auto cluster = find_cluster(work, text(in.cluster));
  if (!cluster) return tl::unexpected(cluster.error());
  const std::string& name = (*cluster)->name;
  if (in.container_instance) return invalid_parameter("No Container Instances were found in your cluster.");
  const auto filter = filter_of(work, name, in);
  if (!filter) return tl::unexpected(filter.error());
  auto pager = Pager::open(work.scope,
                           fmt::format("ListTasks/{}/{}/{}/{}/{}/{}", name, filter->family, filter->started_by,
                                       filter->service, text(in.desired_status), filter->launch_type),
                           in.next_token, in.max_results);
  if (!pager) return tl::unexpected(pager.error());
  m::ListTasksResponse out;
  // ECS never wants a task to be PENDING, so nobody is.
  if (text(in.desired_status) != "PENDING") {
    const auto& ids = filter->service.empty() ? context.tasks.of_cluster(work.scope, name)
                                              : context.tasks.of_service({work.scope, name, filter->service});
    for (auto at = ids.upper_bound(pager->start()); at != ids.end(); ++at) {
      const auto& [task_id, task] = *at;
      if (!filter->takes(context, *task)) continue;
      if (!pager->add(task_id, task->path.arn())) break;
    }
  }
  Page page = std::move(*pager).finish();
  out.task_arns = std::move(page.items);
  out.next_token = std::move(page.next_token);
  return out;
}

}  // namespace berth::services::ecs
