// From a container's definition and image to what the OCI runtime is told. Pure but for user names, which are looked up in
// the image's own files.
#pragma once

#include <string>
#include <vector>

#include "agent/apply/image_volumes.h"
#include "agent/apply/order.h"
#include "agent/images/image.h"
#include "agent/runtime/container_spec.h"
#include "base/result.h"
#include "records/task_definition.h"

namespace berth::agent {

struct BundlePlace {
  std::string task_directory;  // absolute
  std::string instance;
  std::string host_name;  // the interface's private DNS name
  std::string init_program;
  int64_t open_files_max = 0;  // see runtime::ContainerSpec
};

Result<runtime::ContainerSpec> container_spec(const Assignment& assigned,
                                              const std::vector<records::ContainerDefinition>& containers, size_t index,
                                              const images::ResolvedImage& image,
                                              const std::vector<ImageVolume>& image_volumes, const BundlePlace& place);

}  // namespace berth::agent
