#include "agent/apply/bridge.h"

#include <fmt/format.h>

#include "agent/apply/task_plan.h"
#include "base/assert.h"
#include "base/log.h"
#include "records/logs.h"
#include "records/network.h"
#include "records/read.h"

namespace berth::agent {

using namespace records;  // NOLINT: this file is the border between records and the agent

namespace {

bool over(const TaskStatus& status) { return status.state == TaskState::stopped; }

}  // namespace

Bridge::Bridge(state::Store& store, OrderSink& sink, const Clock& clock, Random& random, std::string logs_directory)
    : store_(store), sink_(sink), clock_(clock), random_(random), logs_directory_(std::move(logs_directory)) {}

Bridge::~Bridge() {
  if (watch_) store_.cancel(watch_);
}

void Bridge::start() {
  const state::Revision from = store_.head();
  std::vector<TaskOrder> orders;
  for (const auto& [key, status] : range<TaskStatus>(store_, keys::kTaskStatus))
    if (!over(*status)) orders.push_back(compose(keys::task_path(key), status));
  sink_.adopt(std::move(orders));
  follow(from);
}

void Bridge::follow(state::Revision from) {
  watch_ = store_.watch(std::string(keys::kTaskStatus), from, [this](const state::WatchBatch& batch) {
    if (batch.compacted) return relist();
    for (const state::Change& change : batch.changes) {
      const keys::TaskPath path = keys::task_path(change.key);
      if (!change.value) {
        sink_.forget(path);
      } else if (auto status = decoded<TaskStatus>(change.value); over(*status)) {
        sink_.over(path);
      } else {
        sink_.order(compose(path, std::move(status)));
      }
    }
  });
}

void Bridge::relist() {
  for (const auto& [key, status] : range<TaskStatus>(store_, keys::kTaskStatus))
    if (!over(*status)) sink_.order(compose(keys::task_path(key), status));
  sink_.resync();
}

TaskOrder Bridge::compose(const keys::TaskPath& path, std::shared_ptr<const TaskStatus> status) {
  TaskOrder order;
  order.path = path;
  order.status = std::move(status);
  order.spec = get<TaskSpec>(store_, keys::task(keys::kTaskSpec, path));
  order.observed = get<TaskObserved>(store_, keys::task(keys::kTaskObserved, path));
  if (!order.spec) {
    order.failure = "ResourceInitializationError: the task's record was lost";
    return order;
  }
  order.definition =
      get<TaskDefinition>(store_, keys::task_definition(path.scope, order.spec->family, order.spec->revision));
  if (!order.definition) {
    order.failure = "ResourceInitializationError: the task definition is gone";
    return order;
  }
  find_network(order);
  // Once it is launched, its supervisor knows; a group that was deleted since must not be made again.
  const bool launched = order.observed && order.observed->provisioned;
  if (order.status->order == Order::run && !launched) find_logs(order);
  return order;
}

void Bridge::find_network(TaskOrder& order) const {
  order.interface = get<Interface>(store_, keys::ec2(ec2_kinds::kInterface, order.path.scope, order.spec->eni_id));
  if (!order.interface && order.status->order == Order::run)
    order.failure = "ResourceInitializationError: the task's network interface is gone";
}

void Bridge::find_logs(TaskOrder& order) {
  for (const ContainerDefinition& container : order.definition->containers) {
    if (!container.logs) continue;
    const auto directory = log_directory(order, container.name, *container.logs);
    if (!directory) {
      order.failure = directory.error().context;
      return;
    }
    order.log_directories[container.name] = *directory;
  }
}

Result<std::string> Bridge::log_directory(const TaskOrder& order, const std::string& container, const AwsLogs& logs) {
  const Scope scope{order.path.scope.account, logs.region};
  const std::string group_key = keys::log_group(scope, logs.group);
  auto group = get<LogGroup>(store_, group_key);
  state::Transaction transaction;
  if (!group) {
    if (!logs.create_group)
      return fail(
          fmt::format("ResourceInitializationError: failed to validate logger args: The task cannot find the "
                      "Amazon CloudWatch log group defined in the task definition. There is a connection "
                      "issue between the task and Amazon CloudWatch, or the log group {} does not exist in {}.",
                      logs.group, logs.region));
    LogGroup made;
    made.name = logs.group;
    made.uid = new_hex_id(random_, 16);
    made.created_at_ms = clock_.now_ms();
    put(transaction, group_key, made);
    group = std::make_shared<const LogGroup>(std::move(made));
  }
  const std::string name = stream_name(logs, container, order.path.id);
  const std::string stream_key = keys::log_stream(scope, group->uid, name);
  auto stream = get<LogStream>(store_, stream_key);
  if (!stream) {
    LogStream made{name, new_hex_id(random_, 16), clock_.now_ms(), order.path.str()};
    put(transaction, stream_key, made);
    stream = std::make_shared<const LogStream>(std::move(made));
  }
  if (!transaction.empty() && !store_.apply(std::move(transaction)))
    return fail("ResourceInitializationError: the log stream could not be recorded");
  return fmt::format("{}/{}/{}", logs_directory_, group->uid, stream->uid);
}

void Bridge::report(const keys::TaskPath& path, const TaskObserved& observed) {
  if (!store_.get(keys::task(keys::kTaskSpec, path))) return;
  const std::string key = keys::task(keys::kTaskObserved, path);
  std::string bytes = encode(observed);
  if (const auto before = store_.get(key); before && before->value->bytes() == bytes) return;
  state::Transaction transaction;
  transaction.put(key, std::move(bytes));
  const auto applied = store_.apply(std::move(transaction));
  // It reads nothing, so it cannot conflict; a task's observations are far below a transaction's bounds.
  BERTH_ASSERT(applied.has_value());
}

}  // namespace berth::agent
