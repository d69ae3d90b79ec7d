// The rules of one container definition; part of definition_rules.h's table.
#pragma once

#include <string>
#include <string_view>

#include "services/ecs/definition_rules.h"

namespace berth::services::ecs {

inline constexpr const char* kInvalidTaskCpu =
    "Invalid 'cpu' setting for task. For more information, see the Troubleshooting section of the Amazon ECS Developer "
    "Guide.";

inline constexpr const char* kBlankVariable = "Environment variable name cannot be null or blank.";
bool is_blank(std::string_view text);

std::string container_text(const DefinitionSubject& s, const m::ContainerDefinition& c);

}  // namespace berth::services::ecs
