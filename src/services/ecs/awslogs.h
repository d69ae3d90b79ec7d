// The options of the log driver awslogs. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "services/ecs/shapes.h"

namespace berth::services::ecs {

// The text of the ClientException that answers a definition with these options, or empty.
std::string awslogs_error(const model::StringMap& options, bool fargate);

// What the driver finds only when a task starts, as AWS does not look at registration: names that CloudWatch Logs cannot
// have, and patterns that are none. What follows "ResourceInitializationError: " then, or empty.
std::string awslogs_failure(const model::StringMap& options, std::string_view container);

// awslogs-multiline-pattern, or awslogs-datetime-format as such a pattern, which goes first. Empty: there is none. Absent
// where the format has a letter that the driver does not know.
std::optional<std::string> event_pattern(const model::StringMap& options);

// As Go's strconv.ParseBool, which the driver uses.
std::optional<bool> parse_switch(std::string_view text);
// Docker's sizes: "4096", "512k", "10m", "10MB", "1.5 GiB". Bytes; absent where it is none.
std::optional<int64_t> parse_byte_size(std::string_view text);

}  // namespace berth::services::ecs
