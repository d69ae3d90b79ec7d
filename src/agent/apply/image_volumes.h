// What images say with VOLUME. Pure.
//
// A volume that a container mounts at such a path begins with what the image has there, with its owner and mode, as ECS
// documents for bind mounts; others begin empty. Such a path that no volume covers stays a part of the container's root,
// which is the same to the container but in three cases, for which a volume is made: the root is read-only, another
// container has the path by volumesFrom, or the image has nothing there, where Docker makes a directory.
//
// Nothing is copied: the volume is the path in the root of the first container that has it, whose writes are its own.
#pragma once

#include <string>
#include <vector>

#include "agent/images/image.h"
#include "records/task_definition.h"
#include "taskdir/plan.h"

namespace berth::agent {

struct ImageVolume {
  taskdir::VolumePlan plan;
  bool unnamed = false;  // not one of the task definition's: the container must be given it
  bool operator==(const ImageVolume&) const = default;
};

// `images[i]` is container i's.
std::vector<ImageVolume> image_volumes(const std::vector<records::ContainerDefinition>& containers,
                                       const std::vector<images::ResolvedImage>& images);

}  // namespace berth::agent
