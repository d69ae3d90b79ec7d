#include "services/ecs/container_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "services/ecs/awslogs.h"
#include "services/ecs/identifiers.h"
#include "services/ecs/settings_table.h"

namespace berth::services::ecs {
namespace {

using Subject = DefinitionSubject;
using C = m::ContainerDefinition;
using Rule = std::string (*)(const Subject&, const C&);

std::string invalid(std::string_view setting, const C& c) {
  return fmt::format("Invalid '{}' setting for container '{}'.", setting, text(c.name));
}

bool within(const std::optional<int>& value, int low, int high) { return !value || (*value >= low && *value <= high); }

std::string names(const Subject&, const C& c) {
  if (text(c.name).empty()) return "Container.name should not be null or empty.";
  if (!is_name(text(c.name))) return "Container.name contains invalid characters.";
  return text(c.image).empty() ? "Container.image should not be null or empty." : "";
}

std::string memory(const Subject& s, const C& c) {
  if (s.memory_mib == 0 && !c.memory && !c.memory_reservation)
    return fmt::format(
        "Invalid setting for container '{}'. At least one of 'memory' or 'memoryReservation' must be specified.",
        text(c.name));
  if (!within(c.memory, 6, INT32_MAX)) return invalid("memory", c);
  if (!within(c.memory_reservation, 6, INT32_MAX)) return invalid("memoryReservation", c);
  if (c.memory && c.memory_reservation && *c.memory < *c.memory_reservation)
    return fmt::format("Invalid setting for container '{}'. 'memory' must not be less than 'memoryReservation'.",
                       text(c.name));
  if (s.memory_mib != 0 && number(c.memory, 0) > s.memory_mib)
    return fmt::format("The 'memory' setting for container '{}' is greater than for the task.", text(c.name));
  if (s.memory_mib != 0 && number(c.memory_reservation, 0) > s.memory_mib)
    return fmt::format("The 'memoryReservation' setting for container '{}' is greater than for the task.",
                       text(c.name));
  return within(c.cpu, 0, INT32_MAX) ? "" : invalid("cpu", c);
}

std::string ports(const Subject& s, const C& c) {
  for (const auto& mapping : list(c.port_mappings)) {
    if (!text(mapping.container_port_range).empty() && !mapping.container_port) continue;
    const int port = number(mapping.container_port, 0);
    if (port < 1 || port > 65535) return invalid("containerPort", c);
    const int host = number(mapping.host_port, 0);
    if (host < 0 || host > 65535) return invalid("hostPort", c);
    if (s.awsvpc && host != 0 && host != port)
      return "When networkMode=awsvpc, the host ports and container ports in port mappings must match.";
  }
  return "";
}

std::string awsvpc_only(const Subject& s, const C& c) {
  if (!s.awsvpc) return "";
  if (!list(c.links).empty()) return "Links are not supported when networkMode=awsvpc.";
  if (!text(c.hostname).empty()) return "Hostname is not supported when networkMode=awsvpc.";
  if (!list(c.dns_servers).empty()) return "DNS servers are not supported on container when networkMode=awsvpc.";
  if (!list(c.dns_search_domains).empty())
    return "DNS search domains are not supported on container when networkMode=awsvpc.";
  return list(c.extra_hosts).empty() ? "" : "Extra hosts are not supported when networkMode=awsvpc.";
}

std::string fargate_linux(const Subject& s, const C& c) {
  if (!s.fargate || !c.linux_parameters) return "";
  const auto& linux_parameters = *c.linux_parameters;
  auto no = [](std::string_view what) {
    return fmt::format("Tasks using the Fargate launch type do not support {}.", what);
  };
  if (!list(linux_parameters.devices).empty()) return no("devices");
  if (linux_parameters.shared_memory_size) return no("sharedMemorySize");
  if (linux_parameters.max_swap) return no("maxSwap");
  if (linux_parameters.swappiness) return no("swappiness");
  if (linux_parameters.capabilities)
    for (const std::string& capability : list(linux_parameters.capabilities->add))
      if (capability != "SYS_PTRACE") return no(fmt::format("adding the capability {}", capability));
  return "";
}

std::string fargate_container(const Subject& s, const C& c) {
  if (!s.fargate) return "";
  auto no = [](std::string_view what) {
    return fmt::format("Tasks using the Fargate launch type do not support {}.", what);
  };
  if (flag(c.privileged, false)) return no("privileged containers");
  if (!list(c.docker_security_options).empty()) return no("dockerSecurityOptions");
  if (!list(c.resource_requirements).empty()) return no("resourceRequirements");
  if (flag(c.disable_networking, false)) return no("disableNetworking");
  for (const auto& limit : list(c.ulimits))
    if (text(limit.name) != "nofile") return no(fmt::format("the ulimit {}", text(limit.name)));
  if (!within(c.stop_timeout, 0, 120)) return "StopTimeout should be between 0 and 120 seconds for Fargate tasks.";
  if (!within(c.start_timeout, 2, 120)) return "StartTimeout should be between 2 and 120 seconds for Fargate tasks.";
  return "";
}

std::string limits(const Subject&, const C& c) {
  for (const auto& limit : list(c.ulimits))
    if (number(limit.soft_limit, 0) > number(limit.hard_limit, 0) && number(limit.hard_limit, 0) != -1)
      return fmt::format("Invalid 'ulimits' setting for container '{}': the soft limit of {} is above its hard limit.",
                         text(c.name), text(limit.name));
  if (!within(c.stop_timeout, 0, INT32_MAX)) return invalid("stopTimeout", c);
  if (!within(c.start_timeout, 0, INT32_MAX)) return invalid("startTimeout", c);
  return "";
}

bool is_number(std::string_view digits, int base) {
  return !digits.empty() &&
         std::all_of(digits.begin(), digits.end(), [base](char digit) { return digit >= '0' && digit < '0' + base; });
}

// Those that the API's documentation lists, but for what makes of a tmpfs something else (bind, rbind, remount).
bool is_tmpfs_option(std::string_view option) {
  constexpr const char* kWords =
      "defaults|ro|rw|suid|nosuid|dev|nodev|exec|noexec|sync|async|dirsync|mand|nomand|atime|noatime|diratime|nodiratime|"
      "unbindable|runbindable|private|rprivate|shared|rshared|slave|rslave|relatime|norelatime|strictatime|nostrictatime";
  const size_t equals = option.find('=');
  if (equals == option.npos) return is_one_of(kWords, option);
  const std::string_view value = option.substr(equals + 1);
  option = option.substr(0, equals);
  if (option == "mode") return is_number(value, 8);
  if (option == "mpol") return !value.empty();
  return is_one_of("uid|gid|nr_inodes|nr_blocks", option) && is_number(value, 10);
}

std::string tmpfs(const Subject&, const C& c) {
  if (!c.linux_parameters) return "";
  for (const auto& mount : list(c.linux_parameters->tmpfs)) {
    if (!text(mount.container_path).starts_with("/") || number(mount.size, 0) < 1) return invalid("tmpfs", c);
    for (const std::string& option : list(mount.mount_options))
      if (!is_tmpfs_option(option))
        return fmt::format("Invalid 'tmpfs' setting for container '{}'. The mount option '{}' is not valid.",
                           text(c.name), option);
  }
  return "";
}

std::string health_check(const Subject&, const C& c) {
  if (!c.health_check) return "";
  const auto& check = *c.health_check;
  if (list(check.command).empty()) return "Health check command cannot be empty.";
  if (!within(check.interval, 5, 300)) return "Health check interval should be between 5 and 300 seconds.";
  if (!within(check.timeout, 2, 60)) return "Health check timeout should be between 2 and 60 seconds.";
  if (!within(check.retries, 1, 10)) return "Health check retries should be between 1 and 10.";
  return within(check.start_period, 0, 300) ? "" : "Health check startPeriod should be between 0 and 300 seconds.";
}

std::string restart_policy(const Subject&, const C& c) {
  if (!c.restart_policy) return "";
  const auto& policy = *c.restart_policy;
  if (list(policy.ignored_exit_codes).size() > 50) return "RestartPolicy ignoredExitCodes can have at most 50 items.";
  return within(policy.restart_attempt_period, 60, 1800)
             ? ""
             : "RestartPolicy restartAttemptPeriod should be between 60 and 1800 seconds.";
}

bool is_ecr(std::string_view image) {
  return image.size() > 12 && image.substr(12).starts_with(".dkr.ecr.") &&
         std::all_of(image.begin(), image.begin() + 12, [](char digit) { return digit >= '0' && digit <= '9'; });
}

std::string roles(const Subject& s, const C& c) {
  if (!text(s.in.execution_role_arn).empty()) return "";
  if (!list(c.secrets).empty())
    return "When you are specifying container secrets, you must also specify a value for 'executionRoleArn'.";
  if (c.repository_credentials)
    return "Private repository authentication requires that the task definition specify a value for executionRoleArn.";
  if (!s.fargate) return "";
  if (is_ecr(text(c.image)))
    return "Fargate requires task definition to have execution role ARN to support ECR images.";
  if (c.log_configuration && text(c.log_configuration->log_driver) == "awslogs")
    return "Fargate requires task definition to have execution role ARN to support log driver awslogs.";
  return "";
}

std::string environment(const Subject&, const C& c) {
  for (const auto& variable : list(c.environment))
    if (is_blank(text(variable.name))) return kBlankVariable;
  return "";
}

std::string secrets(const Subject&, const C& c) {
  std::set<std::string> taken;
  for (const auto& variable : list(c.environment)) taken.insert(text(variable.name));
  for (const auto& secret : list(c.secrets))
    if (!taken.insert(text(secret.name)).second)
      return fmt::format(
          "The secret name must be unique and not shared with any new or existing environment variables set on the "
          "container, such as '{}'.",
          text(secret.name));
  return "";
}

std::string log_configuration(const Subject& s, const C& c) {
  if (!c.log_configuration) return "";
  const std::string driver = text(c.log_configuration->log_driver);
  if (s.fargate && !is_one_of("awslogs|splunk|awsfirelens", driver))
    return fmt::format("Log driver '{}' is not supported when the Fargate launch type is used.", driver);
  return driver == "awslogs" ? awslogs_error(map_of(c.log_configuration->options), s.fargate) : "";
}

constexpr std::array<Rule, 14> kRules{names,         memory,      ports,   awsvpc_only,      fargate_container,
                                      fargate_linux, limits,      tmpfs,   health_check,     restart_policy,
                                      roles,         environment, secrets, log_configuration};

}  // namespace

bool is_blank(std::string_view text) { return text.find_first_not_of(" \t\r\n\v\f") == text.npos; }

std::string container_text(const DefinitionSubject& s, const m::ContainerDefinition& c) {
  for (const Rule rule : kRules)
    if (std::string found = rule(s, c); !found.empty()) return found;
  return "";
}

}  // namespace berth::services::ecs
