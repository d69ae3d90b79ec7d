#include "control/loop/service_controller.h"

#include "base/log.h"
#include "control/health/health.h"
#include "control/loop/entries.h"
#include "records/cluster.h"
#include "records/network.h"
#include "records/service_events.h"

namespace berth::control {

namespace keys = records::keys;
using records::DesiredStatus;
using records::TaskState;
using records::TaskStatus;

std::vector<std::string_view> ServiceController::prefixes() const { return {keys::kServiceSpec}; }

void ServiceController::begin_again() {
  work_.clear();
  waiting_for_room_.clear();
  room_to_give_ = false;
  left_mib_ = INT64_MIN;
  for (const state::Entry& entry : store_.range(keys::kServiceSpec))
    look_again(path_of(entry.key, keys::kServiceSpec), true);
}

void ServiceController::changed(const state::Change& change) { look_again(path_of(change.key, keys::kServiceSpec)); }

void ServiceController::look_again(const std::string& path, bool all_tasks) {
  if (all_tasks) work_[path].all_tasks = true;
  if (!held_) agenda().now(path);
}

void ServiceController::hold(bool held) {
  held_ = held;
  if (!held)
    for (const state::Entry& entry : store_.range(keys::kServiceSpec))
      look_again(path_of(entry.key, keys::kServiceSpec), true);
}

// Memory was given back, or a host with memory came: as many as it is enough for are decided, in the order of their names, and the next when these
// have taken what they want. Each is asked once: a decision takes all that fits.
void ServiceController::look() {
  const placement::Room room = hosts_.room();
  int64_t left = room.memory_mib - room.reserved_memory_mib;
  if (left > left_mib_) ++times_given_back_, room_to_give_ = true;
  left_mib_ = left;
  if (!room_to_give_) return;
  room_to_give_ = false;
  for (auto& [path, waiting] : waiting_for_room_) {
    if (waiting.needed_mib > left || waiting.asked == times_given_back_) continue;
    waiting.asked = times_given_back_;
    left -= waiting.needed_mib;
    look_again(path);
    room_to_give_ = true;
  }
}

// A service cares whether a task runs, how it is and that it ends; not how far it has come on its way, which address it got
// or which of its containers run: a service of many tasks would be decided several times for each.
void ServiceController::task_decided(const keys::TaskPath& path, const std::string& service, const TaskStatus* before,
                                     const TaskStatus& after) {
  const auto is = [](const TaskStatus& status, TaskState state) { return status.state == state; };
  const bool matters = !before || is(*before, TaskState::running) != is(after, TaskState::running) ||
                       is(*before, TaskState::stopped) != is(after, TaskState::stopped) ||
                       before->health != after.health || before->desired != after.desired;
  if (!matters) return;
  const std::string service_path =
      fmt::format("{}/{}/{}/{}", path.scope.account, path.scope.region, path.cluster, service);
  look_again(service_path);
  if (after.desired == DesiredStatus::stopped && !after.failure_counted) work_[service_path].ended.insert(path.id);
}

std::vector<deployment::ServiceTask> ServiceController::tasks_of(const keys::ServicePath& path,
                                                                 const Work& work) const {
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
        if (const auto of_task = definition_of(store_, path.scope, task->family, task->revision))
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

void ServiceController::decide(const std::string& path_text, TimeMs now_ms) {
  if (held_) return;
  Work work;
  if (auto taken = work_.extract(path_text)) work = std::move(taken.mapped());
  const std::string spec_key = key_of(keys::kServiceSpec, path_text);
  const auto spec_entry = store_.get(spec_key);
  if (!spec_entry) return agenda().at(path_text, 0);
  const keys::ServicePath path = keys::service_path(spec_key);
  const auto status_entry = store_.get(key_of(keys::kServiceStatus, path_text));
  const auto spec = value_of<records::ServiceSpec>(spec_entry);
  const auto status = value_of<records::ServiceStatus>(status_entry);
  if (status && status->status == "INACTIVE" && status->incarnation == spec->incarnation)
    return erase_inactive(path_text, *spec_entry, status_entry, now_ms);
  if (!keep_own_events(path, *spec, status_entry)) return look_again(path_text);
  const records::Revision& revision = deployment::primary_revision(*spec, status.get());
  const auto task_definition = definition_of(store_, path.scope, revision.family, revision.revision);
  const auto cluster = records::get<records::Cluster>(store_, keys::cluster(path.scope, path.cluster));

  deployment::ServiceSnapshot snapshot{path, *spec, status.get(), tasks_of(path, work), task_definition.get(),
                                       {},   {},    false};
  snapshot.room = hosts_.room();
  for (const std::string& id : revision.network.subnets)
    if (const auto subnet = records::get<records::Subnet>(store_, keys::ec2("subnet", path.scope, id)))
      snapshot.zones.emplace(id, subnet->availability_zone);
  snapshot.events = records::service_events(store_, path);
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
  agenda().at(path_text, plan.wake_at_ms);
  if (plan.waits_for_room_mib > 0)
    waiting_for_room_[path_text].needed_mib = plan.waits_for_room_mib;
  else
    waiting_for_room_.erase(path_text);
  if (applied == Applied::too_large)
    return log_error("control: {} cannot be decided: its status is larger than a transaction may be", spec_key);
  if (applied == Applied::conflict) {
    note("service plan met a conflict");
    return look_again(path_text, true);
  }
  if (plan.status.status == "INACTIVE")
    agenda().at(path_text, plan.status.inactive_at_ms + settings_.retention.inactive_kept_ms);
  if (!plan.again) return;
  note("service plan was bounded");
  Work& more = work_[path_text];
  more.all_tasks |= work.all_tasks;
  more.ended.merge(work.ended);
  agenda().now(path_text);
}

// Events that are a predecessor's of the same name, or that an older Berth kept in the status, are put right first, in a
// transaction of their own: a hundred of them would take most of a plan's room. False where that met a conflict.
bool ServiceController::keep_own_events(const keys::ServicePath& path, const records::ServiceSpec& spec,
                                        const std::optional<state::Entry>& status_entry) {
  const auto status = value_of<records::ServiceStatus>(status_entry);
  state::Transaction transaction;
  if (!status || status->incarnation != spec.incarnation) {
    for (const state::Entry& event : store_.range(keys::service(keys::kServiceEvent, path) + "/"))
      transaction.erase(event.key);
  } else if (status->events_told == 0) {
    const auto events = records::events_in_status(*status_entry->value);
    if (events.empty()) return true;
    transaction.reads = {read_of(status_entry->key, status_entry)};
    records::ServiceStatus after = *status;
    for (auto event = events.rbegin(); event != events.rend(); ++event)
      records::put(transaction, keys::service_event(path, ++after.events_told), *event);
    records::put_decoded(transaction, status_entry->key, std::move(after));
    store_.apply(std::move(transaction));
    return false;  // its status has changed: it is decided anew
  }
  return store_.apply(std::move(transaction)).has_value();
}

// What the plan has told stands before what was there: each gets the next number, and the oldest go. Before the status, so that
// whoever sees the status sees its events.
void ServiceController::put_events(state::Transaction& transaction, const keys::ServicePath& path,
                                   const std::vector<records::ServiceEvent>& events,
                                   records::ServiceStatus& status) const {
  const auto newest = store_.get(keys::service_event(path, status.events_told));
  const std::string known = newest ? value_of<records::ServiceEvent>(newest)->id : std::string();
  size_t told = 0;
  while (told < events.size() && events[told].id != known) ++told;
  for (size_t i = told; i-- > 0;) {
    records::put(transaction, keys::service_event(path, ++status.events_told), events[i]);
    if (status.events_told > records::kServiceEventsMax)
      transaction.erase(keys::service_event(path, status.events_told - records::kServiceEventsMax));
  }
}

// A deleted service can be described for a while; its name is free meanwhile, too.
void ServiceController::erase_inactive(const std::string& path_text, const state::Entry& spec,
                                       const std::optional<state::Entry>& status, TimeMs now_ms) {
  const TimeMs until = value_of<records::ServiceStatus>(status)->inactive_at_ms + settings_.retention.inactive_kept_ms;
  if (now_ms < until) return agenda().at(path_text, until);
  if (settings_.bug == PlantedBug::never_erases_services) return;
  const keys::ServicePath path = keys::service_path(spec.key);
  state::Transaction transaction;
  transaction.reads = {{spec.key, false, spec.mod_revision}, read_of(status->key, status)};
  transaction.erase(spec.key);
  transaction.erase(status->key);
  for (const state::Entry& event : store_.range(keys::service(keys::kServiceEvent, path) + "/"))
    transaction.erase(event.key);
  transaction.erase(keys::token(path.scope, "CreateService", path.cluster + "/" + path.name));
  if (!store_.apply(std::move(transaction))) look_again(path_text);
}

// Status, new tasks, stops and counted failures in one transaction; but for `yes` nothing was written.
ServiceController::Applied ServiceController::apply_service_plan(const std::string& path_text,
                                                                 const deployment::ServicePlan& plan,
                                                                 const std::optional<state::Entry>& status,
                                                                 const state::Entry& spec, TimeMs now_ms) {
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
    const bool runs = task.order == records::Order::run;
    task = lifecycle::stopping(task, stop.code, stop.reason, now_ms);
    ++task.version;
    if (runs && task.order == records::Order::stop) OrderWriter::add_stop(transaction, stop.path, task);
  }
  for (const keys::TaskPath& counted : plan.counted) status_of_task(counted).failure_counted = true;
  for (const auto& [key, task] : statuses) records::put_decoded(transaction, key, task);

  std::vector<std::string> made;
  for (const deployment::TaskStart& start : plan.starts) {
    const keys::TaskPath task{path.scope, path.cluster, start.id};
    made.push_back(task.str());
    records::put_decoded(transaction, keys::task(keys::kTaskSpec, task), start.spec);
  }
  records::ServiceStatus after = plan.status;
  put_events(transaction, path, plan.events, after);
  if (!status || *value_of<records::ServiceStatus>(status) != after)
    records::put_decoded(transaction, status_key, std::move(after));
  if (transaction.empty()) return Applied::yes;
  if (!plan.stops.empty()) transaction.durability = stop_durability(settings_);
  if (const auto applied = store_.apply(std::move(transaction)); !applied)
    return applied.error().kind == state::Refusal::Kind::conflict ? Applied::conflict : Applied::too_large;
  for (const std::string& task : made) tasks_.decide_again(task);
  for (const deployment::TaskStop& stop : plan.stops) tasks_.decide_again(stop.path.str());
  return Applied::yes;
}

}  // namespace berth::control
