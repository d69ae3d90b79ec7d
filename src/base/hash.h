// FNV-1a: for names that must be short and for telling texts apart, never where somebody gains by making two alike.
#pragma once

#include <cstdint>
#include <string_view>

namespace berth {

// `so_far`: the hash of what stands before, to go on from.
constexpr uint64_t fnv1a(std::string_view text, uint64_t so_far = 14695981039346656037u) {
  for (const char c : text) so_far = (so_far ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return so_far;
}

}  // namespace berth
