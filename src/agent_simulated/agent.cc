#include "agent_simulated/agent.h"

#include <algorithm>
#include <utility>

#include "records/keys.h"
#include "records/network.h"
#include "records/read.h"

namespace berth::agent_simulated {

namespace keys = records::keys;
using records::TaskObserved;

namespace {
std::string key_of(std::string_view kind, const std::string& path) { return std::string(kind) + path; }
}  // namespace

Agent::Agent(state::Store& store, Machine& machine, Random& random, const records::Host& host, Faults faults)
    : store_(store),
      machine_(machine),
      random_(random),
      faults_(faults),
      host_(host.id),
      orders_prefix_(keys::host_orders(host_)),
      stops_prefix_(keys::host_stops(host_)),
      epoch_(host.epoch),
      lease_ms_(host.lease_ms) {
  machine_.set_rare(faults_.rare);
  machine_.plant(faults_.bug);
  if (faults_.bug == PlantedBug::starts_again_after_restart)
    for (const std::string& path : machine_.tasks()) machine_.forget(path);
  read_all();
  follow_keys(orders_prefix_);
  follow_keys(stops_prefix_);
}

Agent::~Agent() {
  for (const state::WatchId watch : watches_) store_.cancel(watch);
}

void Agent::follow_keys(const std::string& prefix) {
  watches_.push_back(
      store_.watch(prefix, store_.durable(), [this](const state::WatchBatch& batch) { changed(batch); }));
}

// At start, and after commits have failed. What is not committed yet comes by the watch when it is.
void Agent::read_all() {
  ordered_.clear();
  for (const std::string& prefix : {orders_prefix_, stops_prefix_})
    for (const state::Entry& entry : store_.range(prefix))
      if (entry.mod_revision <= store_.durable()) take(entry.key, entry.value, entry.mod_revision);
  for (const std::string& path : machine_.tasks()) reports_.insert(path);
  look_at_all();
}

void Agent::look_at_all() {
  for (const auto& [path, ordered] : ordered_) orders_.insert(path);
  for (const std::string& path : machine_.tasks()) orders_.insert(path);
}

void Agent::take(const std::string& key, const state::ValuePtr& value, int64_t revision) {
  const bool is_order = key.starts_with(orders_prefix_);
  const std::string path = key.substr((is_order ? orders_prefix_ : stops_prefix_).size());
  Ordered& ordered = ordered_[path];
  ordered.revision = std::max(ordered.revision, revision);
  if (is_order)
    ordered.order = value ? records::decoded<records::TaskOrder>(value) : nullptr;
  else
    ordered.stop = value != nullptr;
  if (!ordered.order && !ordered.stop) ordered_.erase(path);
}

void Agent::changed(const state::WatchBatch& batch) {
  if (partitioned_) return;
  if (batch.compacted) return read_all();
  for (const state::Change& change : batch.changes) {
    take(change.key, change.value, change.revision);
    if (happens(faults_.drops)) {
      rare(faults_.rare, "agent dropped an order");
      continue;
    }
    orders_.insert(change.key.substr((change.key.starts_with(orders_prefix_) ? orders_prefix_ : stops_prefix_).size()));
  }
}

void Agent::set_partitioned(bool partitioned) {
  if (partitioned_ == partitioned) return;
  partitioned_ = partitioned;
  if (!partitioned) read_all();
}

void Agent::renew_lease(TimeMs now_ms) {
  if (lease_ms_ == 0 || now_ms < renewed_at_ms_ + lease_ms_ / 3) return;
  renewed_at_ms_ = now_ms;
  state::Transaction transaction;
  records::put(transaction, keys::host(keys::kHostLease, host_), records::HostLease{epoch_, now_ms});
  (void)store_.apply(std::move(transaction));  // without reads there is no conflict, and one write is not too large
}

std::optional<TimeMs> Agent::run(TimeMs now_ms) {
  if (partitioned_) {
    machine_.advance(now_ms);
    return machine_.next();
  }
  renew_lease(now_ms);
  if (faults_.look_at_all_ms > 0 && now_ms >= look_at_all_at_ms_) {
    look_at_all();
    look_at_all_at_ms_ = now_ms + faults_.look_at_all_ms;
  }
  for (const std::string& path : std::exchange(orders_, {})) follow(path, now_ms);
  machine_.advance(now_ms);
  std::set<std::string> reports = machine_.take_changed();
  reports.merge(std::exchange(reports_, {}));
  for (auto at = late_.begin(); at != late_.end();) {
    if (at->second <= now_ms)
      reports.insert(at->first), at = late_.erase(at);
    else
      reports.erase(at->first), ++at;  // what is held back takes later news with it
  }
  for (const std::string& path : reports) {
    if (happens(faults_.delays)) {
      rare(faults_.rare, "agent reported late");
      late_[path] = now_ms + 1 + static_cast<int64_t>(random_.below(static_cast<uint64_t>(faults_.delay_max_ms)));
      continue;
    }
    report(path, now_ms);
  }
  std::optional<TimeMs> next = machine_.next();
  const auto sooner = [&](TimeMs at) { next = next ? std::min(*next, at) : at; };
  for (const auto& [path, at] : late_) sooner(at);
  if (faults_.look_at_all_ms > 0) sooner(look_at_all_at_ms_);
  if (lease_ms_ > 0) sooner(renewed_at_ms_ + lease_ms_ / 3);
  return next;
}

void Agent::follow(const std::string& path, TimeMs now_ms) {
  const auto known = ordered_.find(path);
  if (known == ordered_.end()) {
    // After power loss the order may be lost and the task not: control will decide anew, and learn what became of it.
    if (!store_.get(key_of(keys::kTaskSpec, path))) machine_.forget(path);
    return;
  }
  const Ordered& ordered = known->second;
  if (!ordered.order) return machine_.forget(path);
  if (ordered.order->epoch > epoch_) return;  // its host was given up since this agent was registered
  // After power loss what was reported is lost too.
  if (machine_.has(path) && !store_.get(key_of(keys::kTaskObserved, path))) reports_.insert(path);
  const bool bug = faults_.bug == PlantedBug::starts_again_after_restart;
  // It ran on a machine that is no more, or never came to run.
  if (!machine_.has(path) && !bug && (ordered.stop || store_.get(key_of(keys::kTaskObserved, path))))
    return vanished(path, ordered.stop, ordered.revision, now_ms);
  if (ordered.stop) return machine_.order_stop(path, now_ms);
  machine_.order_run(path, ordered.order, now_ms);
}

void Agent::vanished(const std::string& path, bool stop, int64_t revision, TimeMs now_ms) {
  const auto before = records::get<TaskObserved>(store_, key_of(keys::kTaskObserved, path));
  TaskObserved gone = before ? *before : TaskObserved{};
  if (gone.released) return;
  if (!gone.stopped && !stop) gone.failure = "TaskVanishedError: nothing of the task was found when the agent started";
  for (auto& container : gone.containers) container.running = false;
  if (!gone.stopped) gone.stopped_at_ms = now_ms;
  gone.stopped = gone.released = true;
  gone.order_revision = revision;
  write(path, std::move(gone), false);
}

void Agent::report(const std::string& path, TimeMs) {
  const TaskObserved* observed = machine_.observed(path);
  const auto ordered = ordered_.find(path);
  if (!observed || ordered == ordered_.end() || !ordered->second.order) return;
  TaskObserved told = *observed;
  told.order_revision = ordered->second.revision;
  write(path, std::move(told), happens(faults_.duplicates));
}

void Agent::write(const std::string& path, TaskObserved observed, bool twice) {
  observed.epoch = epoch_;
  state::Transaction once;
  records::put_decoded(once, key_of(keys::kTaskObserved, path), std::move(observed));
  const auto known = store_.get(once.writes.front().key);
  if (known && known->value->bytes() == once.writes.front().value->bytes() && !twice) return;
  for (int times = twice ? 2 : 1; times > 0; --times) {
    if (times == 2) rare(faults_.rare, "agent reported twice");
    (void)store_.apply(once);  // without reads there is no conflict, and one write is not too large
  }
}

}  // namespace berth::agent_simulated
