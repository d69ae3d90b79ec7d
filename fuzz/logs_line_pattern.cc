// Patterns come with task definitions, lines from containers: neither is to be trusted.
#include "logstore/writer/line_pattern.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const size_t end = bytes.find('\0');
  berth::logstore::LinePattern pattern;
  if (pattern.compile(bytes.substr(0, end))) return 0;
  std::string_view line = end == std::string_view::npos ? bytes : bytes.substr(end + 1);
  (void)pattern.matches(line.substr(0, 1000));
  return 0;
}
