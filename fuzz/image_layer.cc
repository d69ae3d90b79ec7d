// A layer as berth-unpack reads it: decompression, tar, OCI's rules. What comes out must never name anything outside.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "agent/images/unpack/layer_reader.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void check_path(const std::string& path) {
  require(path.empty() || (path.front() != '/' && path.back() != '/'));
  for (size_t at = 0; at < path.size();) {
    const size_t slash = std::min(path.find('/', at), path.size());
    const std::string_view component = std::string_view(path).substr(at, slash - at);
    require(!component.empty() && component != "." && component != ".." && component.size() <= 255);
    require(component.find('\0') == component.npos);
    at = slash + 1;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  berth::unpack::Limits limits;
  limits.bytes_max = 4 << 20;
  limits.entries_max = 1000;
  uint64_t entries = 0;
  (void)berth::unpack::read_layer(
      std::string_view(reinterpret_cast<const char*>(data), size), limits,
      [&](const berth::unpack::Entry& entry, berth::unpack::Content& content) -> berth::Result<void> {
        require(++entries <= limits.entries_max);
        check_path(entry.path);
        if (entry.kind == berth::unpack::Kind::hardlink) check_path(entry.target);
        require((entry.mode & ~07777u) == 0);
        require(entry.size <= limits.bytes_max);
        for (const auto& [name, value] : entry.xattrs)
          require(name == "security.capability" || name.starts_with("user."));
        std::string_view bytes;
        uint64_t offset = 0;
        while (true) {
          auto more = content.next(bytes, offset);
          if (!more) return tl::unexpected(more.error());
          if (!*more) return {};
        }
      });
  return 0;
}
