// Reads what an OCI layout says: index, manifest, configuration. Pure: text in, values out; hostile text is an error.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "agent/images/image.h"
#include "base/result.h"

namespace berth::images {

inline constexpr size_t kLayersMax = 127;             // Docker's own bound; overlayfs takes 500
inline constexpr size_t kVolumesMax = 256;            // each may become a mount of each of its containers
inline constexpr size_t kManifestBytesMax = 4 << 20;  // registries accept no larger ones

struct Descriptor {
  std::string media_type;
  std::string digest;
  int64_t size = 0;
  std::map<std::string, std::string> annotations = {};
};

struct Manifest {
  Descriptor config;
  std::vector<Descriptor> layers;  // bottom to top
};

struct Configuration {
  ImageConfig config;
  std::vector<std::string> diff_ids;  // of the uncompressed layers, bottom to top
};

inline constexpr const char* kRefName = "org.opencontainers.image.ref.name";

Result<std::vector<Descriptor>> parse_index(std::string_view text);
Result<Manifest> parse_manifest(std::string_view text);
Result<Configuration> parse_configuration(std::string_view text);

std::string render_index(const std::vector<Descriptor>& manifests);

}  // namespace berth::images
