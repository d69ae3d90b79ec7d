// What an image's author writes and the daemon reads: index, manifest, configuration, and names.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "agent/images/image_name.h"
#include "agent/images/oci.h"
#include "agent/images/registry.h"
#include "agent/images/skopeo.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace berth::images;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto index = parse_index(text)) {
    for (const Descriptor& manifest : *index) require(is_sha256_digest(manifest.digest));
    const auto again = parse_index(render_index(*index));
    require(again && again->size() == index->size());
  }
  if (const auto manifest = parse_manifest(text)) {
    require(is_sha256_digest(manifest->config.digest) && manifest->layers.size() <= kLayersMax);
    for (const Descriptor& layer : manifest->layers) require(is_sha256_digest(layer.digest));
  }
  if (const auto configuration = parse_configuration(text)) {
    for (const std::string& id : configuration->diff_ids) require(is_sha256_digest(id));
  }
  if (const auto name = parse_image_name(text)) {
    require(parse_image_name(name->canonical()) == *name);
    (void)registry_address(*name);
  }
  (void)skopeo_message(std::string(text));
  return 0;
}
