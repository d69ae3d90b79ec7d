#include "control/loop/order_writer.h"

#include <fmt/format.h>

#include "base/assert.h"
#include "control/loop/entries.h"
#include "control/orders/orders.h"
#include "records/logs.h"
#include "records/network.h"

namespace berth::control {

namespace keys = records::keys;
using records::LogGroup;
using records::LogStream;
using records::Order;
using records::TaskStatus;

// What is there, or what this transaction is about to make: containers of a task share a log group.
template <class T>
std::shared_ptr<const T> there(const state::Store& store, const state::Transaction& transaction,
                               const std::string& key) {
  for (const state::Write& write : transaction.writes)
    if (write.key == key && write.value) return records::decoded<T>(write.value);
  return records::get<T>(store, key);
}

Result<records::OrderLog> OrderWriter::log_of(state::Transaction& transaction, const keys::TaskPath& path,
                                              const std::string& container, const records::AwsLogs& logs, bool make,
                                              TimeMs now_ms) const {
  const records::Scope scope{path.scope.account, logs.region};
  const std::string group_key = keys::log_group(scope, logs.group);
  auto group = there<LogGroup>(store_, transaction, group_key);
  if (!group) {
    if (!logs.create_group || !make)
      return fail(
          fmt::format("ResourceInitializationError: failed to validate logger args: The task cannot find the "
                      "Amazon CloudWatch log group defined in the task definition. There is a connection "
                      "issue between the task and Amazon CloudWatch, or the log group {} does not exist in {}.",
                      logs.group, logs.region));
    LogGroup made;
    made.name = logs.group;
    made.uid = new_hex_id(random_, 16);
    made.created_at_ms = now_ms;
    group = std::make_shared<const LogGroup>(made);
    transaction.reads.push_back({group_key, false, 0});
    records::put_decoded(transaction, group_key, std::move(made));
  }
  const std::string name = records::stream_name(logs, container, path.id);
  const std::string stream_key = keys::log_stream(scope, group->uid, name);
  if (const auto stream = there<LogStream>(store_, transaction, stream_key))
    return records::OrderLog{container, group->uid, stream->uid};
  if (!make) return fail("its log stream is gone");
  LogStream made{name, new_hex_id(random_, 16), now_ms, path.str()};
  records::OrderLog log{container, group->uid, made.uid};
  transaction.reads.push_back({stream_key, false, 0});
  records::put_decoded(transaction, stream_key, std::move(made));
  return log;
}

Result<void> OrderWriter::add_logs(state::Transaction& transaction, const keys::TaskPath& path,
                                   records::TaskOrder& order, bool make, TimeMs now_ms) const {
  for (const records::ContainerDefinition& container : order.containers) {
    if (!container.logs) continue;
    auto log = log_of(transaction, path, container.name, *container.logs, make, now_ms);
    if (log)
      order.logs.push_back(std::move(*log));
    else if (make)
      return tl::unexpected(log.error());
  }
  return {};
}

Result<records::TaskOrder> OrderWriter::order(const state::Transaction& transaction, const keys::TaskPath& path,
                                              const records::TaskSpec& spec,
                                              const records::TaskDefinition& definition,
                                              const TaskStatus& status) const {
  const auto subnet = records::get<records::Subnet>(store_, keys::ec2("subnet", path.scope, status.subnet_id));
  const auto vpc = subnet ? records::get<records::Vpc>(store_, keys::ec2("vpc", path.scope, subnet->vpc_id)) : nullptr;
  if (definition.network_mode == "awsvpc" && (!subnet || (!vpc && !subnet->vpc_id.empty())))
    return fail(fmt::format("ResourceInitializationError: subnet '{}' does not exist", status.subnet_id));
  const auto interface = there<records::Interface>(
      store_, transaction, keys::ec2(records::ec2_kinds::kInterface, path.scope, spec.eni_id));
  return orders::order_of(spec, definition, status, {subnet.get(), vpc.get(), interface.get()});
}

Result<void> OrderWriter::add_run(state::Transaction& transaction, const keys::TaskPath& path,
                                  const records::TaskSpec& spec, const records::TaskDefinition& definition,
                                  const TaskStatus& status, TimeMs now_ms) const {
  auto made = order(transaction, path, spec, definition, status);
  if (!made) return tl::unexpected(made.error());
  if (auto logs = add_logs(transaction, path, *made, true, now_ms); !logs) return logs;
  records::put_decoded(transaction, keys::task_order(status.host, path), std::move(*made));
  return {};
}

void OrderWriter::add_stop(state::Transaction& transaction, const keys::TaskPath& path, const TaskStatus& status) {
  records::put_decoded(transaction, keys::task_stop(status.host, path),
                       records::TaskStop{status.host_epoch, status.stopped_reason});
}

void OrderWriter::add_over(state::Transaction& transaction, const keys::TaskPath& path, const TaskStatus& status) {
  transaction.erase(keys::task_order(status.host, path));
}

void OrderWriter::add_forget(state::Transaction& transaction, const keys::TaskPath& path, const TaskStatus& status) {
  transaction.erase(keys::task_stop(status.host, path));
}

size_t OrderWriter::take_over(state::Store& store, const records::Host& host, TimeMs now_ms) const {
  size_t taken = 0;
  for (const auto& [key, before] : records::range<TaskStatus>(store, keys::kTaskStatus)) {
    if (!before->host.empty() || before->order == Order::none) continue;
    const keys::TaskPath path = keys::task_path(key);
    const auto spec = records::get<records::TaskSpec>(store, keys::task(keys::kTaskSpec, path));
    const auto definition = spec ? definition_of(store, path.scope, spec->family, spec->revision) : nullptr;
    TaskStatus status = *before;
    status.host = host.id;
    status.host_epoch = host.epoch;
    state::Transaction transaction;
    if (status.state != records::TaskState::stopped && definition) {
      const auto observed = records::get<records::TaskObserved>(store, keys::task(keys::kTaskObserved, path));
      auto made = order(transaction, path, *spec, *definition, status);
      // Its subnet is gone: the agent says so if the task has none of its network yet.
      if (!made) made = orders::order_of(*spec, *definition, status, {});
      // One that was launched has its logs; a group that was deleted since is not made again.
      (void)add_logs(transaction, path, *made, !(observed && observed->provisioned), now_ms);
      records::put_decoded(transaction, keys::task_order(host.id, path), std::move(*made));
    }
    if (status.order == Order::stop) add_stop(transaction, path, status);
    records::put_decoded(transaction, key, std::move(status));
    BERTH_ASSERT(store.apply(std::move(transaction)).has_value());  // it reads nothing, and one task is not too large
    ++taken;
  }
  return taken;
}

}  // namespace berth::control
