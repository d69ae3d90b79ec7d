#include "records/keys.h"

#include <algorithm>
#include <array>
#include <charconv>

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

std::optional<keys::TaskPath> keys::task_path_of_arn(std::string_view arn) {
  // arn:aws:ecs:<region>:<account>:task/<cluster>/<id>
  std::array<std::string_view, 6> parts;
  for (size_t i = 0; i < parts.size(); ++i) {
    const size_t colon = i + 1 < parts.size() ? arn.find(':') : arn.size();
    if (colon == std::string_view::npos) return std::nullopt;
    parts[i] = arn.substr(0, colon);
    arn.remove_prefix(std::min(colon + 1, arn.size()));
  }
  std::string_view resource = parts[5];
  if (!resource.starts_with("task/")) return std::nullopt;
  resource.remove_prefix(5);
  const size_t slash = resource.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  return TaskPath{{std::string(parts[4]), std::string(parts[3])},
                  std::string(resource.substr(0, slash)),
                  std::string(resource.substr(slash + 1))};
}

keys::DefinitionPath keys::definition_path(std::string_view key) {
  auto parts = last_four(key);
  DefinitionPath path{{std::move(parts[0]), std::move(parts[1])}, std::move(parts[2]), 0};
  std::from_chars(parts[3].data(), parts[3].data() + parts[3].size(), path.revision);
  return path;
}

keys::ServicePath keys::service_path(std::string_view key) {
  auto parts = last_four(key);
  return {{std::move(parts[0]), std::move(parts[1])}, std::move(parts[2]), std::move(parts[3])};
}

}  // namespace berth::records
