#include "images_world.h"

#include <fmt/core.h>
#include <nettle/sha2.h>

#include <future>

namespace berth::images {

std::string sha256(const std::string& bytes) {
  sha256_ctx context;
  sha256_init(&context);
  sha256_update(&context, bytes.size(), reinterpret_cast<const uint8_t*>(bytes.data()));
  uint8_t digest[SHA256_DIGEST_SIZE];
  sha256_digest(&context, sizeof digest, digest);
  std::string text = "sha256:";
  for (uint8_t byte : digest) text += fmt::format("{:02x}", byte);
  return text;
}

Result<ResolvedImage> obtain(ImageStore& images, const std::string& name) {
  if (auto present = images.resolve(name)) return *present;
  std::promise<Result<void>> pulled;
  images.pull(name, [&](const Result<ImageSummary>& image) {
    pulled.set_value(image ? Result<void>() : tl::unexpected(image.error()));
  });
  if (auto result = pulled.get_future().get(); !result) return tl::unexpected(result.error());
  if (auto present = images.resolve(name)) return *present;
  return fail("it was pulled, and is not here");
}

std::string ImagesHost::oci(const std::string& name, const std::vector<std::string>& tars, const std::string& config) {
  const std::string base = directory_ + "/" + name;
  const auto blob = [&](const std::string& bytes) {
    const std::string digest = sha256(bytes);
    put(name + "/blobs/sha256/" + digest.substr(7), bytes);
    return fmt::format(R"("digest":"{}","size":{})", digest, bytes.size());
  };
  std::string layers_text, ids;
  for (const std::string& tar : tars) {
    layers_text += (layers_text.empty() ? "" : ",") +
                   fmt::format(R"({{"mediaType":"application/vnd.oci.image.layer.v1.tar",{}}})", blob(tar));
    ids += (ids.empty() ? "\"" : ",\"") + sha256(tar) + "\"";
  }
  const std::string configuration =
      fmt::format(R"({{"architecture":"amd64","os":"linux","config":{},"rootfs":{{"type":"layers","diff_ids":[{}]}}}})",
                  config, ids);
  const std::string manifest = fmt::format(
      R"({{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":"application/vnd.oci.image.config.v1+json",{}}},"layers":[{}]}})",
      blob(configuration), layers_text);
  put(name + "/index.json",
      fmt::format(
          R"({{"schemaVersion":2,"manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json",{},"annotations":{{"org.opencontainers.image.ref.name":"t"}}}}]}})",
          blob(manifest)));
  put(name + "/oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
  return base;
}

}  // namespace berth::images
