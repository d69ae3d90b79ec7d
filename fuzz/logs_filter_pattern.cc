// FilterLogEvents' pattern: written by callers, matched against what containers print.
#include <cstdint>
#include <cstdlib>

#include "services/logs/filter_pattern.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using berth::services::logs::FilterPattern;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const size_t cut = bytes.find('\0');
  const auto pattern = FilterPattern::parse(bytes.substr(0, cut));
  if (!pattern) {
    if (pattern.error().type != "InvalidParameterException") abort();
    return 0;
  }
  const bool matched = pattern->matches(cut == bytes.npos ? bytes : bytes.substr(cut + 1));
  if (pattern->matches_all() && !matched) abort();
  return 0;
}
