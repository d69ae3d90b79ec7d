#include "control/loop/loop.h"

#include <utility>

#include "base/assert.h"
#include "base/log.h"
#include "control/health/health.h"
#include "records/network.h"
#include "records/read.h"

namespace berth::control {

using records::DesiredStatus;
using records::TaskSpec;
using records::TaskState;
using records::TaskStatus;
namespace keys = records::keys;

namespace {

// A task's or service's path is what its key has after the kind.
std::string path_of(const std::string& key, std::string_view kind) { return key.substr(kind.size()); }
std::string key_of(std::string_view kind, const std::string& path) { return std::string(kind) + path; }

state::Read read_of(std::string key, const std::optional<state::Entry>& entry) {
  return {std::move(key), false, entry ? entry->mod_revision : 0};
}

template <class T>
std::shared_ptr<const T> value_of(const std::optional<state::Entry>& entry) {
  return entry ? records::decoded<T>(entry->value) : nullptr;
}

}  // namespace

Loop::Loop(state::Store& store, records::TaskIndex& index, Random& random, Settings settings)
    : store_(store),
      index_(index),
      random_(random),
      settings_(settings),
      retention_(store, index, settings_.retention) {
  begin_again();
  for (std::string_view prefix : {keys::kTaskSpec, keys::kTaskIntent, keys::kTaskObserved, keys::kServiceSpec})
    watch(prefix);
}

// The decision that a task stops is on the disk before the agent hears of it and gives back the task's
// directory. Were it derived, power loss could take it after the directory is gone, and a task that had ended
// would run again: neither the store nor the machine would know of its end. Found by the simulator. All other
// plans are derived.
state::Durability Loop::stop_durability() const {
  return settings_.bug == PlantedBug::stops_are_derived ? state::Durability::derived : state::Durability::acknowledged;
}

Loop::~Loop() {
  for (state::WatchId id : watches_) store_.cancel(id);
}

void Loop::watch(std::string_view prefix) {
  watches_.push_back(store_.watch(std::string(prefix), store_.head(), [this](const state::WatchBatch& batch) {
    if (batch.compacted && settings_.bug == PlantedBug::ignores_failed_commits) return;
    if (batch.compacted) return begin_again();
    for (const state::Change& change : batch.changes) changed(change);
  }));
}

// At start, and after commits have failed: nothing that was kept here holds any more.
void Loop::begin_again() {
  if (!watches_.empty()) note("loop began again");
  dirty_tasks_.clear();
  dirty_services_.clear();
  waiting_for_room_.clear();
  room_to_give_ = false;
  wake_.clear();
  timers_ = {};
  reserved_mib_ = index_.reserved().memory_mib;
  for (const state::Entry& entry : store_.range(keys::kTaskSpec)) dirty_task(path_of(entry.key, keys::kTaskSpec));
  for (const state::Entry& entry : store_.range(keys::kServiceSpec))
    dirty_service(path_of(entry.key, keys::kServiceSpec), true);
}

void Loop::changed(const state::Change& change) {
  if (change.key.starts_with(keys::kServiceSpec)) return dirty_service(path_of(change.key, keys::kServiceSpec));
  for (std::string_view kind : {keys::kTaskSpec, keys::kTaskIntent, keys::kTaskObserved})
    if (change.key.starts_with(kind)) {
      std::string path = path_of(change.key, kind);
      // A spec is written once: one that has a status has been decided already, with the service that made
      // it.
      if (kind == keys::kTaskSpec && (!change.value || store_.get(key_of(keys::kTaskStatus, path)))) return;
      return dirty_task(path);
    }
}

void Loop::dirty_service(const std::string& path, bool all_tasks) {
  Service& service = dirty_services_[path];
  service.all_tasks |= all_tasks;
}

void Loop::wake_at(const std::string& key, TimeMs at_ms) {
  if (at_ms == 0 || settings_.bug == PlantedBug::forgets_timers) {
    wake_.erase(key);
    return;
  }
  TimeMs& at = wake_[key];
  if (at == at_ms) return;
  at = at_ms;
  timers_.push({at_ms, key});
}

void Loop::take_due(TimeMs now_ms) {
  while (!timers_.empty()) {
    const Timer& next = timers_.top();
    const auto wanted = wake_.find(next.key);
    const bool stale = wanted == wake_.end() || wanted->second != next.at_ms;
    if (!stale && next.at_ms > now_ms) return;
    if (!stale) {
      wake_.erase(wanted);
      if (next.key.starts_with(keys::kServiceSpec))
        dirty_service(path_of(next.key, keys::kServiceSpec));
      else
        dirty_task(path_of(next.key, keys::kTaskSpec));
    }
    timers_.pop();
  }
}

std::optional<TimeMs> Loop::run(TimeMs now_ms) {
  take_due(now_ms);
  size_t budget = settings_.decisions_max;
  // Services make tasks and tasks wake services: both until nothing is left or the budget is spent.
  while (budget > 0) {
    while (budget > 0 && !dirty_tasks_.empty()) {
      --budget;
      decide_task(std::string(dirty_tasks_.extract(dirty_tasks_.begin()).value()), now_ms);
    }
    if (!dirty_tasks_.empty()) break;
    wake_those_who_wait_for_room();
    if (dirty_services_.empty()) break;
    // Those that are dirty now, once each: what they make dirty has its turn in the next round.
    auto services = std::exchange(dirty_services_, {});
    if (services_held_) services.clear();
    for (auto& [path, work] : services) {
      if (budget == 0) {
        Service& later = dirty_services_[path];
        later.all_tasks |= work.all_tasks;
        later.ended.merge(work.ended);
        continue;
      }
      --budget;
      decide_service(path, std::move(work), now_ms);
    }
  }
  if (!dirty_tasks_.empty() || !dirty_services_.empty() || room_to_give_) {
    note("run ended on its budget");
    return now_ms;
  }
  take_due(0);  // drops stale timers from the top
  const auto retention_at = retention_.run(now_ms);
  if (timers_.empty()) return retention_at;
  return retention_at ? std::min(timers_.top().at_ms, *retention_at) : timers_.top().at_ms;
}

// Memory was given back: as many as it is enough for are decided, in the order of their names, and the next when these
// have taken what they want. Each is asked once: a decision takes all that fits.
void Loop::wake_those_who_wait_for_room() {
  const int64_t reserved = index_.reserved().memory_mib;
  if (reserved < reserved_mib_) ++times_given_back_, room_to_give_ = true;
  reserved_mib_ = reserved;
  if (!room_to_give_) return;
  room_to_give_ = false;
  int64_t left = settings_.memory_mib - reserved;
  for (auto& [path, waiting] : waiting_for_room_) {
    if (waiting.needed_mib > left || waiting.asked == times_given_back_) continue;
    waiting.asked = times_given_back_;
    left -= waiting.needed_mib;
    dirty_service(path);
    room_to_give_ = true;
  }
}

std::shared_ptr<const records::TaskDefinition> Loop::definition(const records::Scope& scope, const std::string& family,
                                                                int64_t revision) const {
  return records::get<records::TaskDefinition>(store_, keys::task_definition(scope, family, revision));
}

std::vector<placement::SubnetUse> Loop::subnets_of(const keys::TaskPath& path, const TaskSpec& spec) const {
  const keys::ServicePath service{path.scope, path.cluster, spec.service};
  std::vector<placement::SubnetUse> subnets;
  for (const std::string& id : spec.network.subnets)
    if (const auto subnet = records::get<records::Subnet>(store_, keys::ec2("subnet", path.scope, id)))
      subnets.push_back({id, subnet->availability_zone, index_.in_subnet(id),
                         spec.service.empty() ? 0 : index_.in_subnet(id, service)});
  return subnets;
}

void Loop::decide_task(const std::string& path_text, TimeMs now_ms) {
  ++decisions_;
  const std::string spec_key = key_of(keys::kTaskSpec, path_text);
  const auto spec_entry = store_.get(spec_key);
  if (!spec_entry) return wake_at(spec_key, 0);
  const keys::TaskPath path = keys::task_path(spec_key);
  const auto intent_entry = store_.get(key_of(keys::kTaskIntent, path_text));
  const auto status_entry = store_.get(key_of(keys::kTaskStatus, path_text));
  const auto observed_entry = store_.get(key_of(keys::kTaskObserved, path_text));
  const auto spec = value_of<TaskSpec>(spec_entry);
  const auto intent = value_of<records::TaskIntent>(intent_entry);
  const auto status = value_of<TaskStatus>(status_entry);
  const auto observed = value_of<records::TaskObserved>(observed_entry);
  const auto task_definition = definition(path.scope, spec->family, spec->revision);

  lifecycle::TaskSnapshot snapshot{path, *spec, intent.get(), status.get(), observed.get(), task_definition.get(), {}};
  if (!status) snapshot.subnets = subnets_of(path, *spec);
  const lifecycle::TaskPlan plan = lifecycle::decide(snapshot, now_ms, random_, settings_.lifecycle);
  wake_at(spec_key, plan.wake_at_ms);
  if (!plan.status && !plan.erase) return;

  state::Transaction transaction;
  transaction.reads = {read_of(spec_key, spec_entry), read_of(key_of(keys::kTaskIntent, path_text), intent_entry),
                       read_of(key_of(keys::kTaskStatus, path_text), status_entry),
                       read_of(key_of(keys::kTaskObserved, path_text), observed_entry)};
  if (plan.erase) {
    for (std::string_view kind :
         {keys::kTaskSpec, keys::kTaskTags, keys::kTaskIntent, keys::kTaskStatus, keys::kTaskObserved})
      transaction.erase(key_of(kind, path_text));
  } else {
    records::put_decoded(transaction, key_of(keys::kTaskStatus, path_text), *plan.status);
    if (settings_.bug == PlantedBug::writes_what_the_agent_saw && observed && observed->stopped) {
      records::TaskObserved released = *observed;
      released.released = true;
      records::put_decoded(transaction, key_of(keys::kTaskObserved, path_text), released);
    }
  }
  const bool stops = plan.status && plan.status->desired == DesiredStatus::stopped &&
                     !(status && status->desired == DesiredStatus::stopped);
  if (stops) transaction.durability = stop_durability();
  if (const auto applied = store_.apply(std::move(transaction)); !applied) {
    BERTH_ASSERT(applied.error().kind == state::Refusal::Kind::conflict);
    note("task plan met a conflict");
    return dirty_task(path_text);
  }
  if (plan.erase) return wake_at(spec_key, 0);
  task_decided(path, spec->service, status.get(), &*plan.status);
}

// A service cares whether a task runs, how it is and that it ends; not how far it has come on its way, which address it got
// or which of its containers run: a service of many tasks would be decided several times for each.
void Loop::task_decided(const keys::TaskPath& path, const std::string& service, const TaskStatus* before,
                        const TaskStatus* after) {
  if (service.empty()) return;
  const auto is = [](const TaskStatus& status, TaskState state) { return status.state == state; };
  const bool matters = !before || is(*before, TaskState::running) != is(*after, TaskState::running) ||
                       is(*before, TaskState::stopped) != is(*after, TaskState::stopped) ||
                       before->health != after->health || before->desired != after->desired;
  if (!matters) return;
  const std::string service_path =
      fmt::format("{}/{}/{}/{}", path.scope.account, path.scope.region, path.cluster, service);
  dirty_service(service_path);
  if (after->desired == DesiredStatus::stopped && !after->failure_counted)
    dirty_services_[service_path].ended.insert(path.id);
}

std::vector<deployment::ServiceTask> Loop::tasks_of(const keys::ServicePath& path, const Service& work) const {
  const records::TasksById& known = work.all_tasks ? index_.of_service(path) : index_.live_of_service(path);
  std::vector<deployment::ServiceTask> tasks;
  tasks.reserve(known.size() + work.ended.size());
  std::map<std::pair<std::string, int64_t>, bool> definitions;  // a service has few, and mostly one
  const records::TaskSummary* like = nullptr;
  bool has_check = false;
  const auto add = [&](const records::TaskSummary* task) {
    if (!like || like->revision != task->revision || like->family != task->family) {
      like = task;
      const auto [found, is_new] = definitions.try_emplace({task->family, task->revision}, false);
      if (is_new)
        if (const auto of_task = definition(path.scope, task->family, task->revision))
          found->second = health::has_check(*of_task);
      has_check = found->second;
    }
    tasks.push_back({task, has_check});
  };
  for (const auto& [id, task] : known) add(task);
  for (const std::string& id : work.ended)
    if (const records::TaskSummary* task = index_.find({path.scope, path.cluster, id}))
      if (!known.contains(id)) add(task);
  return tasks;
}

void Loop::decide_service(const std::string& path_text, Service work, TimeMs now_ms) {
  ++decisions_;
  const std::string spec_key = key_of(keys::kServiceSpec, path_text);
  const auto spec_entry = store_.get(spec_key);
  if (!spec_entry) return wake_at(spec_key, 0);
  const keys::ServicePath path = keys::service_path(spec_key);
  const auto status_entry = store_.get(key_of(keys::kServiceStatus, path_text));
  const auto spec = value_of<records::ServiceSpec>(spec_entry);
  const auto status = value_of<records::ServiceStatus>(status_entry);
  if (status && status->status == "INACTIVE" && status->incarnation == spec->incarnation)
    return erase_inactive(path_text, *spec_entry, status_entry, now_ms);
  const records::Revision& revision = deployment::primary_revision(*spec, status.get());
  const auto task_definition = definition(path.scope, revision.family, revision.revision);
  const auto cluster = records::get<records::Cluster>(store_, keys::cluster(path.scope, path.cluster));

  deployment::ServiceSnapshot snapshot{path, *spec, status.get(), tasks_of(path, work), task_definition.get(),
                                       {},   {},    false};
  snapshot.room = {settings_.memory_mib, index_.reserved().memory_mib};
  for (const std::string& id : revision.network.subnets)
    if (const auto subnet = records::get<records::Subnet>(store_, keys::ec2("subnet", path.scope, id)))
      snapshot.zones.emplace(id, subnet->availability_zone);
  snapshot.cluster_active = cluster && cluster->status == "ACTIVE";
  deployment::Settings settings = settings_.deployment;
  deployment::ServicePlan plan = deployment::decide(snapshot, now_ms, random_, settings);
  Applied applied = apply_service_plan(path_text, plan, status_entry, *spec_entry, now_ms);
  // Tasks may carry much (fifty tags of characters beyond ASCII are 77 KB): a smaller plan then.
  while (applied == Applied::too_large && settings.writes_max > 1) {
    settings.writes_max /= 2;
    plan = deployment::decide(snapshot, now_ms, random_, settings);
    applied = apply_service_plan(path_text, plan, status_entry, *spec_entry, now_ms);
  }
  wake_at(spec_key, plan.wake_at_ms);
  if (plan.waits_for_room_mib > 0)
    waiting_for_room_[path_text].needed_mib = plan.waits_for_room_mib;
  else
    waiting_for_room_.erase(path_text);
  if (applied == Applied::too_large)
    return log_error("control: {} cannot be decided: its status is larger than a transaction may be", spec_key);
  if (applied == Applied::conflict) {
    note("service plan met a conflict");
    return dirty_service(path_text, true);
  }
  if (plan.status.status == "INACTIVE")
    wake_at(spec_key, plan.status.inactive_at_ms + settings_.retention.inactive_kept_ms);
  if (!plan.again) return;
  note("service plan was bounded");
  Service& more = dirty_services_[path_text];
  more.all_tasks |= work.all_tasks;
  more.ended.merge(work.ended);
}

// A deleted service can be described for a while; its name is free meanwhile, too.
void Loop::erase_inactive(const std::string& path_text, const state::Entry& spec,
                          const std::optional<state::Entry>& status, TimeMs now_ms) {
  const TimeMs until = value_of<records::ServiceStatus>(status)->inactive_at_ms + settings_.retention.inactive_kept_ms;
  if (now_ms < until) return wake_at(spec.key, until);
  if (settings_.bug == PlantedBug::never_erases_services) return;
  const keys::ServicePath path = keys::service_path(spec.key);
  state::Transaction transaction;
  transaction.reads = {{spec.key, false, spec.mod_revision}, read_of(status->key, status)};
  transaction.erase(spec.key);
  transaction.erase(status->key);
  transaction.erase(keys::token(path.scope, "CreateService", path.cluster + "/" + path.name));
  if (!store_.apply(std::move(transaction))) dirty_service(path_text);
}

// Status, new tasks, stops and counted failures in one transaction; but for `yes` nothing was written.
Loop::Applied Loop::apply_service_plan(const std::string& path_text, const deployment::ServicePlan& plan,
                                       const std::optional<state::Entry>& status, const state::Entry& spec,
                                       TimeMs now_ms) {
  const keys::ServicePath path = keys::service_path(spec.key);
  const std::string status_key = key_of(keys::kServiceStatus, path_text);
  state::Transaction transaction;
  transaction.reads = {{spec.key, false, spec.mod_revision}, read_of(status_key, status)};

  std::map<std::string, TaskStatus> statuses;  // by status key: a task may be both stopped and counted
  const auto status_of_task = [&](const keys::TaskPath& task) -> TaskStatus& {
    std::string key = keys::task(keys::kTaskStatus, task);
    const auto found = statuses.find(key);
    if (found != statuses.end()) return found->second;
    const auto entry = store_.get(key);
    transaction.reads.push_back(read_of(key, entry));
    TaskStatus before;
    if (entry) before = *value_of<TaskStatus>(entry);
    return statuses.emplace(std::move(key), std::move(before)).first->second;
  };
  for (const deployment::TaskStop& stop : plan.stops) {
    TaskStatus& task = status_of_task(stop.path);
    task = lifecycle::stopping(task, stop.code, stop.reason, now_ms);
    ++task.version;
  }
  for (const keys::TaskPath& counted : plan.counted) status_of_task(counted).failure_counted = true;
  for (const auto& [key, task] : statuses) records::put_decoded(transaction, key, task);

  std::vector<std::string> made;
  for (const deployment::TaskStart& start : plan.starts) {
    const keys::TaskPath task{path.scope, path.cluster, start.id};
    made.push_back(task.str());
    records::put_decoded(transaction, keys::task(keys::kTaskSpec, task), start.spec);
  }
  if (!status || *value_of<records::ServiceStatus>(status) != plan.status)
    records::put_decoded(transaction, status_key, plan.status);
  if (transaction.empty()) return Applied::yes;
  if (!plan.stops.empty()) transaction.durability = stop_durability();
  if (const auto applied = store_.apply(std::move(transaction)); !applied)
    return applied.error().kind == state::Refusal::Kind::conflict ? Applied::conflict : Applied::too_large;
  for (const std::string& task : made) dirty_task(task);
  for (const deployment::TaskStop& stop : plan.stops) dirty_task(stop.path.str());
  return Applied::yes;
}

}  // namespace berth::control
