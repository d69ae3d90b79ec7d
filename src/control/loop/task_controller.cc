#include "control/loop/task_controller.h"

#include "base/assert.h"
#include "control/discovery/registration.h"
#include "control/loop/entries.h"
#include "control/network/interfaces.h"
#include "records/network.h"

namespace berth::control {

namespace keys = records::keys;
using records::DesiredStatus;
using records::Order;
using records::TaskSpec;
using records::TaskStatus;

std::vector<std::string_view> TaskController::prefixes() const {
  return {keys::kTaskSpec, keys::kTaskIntent, keys::kTaskObserved};
}

void TaskController::begin_again() {
  for (const state::Entry& entry : store_.range(keys::kTaskSpec)) agenda().now(path_of(entry.key, keys::kTaskSpec));
}

void TaskController::changed(const state::Change& change) {
  for (const std::string_view kind : prefixes()) {
    if (!change.key.starts_with(kind)) continue;
    const std::string path = path_of(change.key, kind);
    // A spec is written once: one that has a status has been decided already, with the service that made it.
    if (kind == keys::kTaskSpec && (!change.value || store_.get(key_of(keys::kTaskStatus, path)))) return;
    return agenda().now(path);
  }
}

void TaskController::find_subnets(lifecycle::TaskSnapshot& task) const {
  const keys::ServicePath service{task.path.scope, task.path.cluster, task.spec.service};
  task.public_address_free =
      !task.spec.network.assign_public_ip || addresses_.free_public_address(settings_.public_pool).has_value();
  for (const std::string& id : task.spec.network.subnets) {
    const auto subnet = records::get<records::Subnet>(store_, keys::ec2("subnet", task.path.scope, id));
    if (!subnet) continue;
    const auto cidr = parse_network(subnet->cidr);
    if (!cidr || addresses_.available(id, *cidr) <= 0) {
      task.full_subnet = id;
      continue;
    }
    task.subnets.push_back({id, subnet->availability_zone, index_.in_subnet(id),
                            task.spec.service.empty() ? 0 : index_.in_subnet(id, service)});
  }
}

// A task has its interface from its placement until nothing of it is left on its host. One that an older Berth placed gets the
// record of what it has.
void TaskController::keep_interface(state::Transaction& transaction, const lifecycle::TaskSnapshot& task,
                                    const TaskStatus& after, TimeMs now_ms) const {
  if (task.spec.eni_id.empty() || after.subnet_id.empty()) return;
  const records::Scope& scope = task.path.scope;
  const std::string key = keys::ec2(records::ec2_kinds::kInterface, scope, task.spec.eni_id);
  const bool kept = store_.get(key).has_value();
  if (after.state == records::TaskState::stopped) {
    if (!kept) return;
    transaction.erase(key);
    const std::string tags = keys::ec2(records::ec2_kinds::kTags, scope, task.spec.eni_id);
    if (store_.get(tags)) transaction.erase(tags);
    return;
  }
  if (kept) return;
  const auto subnet = records::get<records::Subnet>(store_, keys::ec2("subnet", scope, after.subnet_id));
  const auto vpc = subnet ? records::get<records::Vpc>(store_, keys::ec2("vpc", scope, subnet->vpc_id)) : nullptr;
  const auto cidr = subnet ? parse_network(subnet->cidr) : std::nullopt;
  if (!vpc || !cidr) return;
  auto address = task.observed ? parse_ipv4(task.observed->address) : std::nullopt;
  if (!address && !task.status) address = addresses_.free_address(subnet->id, *cidr);
  if (!address) return;  // it was placed by an older Berth and its agent has not chosen one: it never gets further
  std::optional<Ipv4> public_address;
  if (task.spec.network.assign_public_ip) public_address = addresses_.free_public_address(settings_.public_pool);
  auto interface = network::interface_of({task.path, task.spec, *subnet, *vpc, *address, public_address, now_ms});
  networks_.placed(scope, interface);
  records::put_decoded(transaction, key, std::move(interface));
}

// In the transaction that decides what becomes of the task: its name is there with RUNNING, and gone with the decision to stop.
void TaskController::keep_registrations(state::Transaction& transaction, const lifecycle::TaskSnapshot& task,
                                        const TaskStatus& after, TimeMs now_ms) const {
  const records::Scope& scope = task.path.scope;
  for (const records::ServiceRegistry& registry : task.spec.registries) {
    const std::string id = discovery::service_id_of(registry);
    const std::string key = keys::instance(keys::kInstance, scope, id, task.path.id);
    const std::string health_key = keys::instance(keys::kInstanceHealth, scope, id, task.path.id);
    const auto present = records::get<records::Instance>(store_, key);
    const auto service =
        records::get<records::DiscoveryService>(store_, keys::discovery(keys::kDiscoveryService, scope, id));
    const auto interface =
        records::get<records::Interface>(store_, keys::ec2(records::ec2_kinds::kInterface, scope, task.spec.eni_id));
    discovery::Subject subject{task.path, task.spec, after, interface ? interface->address : ""};
    if (subject.address.empty() && task.observed) subject.address = task.observed->address;
    const auto wanted = service ? discovery::registered(subject, registry, *service) : std::nullopt;
    if (wanted && !present) {
      records::put(transaction, key, *wanted);
    } else if (wanted) {
      const auto before = records::get<records::InstanceHealth>(store_, health_key);
      if (const auto health = discovery::health_of(subject, *service, *present, before.get(), now_ms))
        records::put(transaction, health_key, *health);
    } else if (present) {
      transaction.erase(key);
      transaction.erase(health_key);
    }
  }
}

Result<void> TaskController::write(state::Transaction& transaction, const lifecycle::TaskSnapshot& task,
                                   const lifecycle::TaskPlan& plan, TimeMs now_ms) const {
  const std::string path = task.path.str();
  const TaskStatus* before = task.status;
  if (plan.erase) {
    for (std::string_view kind :
         {keys::kTaskSpec, keys::kTaskTags, keys::kTaskIntent, keys::kTaskStatus, keys::kTaskObserved})
      transaction.erase(key_of(kind, path));
    if (before->order != Order::none) OrderWriter::add_forget(transaction, task.path, *before);
    return {};
  }
  const TaskStatus* after = plan.status ? &*plan.status : before;
  if (after) keep_interface(transaction, task, *after, now_ms);
  if (after) keep_registrations(transaction, task, *after, now_ms);
  if (!plan.status) return {};
  if (after->order == Order::run && !before)
    if (auto ordered = orders_.add_run(transaction, task.path, task.spec, *task.definition, *after, now_ms); !ordered)
      return ordered;
  if (before && before->order == Order::run && after->order == Order::stop)
    OrderWriter::add_stop(transaction, task.path, *after);
  if (before && before->order != Order::none && after->state == records::TaskState::stopped)
    OrderWriter::add_over(transaction, task.path, *after);
  records::put_decoded(transaction, key_of(keys::kTaskStatus, path), *after);
  if (settings_.bug == PlantedBug::writes_what_the_agent_saw && task.observed && task.observed->stopped) {
    records::TaskObserved released = *task.observed;
    released.released = true;
    records::put_decoded(transaction, key_of(keys::kTaskObserved, path), released);
  }
  return {};
}

void TaskController::decide(const std::string& path_text, TimeMs now_ms) {
  const std::string spec_key = key_of(keys::kTaskSpec, path_text);
  const auto spec_entry = store_.get(spec_key);
  if (!spec_entry) return agenda().at(path_text, 0);
  const keys::TaskPath path = keys::task_path(spec_key);
  const auto intent_entry = store_.get(key_of(keys::kTaskIntent, path_text));
  const auto status_entry = store_.get(key_of(keys::kTaskStatus, path_text));
  const auto observed_entry = store_.get(key_of(keys::kTaskObserved, path_text));
  const auto spec = value_of<TaskSpec>(spec_entry);
  const auto intent = value_of<records::TaskIntent>(intent_entry);
  const auto status = value_of<TaskStatus>(status_entry);
  const auto observed = value_of<records::TaskObserved>(observed_entry);
  const auto task_definition = definition_of(store_, path.scope, spec->family, spec->revision);

  lifecycle::TaskSnapshot snapshot{path, *spec, intent.get(), status.get(), observed.get(), task_definition.get(), {}};
  if (!status) find_subnets(snapshot), snapshot.hosts = hosts_.rooms();
  if (status) snapshot.host_epoch = hosts_.epoch(status->host);
  lifecycle::TaskPlan plan = lifecycle::decide(snapshot, now_ms, random_, settings_.lifecycle);
  state::Transaction transaction;
  if (const auto written = write(transaction, snapshot, plan, now_ms); !written) {
    transaction = {};
    snapshot.cannot_run = written.error().context;
    plan = lifecycle::decide(snapshot, now_ms, random_, settings_.lifecycle);
    BERTH_ASSERT(write(transaction, snapshot, plan, now_ms).has_value());  // it is not to run any more
  }
  agenda().at(path_text, plan.wake_at_ms);
  if (transaction.empty()) return;
  transaction.reads.push_back(read_of(spec_key, spec_entry));
  transaction.reads.push_back(read_of(key_of(keys::kTaskIntent, path_text), intent_entry));
  transaction.reads.push_back(read_of(key_of(keys::kTaskStatus, path_text), status_entry));
  transaction.reads.push_back(read_of(key_of(keys::kTaskObserved, path_text), observed_entry));
  const bool stops = plan.status && plan.status->desired == DesiredStatus::stopped &&
                     !(status && status->desired == DesiredStatus::stopped);
  if (stops) transaction.durability = stop_durability(settings_);
  if (const auto applied = store_.apply(std::move(transaction)); !applied) {
    BERTH_ASSERT(applied.error().kind == state::Refusal::Kind::conflict);
    note("task plan met a conflict");
    return agenda().now(path_text);
  }
  if (plan.erase) return agenda().at(path_text, 0);
  if (plan.status && !spec->service.empty() && decided_) decided_(path, spec->service, status.get(), *plan.status);
}

}  // namespace berth::control
