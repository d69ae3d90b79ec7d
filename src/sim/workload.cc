#include "sim/workload.h"

#include <fmt/format.h>

#include <array>

#include "base/assert.h"
#include "records/cluster.h"
#include "records/network.h"
#include "records/read.h"
#include "records/task.h"
#include "records/task_definition.h"

namespace berth::sim {
namespace {

namespace keys = records::keys;
using records::Condition;
using records::ContainerDefinition;
using records::TaskDefinition;

constexpr std::array kSubnets{"subnet-a", "subnet-b"};

ContainerDefinition container(std::string name, std::string image) {
  ContainerDefinition definition;
  definition.name = std::move(name);
  definition.image = std::move(image);
  return definition;
}

ContainerDefinition checked(ContainerDefinition definition) {
  definition.health_check.emplace();
  definition.health_check->command = {"CMD", "true"};
  return definition;
}

ContainerDefinition helper(ContainerDefinition definition) {
  definition.essential = false;
  return definition;
}

ContainerDefinition after(ContainerDefinition definition, std::string target, Condition condition) {
  definition.depends_on.push_back({std::move(target), condition});
  return definition;
}

std::vector<ContainerDefinition> containers_of(App app) {
  switch (app) {
    case App::plain: return {container("app", "server")};
    case App::checked: return {checked(container("app", "healthy:1s"))};
    case App::chained:
      return {helper(container("init", "exit:0+after:2s")),
              after(checked(container("base", "healthy:500ms")), "init", Condition::success),
              after(container("app", "server"), "base", Condition::healthy)};
    case App::restarting: {
      ContainerDefinition worker = container("worker", "exit:1+after:200s");
      worker.restart_policy.emplace();
      worker.restart_policy->attempt_period_s = 60;
      ContainerDefinition hasty = worker;  // ends too soon to be restarted, and nobody minds
      hasty.name = "hasty";
      hasty.image = "exit:1+after:20s";
      return {container("app", "server"), helper(worker), helper(hasty)};
    }
    case App::slow: return {container("app", "pull:20s")};
    case App::deaf: return {container("app", "ignore-term")};
    case App::side_fails: return {container("app", "server"), helper(container("side", "start-fails"))};
    case App::side_waits:
      return {container("app", "server"), helper(container("init", "exit:3+after:1s")),
              helper(after(container("side", "server"), "init", Condition::success))};
    case App::crashes: return {container("app", "exit:1+after:200ms")};
    case App::crashes_late: return {container("app", "exit:1+after:30s")};
    case App::pull_fails: return {container("app", "pull-fails")};
    case App::start_fails: return {container("app", "start-fails"), helper(container("side", "server"))};
    case App::out_of_memory: return {container("app", "oom+after:1s")};
    case App::turns_unhealthy: return {checked(container("app", "unhealthy:3s"))};
    case App::not_served: return {container("app", "server")};
    case App::success_never:
      return {helper(container("init", "exit:3+after:1s")),
              after(container("app", "server"), "init", Condition::success)};
    case App::healthy_late: {
      ContainerDefinition base = checked(container("base", "healthy:60s"));
      base.start_timeout_s = 5;
      return {base, after(container("app", "server"), "base", Condition::healthy)};
    }
  }
  return {};
}

void apply(state::Store& store, state::Transaction transaction) {
  transaction.durability = state::Durability::acknowledged;
  const auto applied = store.apply(std::move(transaction));
  BERTH_ASSERT(applied);
}

}  // namespace

bool never_runs(int64_t revision) {
  switch (static_cast<App>(revision)) {
    case App::crashes:
    case App::pull_fails:
    case App::start_fails:
    case App::out_of_memory:
    case App::not_served:
    case App::success_never:
    case App::healthy_late: return true;
    default: return false;
  }
}

void Workload::prepare(state::Store& store) {
  state::Transaction transaction;
  records::Cluster cluster;
  cluster.name = kCluster;
  records::put(transaction, keys::cluster(kScope, kCluster), cluster);
  for (const char* id : kSubnets) {
    records::Subnet subnet;
    subnet.id = id;
    subnet.vpc_id = "vpc-1";
    subnet.cidr = id[7] == 'a' ? "10.0.0.0/20" : "10.0.16.0/20";
    subnet.availability_zone = std::string("eu-central-1") + id[7];
    records::put(transaction, keys::ec2("subnet", kScope, id), subnet);
  }
  records::Vpc vpc;
  vpc.id = "vpc-1";
  vpc.cidr = "10.0.0.0/16";
  vpc.default_security_group_id = "sg-1";
  records::put(transaction, keys::ec2("vpc", kScope, vpc.id), vpc);
  for (int64_t revision = 1; revision <= static_cast<int64_t>(App::last); ++revision) {
    TaskDefinition definition;
    definition.family = "app";
    definition.revision = revision;
    definition.memory_mib = kTaskMemoryMib;
    definition.network_mode = "awsvpc";
    definition.containers = containers_of(static_cast<App>(revision));
    if (static_cast<App>(revision) == App::not_served) definition.not_served = "secrets are not served";
    records::put(transaction, keys::task_definition(kScope, "app", revision), definition);
  }
  apply(store, std::move(transaction));
}

void Workload::step(state::Store& store, TimeMs now_ms) {
  const uint64_t choice = random_.below(100);
  if (choice < 35) return create_or_update(store, now_ms);
  if (choice < 60) return scale(store);
  if (choice < 67) return delete_service(store, now_ms);
  if (choice < 85) return run_task(store, now_ms);
  stop_task(store, now_ms);
}

int64_t Workload::choose_revision() {
  if (random_.chance(15)) return static_cast<int64_t>(App::checked);
  const auto good = static_cast<uint64_t>(App::last_good), all = static_cast<uint64_t>(App::last);
  return static_cast<int64_t>(1 + (random_.chance(60) ? random_.below(good) : random_.below(all)));
}

int Workload::choose_count() {
  if (random_.chance(2)) return 45;  // more than a plan holds
  return static_cast<int>(random_.below(7));
}

void Workload::choose_bounds(records::ServiceSpec& spec) {
  struct Bounds {
    int minimum, maximum;
  };
  static constexpr std::array<Bounds, 7> kBounds{
      {{100, 200}, {50, 200}, {50, 100}, {0, 100}, {100, 150}, {100, 100}, {75, 125}}};
  const Bounds bounds = kBounds[random_.below(kBounds.size())];
  spec.deployment.minimum_healthy_percent = bounds.minimum;
  spec.deployment.maximum_percent = bounds.maximum;
  spec.deployment.circuit_breaker = random_.chance(65);
  spec.deployment.rollback = random_.chance(50);
  spec.health_check_grace_period_s = random_.chance(25) ? 10 : 0;
}

void Workload::put(state::Store& store, const records::ServiceSpec& spec, const std::string& what) {
  say_(fmt::format("user: {} {} app:{} ×{} ({}/{} %{}{})", what, spec.name, spec.target.revision, spec.desired_count,
                   spec.deployment.minimum_healthy_percent, spec.deployment.maximum_percent,
                   spec.deployment.circuit_breaker ? ", breaker" : "", spec.deployment.rollback ? ", rollback" : ""));
  state::Transaction transaction;
  records::put(transaction, keys::service(keys::kServiceSpec, {kScope, kCluster, spec.name}), spec);
  apply(store, std::move(transaction));
}

void Workload::create_or_update(state::Store& store, TimeMs now_ms) {
  const keys::ServicePath path{kScope, kCluster, fmt::format("s{}", random_.below(kServicesMax))};
  const auto before = records::get<records::ServiceSpec>(store, keys::service(keys::kServiceSpec, path));
  const auto status = records::get<records::ServiceStatus>(store, keys::service(keys::kServiceStatus, path));
  const bool gone = before && before->deleted_at_ms != 0;
  if (gone && !(status && status->status == "INACTIVE" && status->incarnation == before->incarnation)) return;
  records::ServiceSpec spec;
  const bool fresh = !before || gone;
  if (fresh) {
    spec.name = path.name;
    spec.created_at_ms = now_ms;
    spec.incarnation = new_uuid(random_);
    spec.desired_count = choose_count();
    spec.enable_ecs_managed_tags = random_.chance(50);
    spec.enable_execute_command = random_.chance(10);
    if (random_.chance(10)) spec.scheduling_strategy = "DAEMON";
  } else {
    spec = *before;
    ++spec.generation;
  }
  spec.target.family = "app";
  spec.target.revision = choose_revision();
  spec.target.network.subnets = {kSubnets.begin(), kSubnets.end()};
  if (fresh && random_.chance(4)) {
    spec.target.launch_type = "EC2";
  } else if (fresh && random_.chance(15)) {
    spec.target.strategy = {{"FARGATE", 1, 1}, {"FARGATE_SPOT", 3, 0}};
  } else if (fresh) {
    spec.target.launch_type = "FARGATE";
  }
  spec.deployment_id = "ecs-svc/" + new_decimal_id(random_, 19);
  spec.deployment_created_at_ms = now_ms;
  if (fresh || random_.chance(30)) choose_bounds(spec);
  put(store, spec, fresh ? "creates" : "updates");
}

void Workload::scale(state::Store& store) {
  const auto services = records::range<records::ServiceSpec>(store, keys::kServiceSpec);
  if (services.empty()) return;
  size_t chosen = random_.below(services.size());
  int count = choose_count();
  // After a failed deployment a user scales down more often than chance would.
  for (size_t i = 0; i < services.size(); ++i) {
    const auto& name = services[i].second->name;
    const auto status =
        records::get<records::ServiceStatus>(store, keys::service(keys::kServiceStatus, {kScope, kCluster, name}));
    if (!status || status->deployments.empty()) continue;
    if (status->deployments.front().rollout != records::Rollout::failed || random_.chance(10)) continue;
    chosen = i;
    count = static_cast<int>(random_.below(3));
  }
  records::ServiceSpec spec = *services[chosen].second;
  if (spec.deleted_at_ms != 0) return;
  spec.desired_count = count;
  put(store, spec, "scales");
}

void Workload::delete_service(state::Store& store, TimeMs now_ms) {
  const auto services = records::range<records::ServiceSpec>(store, keys::kServiceSpec);
  if (services.empty()) return;
  records::ServiceSpec spec = *services[random_.below(services.size())].second;
  if (spec.deleted_at_ms != 0) return;
  spec.deleted_at_ms = now_ms;
  put(store, spec, "deletes");
}

void Workload::run_task(state::Store& store, TimeMs now_ms) {
  records::TaskSpec spec;
  spec.family = "app";
  spec.revision = choose_revision();
  spec.group = "family:app";
  spec.launch_type = "FARGATE";
  spec.memory_mib = kTaskMemoryMib;
  if (!random_.chance(3)) spec.network.subnets = {kSubnets.begin(), kSubnets.end()};  // else: they are gone
  spec.created_at_ms = now_ms;
  spec.eni_id = "eni-" + new_hex_id(random_, 17);
  const keys::TaskPath path{kScope, kCluster, new_hex_id(random_)};
  say_(fmt::format("user: runs task {} of app:{}", path.id, spec.revision));
  state::Transaction transaction;
  records::put(transaction, keys::task(keys::kTaskSpec, path), spec);
  if (random_.chance(10))  // StopTask before control has seen it
    records::put(transaction, keys::task(keys::kTaskIntent, path), records::TaskIntent{now_ms, "never mind"});
  apply(store, std::move(transaction));
}

void Workload::stop_task(state::Store& store, TimeMs now_ms) {
  const auto tasks = store.range(keys::kTaskSpec);
  if (tasks.empty()) return;
  const keys::TaskPath path = keys::task_path(tasks[random_.below(tasks.size())].key);
  const auto status = records::get<records::TaskStatus>(store, keys::task(keys::kTaskStatus, path));
  if (status && status->state == records::TaskState::stopped) return;
  if (store.get(keys::task(keys::kTaskIntent, path))) return;
  say_("user: stops task " + path.id);
  state::Transaction transaction;
  records::put(transaction, keys::task(keys::kTaskIntent, path), records::TaskIntent{now_ms, "Task stopped by user"});
  apply(store, std::move(transaction));
}

void Workload::bring_to_good(state::Store& store, TimeMs now_ms) {
  for (const auto& [key, before] : records::range<records::ServiceSpec>(store, keys::kServiceSpec)) {
    // Tasks that live for seconds and are replaced at once cost much time to simulate, and never come to
    // rest.
    const App app = static_cast<App>(before->target.revision);
    const bool restless = app == App::crashes_late || app == App::turns_unhealthy;
    if (before->deleted_at_ms != 0 || (random_.chance(60) && !restless)) continue;
    records::ServiceSpec spec = *before;
    spec.target.revision = static_cast<int64_t>(1 + random_.below(static_cast<uint64_t>(App::last_good)));
    ++spec.generation;
    spec.deployment_id = "ecs-svc/" + new_decimal_id(random_, 19);
    spec.deployment_created_at_ms = now_ms;
    put(store, spec, "updates");
  }
}

}  // namespace berth::sim
