#include "agent_simulated/agent.h"

#include <algorithm>
#include <utility>

#include "records/keys.h"
#include "records/network.h"
#include "records/read.h"

namespace berth::agent_simulated {

namespace keys = records::keys;
using records::Order;
using records::TaskObserved;
using records::TaskState;

namespace {
std::string key_of(std::string_view kind, const std::string& path) { return std::string(kind) + path; }
}  // namespace

Agent::Agent(state::Store& store, Machine& machine, Random& random, Faults faults)
    : store_(store), machine_(machine), random_(random), faults_(faults) {
  machine_.set_rare(faults_.rare);
  machine_.plant(faults_.bug);
  if (faults_.bug == PlantedBug::starts_again_after_restart)
    for (const std::string& path : machine_.tasks()) machine_.forget(path);
  read_all();
  watch_ = store_.watch(std::string(keys::kTaskStatus), store_.durable(),
                        [this](const state::WatchBatch& batch) { on_status(batch); });
}

Agent::~Agent() { store_.cancel(watch_); }

// At start, and after commits have failed. What is not committed yet comes by the watch when it is.
void Agent::read_all() {
  statuses_.clear();
  for (const state::Entry& entry : store_.range(keys::kTaskStatus))
    if (entry.mod_revision <= store_.durable())
      statuses_[entry.key.substr(keys::kTaskStatus.size())] = records::decoded<records::TaskStatus>(entry.value);
  for (const std::string& path : machine_.tasks()) reports_.insert(path);
  look_at_all();
}

void Agent::look_at_all() {
  for (const auto& [path, status] : statuses_) orders_.insert(path);
  for (const std::string& path : machine_.tasks()) orders_.insert(path);
}

void Agent::on_status(const state::WatchBatch& batch) {
  if (batch.compacted) return read_all();
  for (const state::Change& change : batch.changes) {
    const std::string path = change.key.substr(keys::kTaskStatus.size());
    if (change.value)
      statuses_[path] = records::decoded<records::TaskStatus>(change.value);
    else
      statuses_.erase(path);
    if (happens(faults_.drops)) {
      rare(faults_.rare, "agent dropped an order");
      continue;
    }
    orders_.insert(path);
  }
}

std::optional<TimeMs> Agent::run(TimeMs now_ms) {
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
  return next;
}

void Agent::follow(const std::string& path, TimeMs now_ms) {
  const auto known = statuses_.find(path);
  if (known == statuses_.end()) {
    // After power loss the status may be lost and the spec not: control will decide anew, and learn what
    // became of it.
    if (!store_.get(key_of(keys::kTaskSpec, path))) machine_.forget(path);
    return;
  }
  if (known->second->state == TaskState::stopped) return machine_.forget(path);
  const records::TaskStatus* status = known->second.get();
  if (status->order == Order::none) return;
  // After power loss what was reported is lost too.
  if (machine_.has(path) && !store_.get(key_of(keys::kTaskObserved, path))) reports_.insert(path);
  if (!machine_.has(path) && faults_.bug != PlantedBug::starts_again_after_restart) {
    const auto before = records::get<TaskObserved>(store_, key_of(keys::kTaskObserved, path));
    if (before || status->order == Order::stop) {  // it ran on a machine that is no more, or never came to run
      TaskObserved gone = before ? *before : TaskObserved{};
      if (gone.released) return;
      if (!gone.stopped && status->order == Order::run)
        gone.failure = "TaskVanishedError: nothing of the task was found when the agent started";
      for (auto& container : gone.containers) container.running = false;
      if (!gone.stopped) gone.stopped_at_ms = now_ms;
      gone.stopped = gone.released = true;
      state::Transaction transaction;
      records::put(transaction, key_of(keys::kTaskObserved, path), gone);
      (void)store_.apply(std::move(transaction));  // without reads there is no conflict, and one write is not too large
      return;
    }
  }
  if (status->order == Order::stop) return machine_.order_stop(path, now_ms);
  const auto spec = records::get<records::TaskSpec>(store_, key_of(keys::kTaskSpec, path));
  if (!spec) return;
  const keys::TaskPath task = keys::task_path(key_of(keys::kTaskSpec, path));
  const auto definition =
      records::get<records::TaskDefinition>(store_, keys::task_definition(task.scope, spec->family, spec->revision));
  if (!definition) return;
  machine_.order_run(path, *spec, *definition, now_ms);
  const auto interface = records::get<records::Interface>(
      store_, keys::ec2(records::ec2_kinds::kInterface, task.scope, spec->eni_id));
  if (interface) machine_.attach(path, interface->address, interface->mac);
}

void Agent::report(const std::string& path, TimeMs) {
  const TaskObserved* observed = machine_.observed(path);
  if (!observed || !store_.get(key_of(keys::kTaskStatus, path))) return;
  state::Transaction once;
  records::put_decoded(once, key_of(keys::kTaskObserved, path), *observed);
  const auto known = store_.get(once.writes.front().key);
  const bool twice = happens(faults_.duplicates);
  if (known && known->value->bytes() == once.writes.front().value->bytes() && !twice) return;
  for (int times = twice ? 2 : 1; times > 0; --times) {
    if (times == 2) rare(faults_.rare, "agent reported twice");
    (void)store_.apply(once);  // without reads there is no conflict, and one write is not too large
  }
}

}  // namespace berth::agent_simulated
