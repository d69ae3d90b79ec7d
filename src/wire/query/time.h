// ISO 8601 as AWS's XML has it: "2026-03-01T12:00:00.000Z".
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace berth::wire {

void append_iso8601(std::string& out, TimeMs time_ms);
// With or without a fraction; "Z" or an offset.
std::optional<TimeMs> parse_iso8601(std::string_view text);

}  // namespace berth::wire
