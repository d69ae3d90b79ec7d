#include "services/ecs/definition_record.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "records/names.h"
#include "services/ecs/awslogs.h"
#include "services/ecs/definition_rules.h"
#include "services/ecs/fargate.h"
#include "services/ecs/identifiers.h"

namespace berth::services::ecs {
namespace {

template <class T>
void fill(std::optional<T>& member, T otherwise) {
  if (!member) member = std::move(otherwise);
}

void fill_health_check(m::HealthCheck& check) {
  fill(check.interval, 30);
  fill(check.timeout, 5);
  fill(check.retries, 3);
}

// What AWS adds to what was sent; Terraform plans an endless difference otherwise.
void fill_container(m::ContainerDefinition& c, bool awsvpc, bool host) {
  fill(c.cpu, 0);
  fill(c.essential, true);
  fill(c.environment, {});
  fill(c.mount_points, {});
  fill(c.volumes_from, {});
  fill(c.port_mappings, {});
  fill(c.system_controls, {});
  for (auto& mapping : *c.port_mappings) {
    fill(mapping.protocol, std::string("tcp"));
    if ((awsvpc || host) && mapping.container_port)
      mapping.host_port = mapping.container_port;
    else if (mapping.container_port)
      fill(mapping.host_port, 0);
  }
  if (c.health_check) fill_health_check(*c.health_check);
}

class Attributes {
 public:
  void add(std::string_view name) {
    if (seen_.insert(std::string(name)).second) {
      m::Attribute attribute;
      attribute.name = name;
      list_.push_back(std::move(attribute));
    }
  }
  std::vector<m::Attribute> take() { return std::move(list_); }

 private:
  std::set<std::string> seen_;
  std::vector<m::Attribute> list_;
};

void add_container_attributes(Attributes& out, const m::ContainerDefinition& c, bool execution_role) {
  if (c.log_configuration) {
    const std::string driver = text(c.log_configuration->log_driver);
    out.add("com.amazonaws.ecs.capability.logging-driver." + driver);
    if (driver == "awslogs" && execution_role) out.add("ecs.capability.execution-role-awslogs");
    out.add("com.amazonaws.ecs.capability.docker-remote-api.1.19");
  }
  if (c.health_check) {
    out.add("ecs.capability.container-health-check");
    out.add("com.amazonaws.ecs.capability.docker-remote-api.1.29");
  }
  if (!list(c.depends_on).empty()) out.add("ecs.capability.container-ordering");
  if (flag(c.privileged, false)) out.add("com.amazonaws.ecs.capability.privileged-container");
  for (const auto& secret : list(c.secrets))
    out.add(text(secret.value_from).find(":secretsmanager:") != std::string::npos
                ? "ecs.capability.secrets.asm.environment-variables"
                : "ecs.capability.secrets.ssm.environment-variables");
  if (c.firelens_configuration) out.add("ecs.capability.firelens." + text(c.firelens_configuration->type));
  if (text(c.image).find(".dkr.ecr.") != std::string::npos) {
    out.add("com.amazonaws.ecs.capability.ecr-auth");
    if (execution_role) out.add("ecs.capability.execution-role-ecr-pull");
  }
}

std::vector<m::Attribute> required_attributes(const m::RegisterTaskDefinitionRequest& in) {
  Attributes out;
  for (const auto& container : list(in.container_definitions))
    add_container_attributes(out, container, in.execution_role_arn.has_value());
  if (in.task_role_arn) out.add("com.amazonaws.ecs.capability.task-iam-role");
  if (text(in.network_mode) == "awsvpc") out.add("ecs.capability.task-eni");
  if (in.pid_mode || in.ipc_mode) out.add("ecs.capability.pid-ipc-namespace-sharing");
  if (in.ephemeral_storage) out.add("ecs.capability.extensible-ephemeral-storage");
  for (const auto& volume : list(in.volumes))
    if (volume.efs_volume_configuration) out.add("ecs.capability.efs");
  out.add("com.amazonaws.ecs.capability.docker-remote-api.1.18");
  return out.take();
}

std::vector<std::string> compatibilities(const m::RegisterTaskDefinitionRequest& in) {
  std::vector<std::string> out;
  if (text(in.network_mode) != "awsvpc") out.push_back("EXTERNAL");
  out.push_back("EC2");
  if (is_fargate_compatible(in)) out.push_back("FARGATE");
  return out;
}

records::AwsLogs logs_record(const m::LogConfiguration& from, bool blocking_default) {
  const auto& options = map_of(from.options);
  records::AwsLogs out;
  out.group = value_in(options, "awslogs-group");
  out.region = value_in(options, "awslogs-region");
  out.stream_prefix = value_in(options, "awslogs-stream-prefix");
  out.create_group = parse_switch(value_in(options, "awslogs-create-group")).value_or(false);
  const std::string mode = value_in(options, "mode");
  out.blocking = mode.empty() ? blocking_default : mode == "blocking";
  if (const auto size = parse_byte_size(value_in(options, "max-buffer-size")); size && *size > 0)
    out.max_buffer_bytes = *size;
  out.event_pattern = event_pattern(options).value_or("");
  return out;
}

void take_linux_parameters(const m::LinuxParameters& from, records::ContainerDefinition& to) {
  to.init_process = flag(from.init_process_enabled, false);
  if (from.capabilities) {
    to.capabilities_add = list(from.capabilities->add);
    to.capabilities_drop = list(from.capabilities->drop);
  }
  for (const auto& tmpfs : list(from.tmpfs))
    to.tmpfs.push_back({text(tmpfs.container_path), number(tmpfs.size, 0), list(tmpfs.mount_options)});
}

void take_process(const m::ContainerDefinition& from, records::ContainerDefinition& to) {
  to.entry_point = from.entry_point;
  to.command = from.command;
  for (const auto& variable : list(from.environment))
    to.environment.emplace_back(text(variable.name), text(variable.value));
  to.user = text(from.user);
  to.working_directory = text(from.working_directory);
  to.readonly_root = flag(from.readonly_root_filesystem, false);
  for (const auto& limit : list(from.ulimits))
    to.ulimits.push_back({text(limit.name), number(limit.soft_limit, 0), number(limit.hard_limit, 0)});
  for (const auto& control : list(from.system_controls))
    to.system_controls.emplace_back(text(control.namespace_), text(control.value));
  if (from.linux_parameters) take_linux_parameters(*from.linux_parameters, to);
}

// A program's name or path, with nothing in it that a shell would read otherwise.
bool is_plain_word(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || std::string_view("/._-+").find(c) != std::string_view::npos;
  });
}

// What is to be run, beginning with CMD or CMD-SHELL. A command without either is taken as people mean it: several strings
// are a program and its arguments, as one plain word is, which then runs in an image without a shell too; any other single
// string is a shell's line.
std::vector<std::string> health_command(std::vector<std::string> command) {
  if (command.empty() || command.front() == "CMD" || command.front() == "CMD-SHELL") return command;
  const bool is_line = command.size() == 1 && !is_plain_word(command.front());
  command.insert(command.begin(), is_line ? "CMD-SHELL" : "CMD");
  return command;
}

void take_life_cycle(const m::ContainerDefinition& from, records::ContainerDefinition& to) {
  for (const auto& dependency : list(from.depends_on))
    to.depends_on.push_back(
        {text(dependency.container_name), records::value_of<records::Condition>(text(dependency.condition))});
  to.start_timeout_s = from.start_timeout;
  to.stop_timeout_s = number(from.stop_timeout, 30);
  // A command of only NONE switches the check off.
  if (from.health_check && list(from.health_check->command) != std::vector<std::string>{"NONE"})
    to.health_check =
        records::HealthCheck{health_command(list(from.health_check->command)), number(from.health_check->interval, 30),
                             number(from.health_check->timeout, 5), number(from.health_check->retries, 3),
                             number(from.health_check->start_period, 0)};
  if (from.restart_policy && flag(from.restart_policy->enabled, false)) {
    const auto& codes = list(from.restart_policy->ignored_exit_codes);
    to.restart_policy =
        records::RestartPolicy{{codes.begin(), codes.end()}, number(from.restart_policy->restart_attempt_period, 300)};
  }
}

records::ContainerDefinition container_record(const m::ContainerDefinition& from, bool blocking_default) {
  records::ContainerDefinition to;
  to.name = text(from.name);
  to.image = text(from.image);
  to.cpu_units = number(from.cpu, 0);
  to.memory_mib = number(from.memory, 0);
  to.memory_reservation_mib = number(from.memory_reservation, 0);
  to.essential = flag(from.essential, true);
  take_process(from, to);
  take_life_cycle(from, to);
  for (const auto& mount : list(from.mount_points))
    to.mount_points.push_back({text(mount.source_volume), text(mount.container_path), flag(mount.read_only, false)});
  for (const auto& other : list(from.volumes_from))
    to.volumes_from.push_back({text(other.source_container), flag(other.read_only, false)});
  if (from.log_configuration && text(from.log_configuration->log_driver) == "awslogs")
    to.logs = logs_record(*from.log_configuration, blocking_default);
  return to;
}

}  // namespace

m::TaskDefinition definition_document(const m::RegisterTaskDefinitionRequest& in, const Registration& how) {
  m::TaskDefinition out;
  out.task_definition_arn = records::task_definition_arn(how.scope, text(in.family), how.revision);
  out.container_definitions = list(in.container_definitions);
  const bool awsvpc = text(in.network_mode) == "awsvpc";
  for (auto& container : *out.container_definitions) fill_container(container, awsvpc, text(in.network_mode) == "host");
  out.family = in.family;
  if (in.task_role_arn) out.task_role_arn = role_arn(*in.task_role_arn, how.scope.account);
  if (in.execution_role_arn) out.execution_role_arn = role_arn(*in.execution_role_arn, how.scope.account);
  out.network_mode = in.network_mode;
  out.revision = static_cast<int>(how.revision);
  out.volumes = list(in.volumes);
  for (auto& volume : *out.volumes)
    // A volume of nothing but a name is an empty directory of the task: AWS shows an empty host.
    if (!volume.docker_volume_configuration && !volume.efs_volume_configuration &&
        !volume.fsx_windows_file_server_volume_configuration && !volume.s3files_volume_configuration &&
        !flag(volume.configured_at_launch, false) && !volume.host)
      volume.host.emplace();
  out.requires_attributes = required_attributes(in);
  out.placement_constraints = list(in.placement_constraints);
  out.compatibilities = compatibilities(in);
  out.runtime_platform = in.runtime_platform;
  out.requires_compatibilities = in.requires_compatibilities;
  if (in.cpu && !in.cpu->empty()) out.cpu = std::to_string(parse_cpu_units(*in.cpu).value_or(0));
  if (in.memory && !in.memory->empty()) out.memory = std::to_string(parse_memory_mib(*in.memory).value_or(0));
  out.inference_accelerators = in.inference_accelerators;
  out.pid_mode = in.pid_mode;
  out.ipc_mode = in.ipc_mode;
  out.proxy_configuration = in.proxy_configuration;
  out.registered_at = time_of(how.registered_at_ms);
  out.registered_by = how.registered_by;
  out.ephemeral_storage = in.ephemeral_storage;
  out.enable_fault_injection = flag(in.enable_fault_injection, false);
  return out;
}

records::TaskDefinition definition_record(const m::TaskDefinition& document, const Registration& how) {
  records::TaskDefinition out;
  out.family = text(document.family);
  out.revision = how.revision;
  out.registered_at_ms = how.registered_at_ms;
  out.cpu_units = parse_cpu_units(text(document.cpu)).value_or(0);
  out.memory_mib = parse_memory_mib(text(document.memory)).value_or(0);
  out.network_mode = text(document.network_mode);
  const auto& compatible = list(document.compatibilities);
  out.fargate_compatible = std::find(compatible.begin(), compatible.end(), "FARGATE") != compatible.end();
  for (const auto& container : list(document.container_definitions))
    out.containers.push_back(container_record(container, how.log_blocking_default));
  for (const auto& volume : list(document.volumes)) out.volumes.push_back(text(volume.name));
  return out;
}

}  // namespace berth::services::ecs
