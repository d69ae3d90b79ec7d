// RunTask: checks, placement, and the idempotency token.
#include <algorithm>

#include "base/random.h"
#include "control/placement/placement.h"
#include "model/validate.h"
#include "services/ecs/container_rules.h"
#include "services/ecs/errors.h"
#include "services/ecs/fargate.h"
#include "services/ecs/identifiers.h"
#include "services/ecs/kept.h"
#include "services/ecs/launch.h"
#include "services/ecs/lookup.h"
#include "services/ecs/tags.h"
#include "services/ecs/task_render.h"
#include "services/ecs/tasks.h"
#include "services/ecs/tokens.h"

namespace berth::services::ecs {
namespace {

constexpr int kCountMax = 10;
constexpr size_t kStartedByMax = 128;
constexpr size_t kGroupMax = 1024;
constexpr size_t kTokenMax = 64;
constexpr size_t kOverridesBytesMax = 8192;

ApiResult<void> check_request(const m::RunTaskRequest& in) {
  if (number(in.count, 1) < 1 || number(in.count, 1) > kCountMax)
    return invalid_parameter("count should be between 1 and 10.");
  if (text(in.started_by).size() > kStartedByMax)
    return invalid_parameter("startedBy can have at most 128 characters.");
  if (!std::ranges::all_of(text(in.started_by), [](char c) { return c == '/' || is_name({&c, 1}); }))
    return invalid_parameter("startedBy can have letters, numbers, hyphens, forward slashes and underscores only.");
  if (text(in.group).size() > kGroupMax) return invalid_parameter("group can have at most 1024 characters.");
  if (text(in.group).starts_with("service:")) return invalid_parameter("Invalid namespace for group.");
  if (text(in.propagate_tags) == "SERVICE")
    return invalid_parameter("propagateTags should be one of [TASK_DEFINITION,NONE]");
  if (list(in.placement_constraints).size() > 10)
    return invalid_parameter("placementConstraints can have at most 10 items.");
  if (list(in.placement_strategy).size() > 5) return invalid_parameter("placementStrategy can have at most 5 items.");
  if (in.tags && in.tags->empty()) return invalid_parameter("Tags can not be empty.");
  if (auto checked = check_token(in.client_token, kTokenMax); !checked) return checked;
  return check_tags(tags_of(in.tags));
}

struct Sizes {
  int cpu_units = 0;
  int memory_mib = 0;
};

ApiResult<Sizes> sizes_of(const m::RunTaskRequest& in, const records::TaskDefinition& definition) {
  Sizes sizes{definition.cpu_units, definition.memory_mib};
  if (!in.overrides) return sizes;
  if (in.overrides->cpu) {
    const auto cpu = parse_cpu_units(*in.overrides->cpu);
    if (!cpu) return invalid_parameter("Invalid 'cpu' setting for task.");
    sizes.cpu_units = *cpu;
  }
  if (in.overrides->memory) {
    const auto memory = parse_memory_mib(*in.overrides->memory);
    if (!memory) return invalid_parameter("Invalid 'memory' setting for task.");
    sizes.memory_mib = *memory;
  }
  if (!fargate_has(sizes.cpu_units, sizes.memory_mib))
    return invalid_parameter(
        fmt::format("No Fargate configuration exists for given values: {} CPU, {} memory. See the Amazon ECS "
                    "documentation for the valid values.",
                    sizes.cpu_units, sizes.memory_mib));
  return sizes;
}

// A number that is 0 overrides nothing: Terraform sends every member of an override.
std::optional<int> overriding(const std::optional<int>& number) {
  return number && *number != 0 ? number : std::nullopt;
}

bool too_little(const std::optional<int>& memory_mib) { return overriding(memory_mib).value_or(6) < 6; }

ApiResult<void> check_overrides(const m::RunTaskRequest& in, const records::TaskDefinition& definition) {
  if (!in.overrides) return {};
  const auto& overrides = *in.overrides;
  if (to_kept(overrides).size() > kOverridesBytesMax)
    return invalid_parameter("Container Overrides length must be at most 8192");
  if (const auto sentences = model::refused_at_run(overrides); !sentences.empty())
    return invalid_parameter(fmt::format("{}", fmt::join(sentences, " ")));
  for (const std::string& role : {text(overrides.task_role_arn), text(overrides.execution_role_arn)})
    if (!role.empty() && !is_role_arn(role)) return client_error("Role is not valid");
  if (overrides.ephemeral_storage) {
    const int size = number(overrides.ephemeral_storage->size_in_gib, 0);
    if (size < 21) return invalid_parameter("EphemeralStorage size should be at least 21");
    if (size > 200) return invalid_parameter("EphemeralStorage size should be at most 200");
  }
  for (const auto& container : list(overrides.container_overrides)) {
    const std::string name = text(container.name);
    if (name.empty()) return invalid_parameter("Container override name can not be blank.");
    const bool known = std::any_of(definition.containers.begin(), definition.containers.end(),
                                   [&](const auto& defined) { return defined.name == name; });
    if (!known)
      return invalid_parameter(
          fmt::format("Override for container named {} is not a container in the TaskDefinition.", name));
    if (number(container.cpu, 0) < 0 || too_little(container.memory) || too_little(container.memory_reservation))
      return invalid_parameter(fmt::format("Invalid override for container '{}': cpu and memory are too small.", name));
    for (const auto& variable : list(container.environment))
      if (is_blank(text(variable.name))) return client_error(kBlankVariable);
  }
  return {};
}

// The definition's role is in its document only: it changes nothing at run time yet.
bool has_task_role(const m::RunTaskRequest& in, const records::TaskDefinition& definition) {
  return (in.overrides && !text(in.overrides->task_role_arn).empty()) || definition_has_task_role(definition);
}

ApiResult<records::AwsvpcConfiguration> network_for(const Context& context, const m::RunTaskRequest& in,
                                                    const records::TaskDefinition& definition) {
  const bool awsvpc = definition.network_mode == "awsvpc";
  const bool given = in.network_configuration && in.network_configuration->awsvpc_configuration;
  if (awsvpc && !given)
    return invalid_parameter("Network Configuration must be provided when networkMode 'awsvpc' is specified.");
  if (!awsvpc && in.network_configuration)
    return invalid_parameter("Network Configuration is not valid for the given networkMode of this task definition.");
  if (!awsvpc) return records::AwsvpcConfiguration{};
  return check_network(context, network_of(*in.network_configuration->awsvpc_configuration));
}

std::vector<records::ContainerOverride> override_records(const m::RunTaskRequest& in) {
  std::vector<records::ContainerOverride> out;
  if (!in.overrides) return out;
  for (const auto& from : list(in.overrides->container_overrides)) {
    auto& to = out.emplace_back();
    to.name = text(from.name);
    to.command = from.command;
    for (const auto& variable : list(from.environment))
      to.environment.emplace_back(text(variable.name), text(variable.value));
    to.cpu_units = overriding(from.cpu);
    to.memory_mib = overriding(from.memory);
    to.memory_reservation_mib = overriding(from.memory_reservation);
  }
  return out;
}

records::Tags tags_for(const m::RunTaskRequest& in, const records::TaskDefinition& definition,
                       const std::string& cluster) {
  records::Tags tags;
  if (text(in.propagate_tags) == "TASK_DEFINITION") tags = definition.tags;
  tags = merge_tags(std::move(tags), tags_of(in.tags));
  if (flag(in.enable_ecs_managed_tags, false)) tags.emplace_back("aws:ecs:clusterName", cluster);
  return tags;
}

std::string kept_of(const m::RunTaskRequest& in) {
  m::Task kept;
  kept.overrides = in.overrides;
  return kept == m::Task{} ? std::string() : to_kept(kept);
}

m::Failure no_memory(const control::placement::Room& room, const std::string& cluster_arn, int needed) {
  m::Failure failure;
  failure.arn = cluster_arn;
  failure.reason = "RESOURCE:MEMORY";
  failure.detail = fmt::format(
      "The task needs {} MiB; of the {} MiB that this machine gives to tasks (see --memory-overcommit), {} MiB are "
      "reserved.",
      needed, room.memory_mib, room.reserved_memory_mib);
  return failure;
}

// The tasks that the token has answered before, as they are now. Those whose hour is over are shown as DELETED.
m::RunTaskResponse replay(const Context& context, const records::ClientToken& token) {
  m::RunTaskResponse out;
  out.tasks.emplace();
  out.failures.emplace();
  for (const std::string& arn : token.resource_arns) {
    const auto parsed = parse_taggable(context.scope(), arn);
    if (!parsed) continue;
    const TaskView task = load_task(context, {context.scope(), parsed->cluster, parsed->name});
    if (task.spec) {
      out.tasks->push_back(render_task(context, task, true));
      continue;
    }
    auto& gone = out.tasks->emplace_back();
    gone.task_arn = arn;
    gone.cluster_arn = records::cluster_arn(context.scope(), parsed->cluster);
    gone.last_status = "DELETED";
    gone.desired_status = "STOPPED";
  }
  return out;
}

struct Plan {
  std::string cluster;
  DefinitionPtr definition;
  Launch launch;
  records::TaskSpec spec;  // of each task but its ids and provider
};

ApiResult<Plan> plan_of(Work& work, const m::RunTaskRequest& in) {
  Plan plan;
  if (auto checked = check_request(in); !checked) return tl::unexpected(checked.error());
  const auto cluster = find_active_cluster(work, text(in.cluster));
  if (!cluster) return tl::unexpected(cluster.error());
  plan.cluster = (*cluster)->name;
  const auto definition = find_active_definition(work, in.task_definition);
  if (!definition) return tl::unexpected(definition.error());
  plan.definition = *definition;
  auto launch = choose_launch(**cluster, text(in.launch_type), strategy_of(list(in.capacity_provider_strategy)));
  if (!launch) return tl::unexpected(launch.error());
  plan.launch = *std::move(launch);
  const auto overridden = check_overrides(in, **definition);
  if (!overridden) return tl::unexpected(overridden.error());
  const bool own_storage = in.overrides && in.overrides->ephemeral_storage;
  const auto platform = check_platform(plan.launch, **definition, text(in.platform_version), own_storage);
  if (!platform) return tl::unexpected(platform.error());
  const auto network = network_for(work.context, in, **definition);
  if (!network) return tl::unexpected(network.error());
  if (!list(in.volume_configurations).empty()) return invalid_parameter("Amazon EBS volumes are not served.");
  if (!plan.launch.fargate()) return invalid_parameter("No Container Instances were found in your cluster.");
  if (flag(in.enable_execute_command, false) && !has_task_role(in, **definition))
    return invalid_parameter(
        "The execute command failed because a valid task role is not being used. Specify a valid task role in your task "
        "definition or as a task override and try again.");
  const auto sizes = sizes_of(in, **definition);
  if (!sizes) return tl::unexpected(sizes.error());

  auto& spec = plan.spec;
  spec.family = (*definition)->family;
  spec.revision = (*definition)->revision;
  spec.group = in.group.value_or("family:" + spec.family);
  spec.started_by = text(in.started_by);
  spec.launch_type = plan.launch.launch_type;
  spec.platform_version = *platform;
  spec.network = *network;
  spec.overrides = override_records(in);
  spec.cpu_units = sizes->cpu_units;
  spec.memory_mib = sizes->memory_mib;
  spec.enable_execute_command = flag(in.enable_execute_command, false);
  spec.tags = tags_for(in, **definition, plan.cluster);
  if (count_own_tags(spec.tags) > kTagsMax) return invalid_parameter("tags can have at most 50 items.");
  spec.kept = kept_of(in);
  spec.created_at_ms = work.context.now_ms;
  return plan;
}

}  // namespace

Handled<m::RunTaskResponse> run_task(const Context& context, const m::RunTaskRequest& in) {
  Work work(context);
  const std::string hash = parameters_hash(in);
  if (in.client_token) {
    const auto before = use_token(work, "RunTask", *in.client_token, hash);
    if (!before) return tl::unexpected(before.error());
    if (*before) return replay(context, **before);
  }
  auto plan = plan_of(work, in);
  if (!plan) return tl::unexpected(plan.error());

  m::RunTaskResponse out;
  out.tasks.emplace();
  out.failures.emplace();
  const int count = number(in.count, 1);
  const auto providers = control::placement::split(plan->launch.strategy, count);
  control::placement::Room room{context.capacity.memory_mib, context.tasks.reserved().memory_mib};
  std::vector<std::string> arns;
  for (int i = 0; i < count; ++i) {
    if (control::placement::tasks_that_fit(room, plan->spec.memory_mib, 1) == 0) {
      out.failures->push_back(no_memory(room, records::cluster_arn(work.scope, plan->cluster), plan->spec.memory_mib));
      continue;
    }
    room.reserved_memory_mib += plan->spec.memory_mib;
    TaskView task;
    task.path = {work.scope, plan->cluster, new_hex_id(context.random)};
    task.definition = plan->definition;
    records::TaskSpec spec = plan->spec;
    if (!providers.empty()) spec.capacity_provider = providers[static_cast<size_t>(i)];
    spec.attachment_id = new_uuid(context.random);
    spec.eni_id = "eni-" + new_hex_id(context.random, 17);
    work.put(records::keys::task(records::keys::kTaskSpec, task.path), spec);
    task.spec = std::make_shared<const records::TaskSpec>(std::move(spec));
    out.tasks->push_back(render_task(context, task, true));
    arns.push_back(task.path.arn());
  }
  if (in.client_token && !arns.empty()) keep_token(work, "RunTask", *in.client_token, hash, arns);
  return {std::move(out), std::move(work.transaction)};
}

}  // namespace berth::services::ecs
