#include "agent/apply/container_bundle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::agent {
namespace {

using records::ContainerDefinition;
using testing::ElementsAre;

ContainerDefinition container(const std::string& name, std::vector<records::MountPoint> mounts,
                              std::vector<records::VolumeFrom> from = {}) {
  ContainerDefinition out;
  out.name = name;
  out.mount_points = std::move(mounts);
  out.volumes_from = std::move(from);
  return out;
}

// "volume:path", with ":ro" where it is.
std::vector<std::string> volumes_of(const std::vector<ContainerDefinition>& containers, size_t index,
                                    const std::vector<ImageVolume>& image_volumes) {
  const auto spec = container_spec({}, containers, index, {}, image_volumes, {.task_directory = "/t"});
  EXPECT_TRUE(spec) << spec.error().context;
  std::vector<std::string> out;
  for (const runtime::BindMount& bind : spec->binds)
    if (bind.source.starts_with("/t/volumes/"))
      out.push_back(bind.source.substr(11) + ":" + bind.destination + (bind.read_only ? ":ro" : ""));
  return out;
}

TEST(ContainerSpec, HasByVolumesFromWhatItsSourceHasByVolumesFrom) {
  const std::vector<ContainerDefinition> all = {
      container("a", {{"data", "/data", false}}), container("b", {{"own", "/own", true}}, {{"a", false}}),
      container("c", {{"data", "/mine", false}}, {{"b", true}}), container("d", {}, {{"c", false}})};
  const std::vector<ImageVolume> of_images = {{{"image.0.0", 0, "/seed"}, true}, {{"data", 0, "/data"}, false}};
  EXPECT_THAT(volumes_of(all, 0, of_images), ElementsAre("image.0.0:/seed", "data:/data"));
  EXPECT_THAT(volumes_of(all, 1, of_images), ElementsAre("image.0.0:/seed", "data:/data", "own:/own:ro"));
  const auto lent = {"image.0.0:/seed:ro", "data:/data:ro", "own:/own:ro", "data:/mine"};
  EXPECT_THAT(volumes_of(all, 2, of_images), testing::ElementsAreArray(lent));
  EXPECT_THAT(volumes_of(all, 3, of_images), testing::ElementsAreArray(lent));
}

}  // namespace
}  // namespace berth::agent
