// Every bound on a queue, body, depth, page and retry. Each rejection has a test beside the code that rejects.
#pragma once

#include <cstddef>
#include <cstdint>

namespace berth::limits {

inline constexpr size_t kHttpHeaderBytesMax = 16 * 1024;
inline constexpr size_t kHttpBodyBytesMax = 2 * 1024 * 1024;  // PutLogEvents: 1 MiB of events and their JSON escapes
inline constexpr size_t kHttpConnectionsMax = 4096;
inline constexpr int kJsonDepthMax = 64;
inline constexpr int64_t kClockSkewMaxMs = 5 * 60 * 1000;  // SigV4: AWS refuses signatures older or newer than this

}  // namespace berth::limits
