#include "records/keys.h"

#include <array>

#include "base/assert.h"

namespace berth::records {
namespace {

// The last four parts of a key: account, region, cluster, name.
std::array<std::string, 4> last_four(std::string_view key) {
  std::array<std::string, 4> parts;
  for (int i = 3; i >= 0; --i) {
    const size_t slash = key.rfind('/');
    BERTH_ASSERT(slash != std::string_view::npos);
    parts[static_cast<size_t>(i)] = key.substr(slash + 1);
    key = key.substr(0, slash);
  }
  return parts;
}

}  // namespace

std::string escape_key_part(std::string_view part) {
  std::string out;
  out.reserve(part.size());
  for (char c : part) {
    if (c == '/')
      out += "%2F";
    else if (c == '%')
      out += "%25";
    else
      out += c;
  }
  return out;
}

std::string unescape_key_part(std::string_view part) {
  std::string out;
  for (size_t i = 0; i < part.size(); ++i) {
    if (part[i] == '%' && part.substr(i, 3) == "%2F") {
      out += '/';
      i += 2;
    } else if (part[i] == '%' && part.substr(i, 3) == "%25") {
      out += '%';
      i += 2;
    } else {
      out += part[i];
    }
  }
  return out;
}

keys::TaskPath keys::task_path(std::string_view key) {
  auto parts = last_four(key);
  return {{std::move(parts[0]), std::move(parts[1])}, std::move(parts[2]), std::move(parts[3])};
}

keys::ServicePath keys::service_path(std::string_view key) {
  auto parts = last_four(key);
  return {{std::move(parts[0]), std::move(parts[1])}, std::move(parts[2]), std::move(parts[3])};
}

}  // namespace berth::records
