#include "agent/apply/order_source.h"

#include <algorithm>

#include "records/read.h"

namespace berth::agent {

namespace keys = records::keys;
using records::TaskOrder;
using records::TaskStop;

OrderSource::OrderSource(state::Store& store, OrderSink& sink, std::string host)
    : store_(store),
      sink_(sink),
      host_(std::move(host)),
      orders_(keys::host_orders(host_)),
      stops_(keys::host_stops(host_)) {}

OrderSource::~OrderSource() {
  for (const state::WatchId watch : watches_) store_.cancel(watch);
}

void OrderSource::start() {
  const state::Revision from = store_.durable();
  // With what control has written since the daemon began: tasks of an older Berth get their orders then, and what runs of them must
  // not be taken for nobody's.
  sink_.adopt(all(store_.head()));
  // Orders first: a batch's stops are for tasks that are known.
  follow(orders_, from);
  follow(stops_, from);
}

void OrderSource::follow(const std::string& prefix, state::Revision from) {
  watches_.push_back(store_.watch(prefix, from, [this](const state::WatchBatch& batch) {
    if (batch.compacted) {
      for (Assignment& assignment : all(store_.durable())) sink_.order(std::move(assignment));
      return sink_.resync();
    }
    for (const state::Change& change : batch.changes) changed(change);
  }));
}

void OrderSource::changed(const state::Change& change) {
  const keys::TaskPath path = keys::task_path(change.key);
  if (!change.value) return change.key.starts_with(orders_) ? sink_.over(path) : sink_.forget(path);
  // One that is STOPPED meanwhile has none; over() says so.
  if (const auto order = store_.get(keys::task_order(host_, path))) sink_.order(assignment(path, *order, store_.durable()));
}

std::vector<Assignment> OrderSource::all(state::Revision stops_until) const {
  std::vector<Assignment> out;
  for (const state::Entry& order : store_.range(orders_))
    out.push_back(assignment(keys::task_path(order.key), order, stops_until));
  return out;
}

Assignment OrderSource::assignment(const keys::TaskPath& path, const state::Entry& order,
                                   state::Revision stops_until) const {
  Assignment out;
  out.path = path;
  out.order = records::decoded<TaskOrder>(order.value);
  out.revision = order.mod_revision;
  if (const auto stop = store_.get(keys::task_stop(host_, path)); stop && stop->mod_revision <= stops_until) {
    out.stop = records::decoded<TaskStop>(stop->value);
    out.revision = std::max<int64_t>(out.revision, stop->mod_revision);
  }
  out.observed = records::get<records::TaskObserved>(store_, keys::task(keys::kTaskObserved, path));
  return out;
}

}  // namespace berth::agent
