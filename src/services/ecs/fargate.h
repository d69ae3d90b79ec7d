// Sizes of a task, as they may be written and as Fargate has them; platform versions. Pure tables.
#pragma once

#include <optional>
#include <string_view>

namespace berth::services::ecs {

// "1024", "1 vCPU", ".5 vcpu": CPU units. "2048", "2GB", "0.5 GB": MiB. Absent where the text is neither.
std::optional<int> parse_cpu_units(std::string_view text);
std::optional<int> parse_memory_mib(std::string_view text);

bool fargate_has_cpu(int cpu_units);
bool fargate_has(int cpu_units, int memory_mib);  // one of 74 pairs
// The two largest CPU sizes came with platform version 1.4.0.
bool fargate_needs_platform_1_4(int cpu_units);

// LATEST and the versions that AWS names for Linux; absent for any other ("1.4" too). LATEST is 1.4.0.
std::optional<std::string_view> resolve_platform_version(std::string_view text);

}  // namespace berth::services::ecs
