#include "agent/apply/image_volumes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::agent {
namespace {

using records::ContainerDefinition;
using testing::ElementsAre;
using testing::IsEmpty;

images::ResolvedImage image(std::vector<std::string> volumes) {
  images::ResolvedImage out;
  out.config.volumes = std::move(volumes);
  return out;
}

ContainerDefinition container(const std::string& name, std::vector<records::MountPoint> mounts = {}) {
  ContainerDefinition out;
  out.name = name;
  out.mount_points = std::move(mounts);
  return out;
}

TEST(ImageVolumes, BeginAVolumeMountedAtTheSamePath) {
  const std::vector<ContainerDefinition> two = {
      container("a", {{"shared", "/var/log/", false}, {"other", "/x", false}}),
      container("b", {{"shared", "/var/log", false}})};
  const ImageVolume begun{{"shared", 0, "/var/log"}, false};
  EXPECT_THAT(image_volumes(two, {image({"/var/log"}), image({"/var/log"})}), ElementsAre(begun))
      << "the first container's image counts";
  const ImageVolume second{{"shared", 1, "/var/log"}, false};
  EXPECT_THAT(image_volumes(two, {image({}), image({"var/log/"})}), ElementsAre(second));
  EXPECT_THAT(image_volumes(two, {image({}), image({})}), IsEmpty());
}

TEST(ImageVolumes, StayInTheRootUnlessItIsReadOnlyOrLent) {
  std::vector<ContainerDefinition> two = {container("a"), container("b")};
  const std::vector<images::ResolvedImage> images = {image({"/", "/data"}), image({})};
  EXPECT_THAT(image_volumes(two, images), IsEmpty());
  const ImageVolume made{{"image.0.1", 0, "/data"}, true};
  two[0].readonly_root = true;
  EXPECT_THAT(image_volumes(two, images), ElementsAre(made));
  two[0].readonly_root = false;
  two[1].volumes_from = {{"a", false}};
  EXPECT_THAT(image_volumes(two, images), ElementsAre(made));
}

TEST(ImageVolumes, AreMadeWhereTheImageHasNothing) {
  const std::vector<ContainerDefinition> one = {container("a")};
  std::vector<images::ResolvedImage> images = {image({"/data", "/there", "/sys/fs/cgroup"})};
  images[0].volumes_missing = {"/data", "/sys/fs/cgroup"};
  const ImageVolume made{{"image.0.0", 0, "/data"}, true};
  EXPECT_THAT(image_volumes(one, images), ElementsAre(made)) << "what every container has is left to it";
}

}  // namespace
}  // namespace berth::agent
