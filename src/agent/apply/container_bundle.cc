#include "agent/apply/container_bundle.h"

#include <fmt/format.h>

#include "agent/images/layers.h"
#include "agent/runtime/users.h"
#include "taskdir/paths.h"

namespace berth::agent {

using records::ContainerDefinition;

namespace {

struct Volumes {
  const std::vector<ContainerDefinition>& containers;
  const std::vector<ImageVolume>& of_images;
  const std::string directory;
};

// Mounts of the containers that it names in volumesFrom come first, then its own, as Docker does. A source may name sources.
void add_volumes(const Volumes& volumes, const ContainerDefinition& container, bool read_only, size_t hops_max,
                 std::vector<runtime::BindMount>& out) {
  if (hops_max == 0) return;
  const auto add = [&](const std::string& volume, const std::string& path, bool of_it_read_only) {
    out.push_back({fmt::format("{}/{}", volumes.directory, volume), path, read_only || of_it_read_only});
  };
  for (const records::VolumeFrom& from : container.volumes_from)
    for (const ContainerDefinition& source : volumes.containers)
      if (source.name == from.container) add_volumes(volumes, source, read_only || from.read_only, hops_max - 1, out);
  for (const ImageVolume& volume : volumes.of_images)
    if (volume.unnamed && volumes.containers[volume.plan.container].name == container.name)
      add(volume.plan.name, volume.plan.path, false);
  for (const records::MountPoint& mount : container.mount_points)
    add(mount.volume, mount.container_path, mount.read_only);
}

std::vector<runtime::BindMount> binds_of(const std::vector<ContainerDefinition>& containers,
                                         const ContainerDefinition& container,
                                         const std::vector<ImageVolume>& image_volumes, const BundlePlace& place) {
  std::vector<runtime::BindMount> out;
  for (const char* file : {"hosts", "hostname", "resolv.conf"})
    out.push_back({fmt::format("{}/network/{}", place.task_directory, file), fmt::format("/etc/{}", file), false});
  const std::string directory = fmt::format("{}/{}", place.task_directory, taskdir::kVolumesDirectory);
  // A definition in which containers lend in a circle is not registered.
  add_volumes({containers, image_volumes, directory}, container, false, containers.size(), out);
  return out;
}

// What Fargate puts into every container (its metadata and credentials endpoints are not served yet, so their variables
// are left out). The definition may say otherwise.
std::vector<std::pair<std::string, std::string>> environment_of(const Assignment& assigned,
                                                                const ContainerDefinition& container,
                                                                const BundlePlace& place) {
  std::vector<std::pair<std::string, std::string>> out{{"HOSTNAME", place.host_name},
                                                       {"AWS_EXECUTION_ENV", "AWS_ECS_FARGATE"},
                                                       {"AWS_REGION", assigned.path.scope.region},
                                                       {"AWS_DEFAULT_REGION", assigned.path.scope.region}};
  out.insert(out.end(), container.environment.begin(), container.environment.end());
  return out;
}

}  // namespace

Result<runtime::ContainerSpec> container_spec(const Assignment& assigned,
                                              const std::vector<ContainerDefinition>& containers, size_t index,
                                              const images::ResolvedImage& image,
                                              const std::vector<ImageVolume>& image_volumes, const BundlePlace& place) {
  const ContainerDefinition& container = containers[index];
  runtime::ContainerSpec spec;
  spec.image = {image.config.env,  image.config.entrypoint,  image.config.cmd,
                image.config.user, image.config.working_dir, image.config.stop_signal};
  spec.entry_point = container.entry_point;
  spec.command = container.command;
  spec.environment = environment_of(assigned, container, place);
  spec.working_directory = container.working_directory;
  auto user = runtime::resolve_user(container.user.empty() ? image.config.user : container.user,
                                    images::read_from_layers(image.layers, "etc/passwd"),
                                    images::read_from_layers(image.layers, "etc/group"));
  if (!user) return tl::unexpected(user.error());
  spec.user = std::move(*user);
  for (const records::Ulimit& limit : container.ulimits)
    spec.resource_limits.push_back({limit.name, limit.soft, limit.hard});
  for (const records::Tmpfs& tmpfs : container.tmpfs)
    spec.tmpfs.push_back({tmpfs.container_path, tmpfs.size_mib, tmpfs.mount_options});
  spec.capabilities_add = container.capabilities_add;
  spec.capabilities_drop = container.capabilities_drop;
  spec.system_controls = container.system_controls;
  spec.init_process = container.init_process;
  spec.readonly_root = container.readonly_root;
  spec.memory_limit_bytes = int64_t{container.memory_mib} * 1024 * 1024;
  spec.cpu_shares = container.cpu_units;
  spec.hostname = place.host_name;
  spec.binds = binds_of(containers, container, image_volumes, place);
  // The layers are mounted by the supervisor, in its own mount namespace, at this place.
  spec.root = fmt::format("{}/{}/root", place.task_directory, taskdir::container_directory(container.name));
  spec.network_namespace = fmt::format("{}/{}", place.task_directory, taskdir::kNetworkNamespaceFile);
  spec.cgroup = fmt::format("/berth-{}/{}/{}", place.instance, assigned.path.id, container.name);
  spec.init_program = place.init_program;
  spec.open_files_max = place.open_files_max;
  return spec;
}

}  // namespace berth::agent
