// Bodies with Content-Encoding: gzip. Any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace berth::wire {

enum class Gunzip { whole, too_large, broken };

// Appends what `packed` unpacks to. Stops at `max` bytes: a small body may unpack to any size.
Gunzip gunzip(std::string_view packed, size_t max, std::string& out);

// As much of the beginning as unpacks to at most `max` bytes; empty where it is not gzip.
std::string gunzip_beginning(std::string_view packed, size_t max);

}  // namespace berth::wire
