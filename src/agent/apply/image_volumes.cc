#include "agent/apply/image_volumes.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <string_view>

namespace berth::agent {

using records::ContainerDefinition;

namespace {

// "data/", "/./data" → "/data"; empty for the root itself.
std::string plain(const std::string& path) {
  std::string out = (std::filesystem::path("/") / path).lexically_normal().string();
  while (out.ends_with('/')) out.pop_back();
  return out;
}

// What every container is given anyway, whatever its image has there: /sys/fs/cgroup stands in many that are made for systemd.
bool is_given(const std::string& path) {
  for (const std::string_view mounted : {"/proc", "/sys", "/dev", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"})
    if (path.starts_with(mounted) && (path.size() == mounted.size() || path[mounted.size()] == '/')) return true;
  return false;
}

}  // namespace

std::vector<ImageVolume> image_volumes(const std::vector<ContainerDefinition>& containers,
                                       const std::vector<images::ResolvedImage>& images) {
  std::vector<ImageVolume> out;
  for (uint32_t i = 0; i < containers.size(); ++i) {
    const ContainerDefinition& container = containers[i];
    const std::vector<std::string>& paths = images[i].config.volumes;
    const std::vector<std::string>& missing = images[i].volumes_missing;
    if (paths.empty()) continue;
    const bool lends = std::any_of(containers.begin(), containers.end(), [&](const ContainerDefinition& other) {
      return std::any_of(other.volumes_from.begin(), other.volumes_from.end(),
                         [&](const records::VolumeFrom& from) { return from.container == container.name; });
    });
    for (size_t k = 0; k < paths.size(); ++k) {
      const std::string path = plain(paths[k]);
      if (path.empty()) continue;
      const auto mount =
          std::find_if(container.mount_points.begin(), container.mount_points.end(),
                       [&](const records::MountPoint& point) { return plain(point.container_path) == path; });
      if (mount != container.mount_points.end()) {
        const bool begun = std::any_of(out.begin(), out.end(), [&](const ImageVolume& other) {
          return !other.unnamed && other.plan.name == mount->volume;
        });
        if (!begun) out.push_back({{mount->volume, i, path}, false});
      } else if (!is_given(path) && (container.readonly_root || lends ||
                                     std::find(missing.begin(), missing.end(), paths[k]) != missing.end())) {
        // With a dot, which no volume of a task definition has in its name.
        out.push_back({{fmt::format("image.{}.{}", i, k), i, path}, true});
      }
    }
  }
  return out;
}

}  // namespace berth::agent
