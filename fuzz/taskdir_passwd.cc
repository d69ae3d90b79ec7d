// /etc/passwd and /etc/group come from images: hostile.
#include "agent/runtime/users.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const size_t first = bytes.find('\0');
  const std::string_view user = bytes.substr(0, first);
  const std::string_view rest = first == std::string_view::npos ? std::string_view() : bytes.substr(first + 1);
  const size_t second = rest.find('\0');
  const std::string_view group = second == std::string_view::npos ? std::string_view() : rest.substr(second + 1);
  (void)berth::runtime::resolve_user(user, rest.substr(0, second), group);
  return 0;
}
