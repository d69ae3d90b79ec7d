#include "agent/images/layout.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "agent/images/image_name.h"
#include "base/files.h"
#include "base/kill_point.h"
#include "base/random.h"

namespace berth::images {
namespace {

namespace fs = std::filesystem;

constexpr size_t kJsonBytesMax = 64 << 20;  // index.json of a store with a hundred thousand images

std::string blob_in(const std::string& layout, const std::string& digest) {
  return layout + "/blobs/sha256/" + digest.substr(7);
}

std::string random_name() {
  SystemRandom random;
  return new_hex_id(random, 16);
}

}  // namespace

Incoming::~Incoming() {
  std::error_code error;
  fs::remove_all(directory, error);
}

std::string Incoming::blob(const std::string& digest) const { return blob_in(directory, digest); }

Result<Descriptor> Incoming::manifest() const {
  auto text = read_file(directory + "/index.json", kManifestBytesMax, O_NOFOLLOW);
  if (!text) return tl::unexpected(text.error());
  auto manifests = parse_index(*text);
  if (!manifests) return tl::unexpected(manifests.error());
  if (manifests->size() != 1) return fail("the copied image has no manifest");
  return manifests->front();
}

std::string Layout::blob(const std::string& digest) const { return blob_in(directory_ + "/oci", digest); }

Incoming Layout::new_incoming() const { return Incoming(directory_ + "/incoming/" + random_name()); }

Result<std::string> Layout::empty_layer() const {
  const std::string path = layers_directory() + "/none";
  // The root of a container: the daemon's umask must not decide about it.
  if ((::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) || ::chmod(path.c_str(), 0755) != 0)
    return fail(errno, "make directory " + path);
  return path;
}

Result<void> Layout::prepare() const {
  std::error_code error;
  for (const char* part : {"", "/oci", "/oci/blobs", "/oci/blobs/sha256", "/layers", "/incoming"}) {
    const std::string path = directory_ + part;
    if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return fail(errno, "make directory " + path);
  }
  if (::access((directory_ + "/oci/oci-layout").c_str(), F_OK) != 0) {
    if (auto written =
            replace_file(directory_ + "/oci/oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}\n", Durable::yes);
        !written) {
      return written;
    }
  }
  for (const auto& entry : fs::directory_iterator(directory_ + "/incoming", error)) fs::remove_all(entry.path(), error);
  for (const auto& entry : fs::directory_iterator(layers_directory(), error)) {
    if (entry.path().filename().string().starts_with(".")) fs::remove_all(entry.path(), error);
  }
  return {};
}

Result<std::vector<Descriptor>> Layout::read_index() const {
  auto text = read_file(directory_ + "/oci/index.json", kJsonBytesMax, O_NOFOLLOW);
  if (!text && text.error().errno_value == ENOENT) return std::vector<Descriptor>{};
  if (!text) return tl::unexpected(text.error());
  auto index = parse_index(*text);
  // Not taken for an empty one: all blobs and layers would be collected as nobody's.
  if (!index) {
    return fail(
        fmt::format("{}/oci/index.json, the list of images, is damaged ({}): move it away and load the images again",
                    directory_, index.error().context));
  }
  return index;
}

Result<void> Layout::write_index(const std::vector<Descriptor>& manifests) const {
  kill_point("before-image-index");
  auto written = replace_file(directory_ + "/oci/index.json", render_index(manifests), Durable::yes);
  kill_point("after-image-index");
  return written;
}

Result<StoredImage> Layout::read_image(const std::string& manifest_path,
                                       const std::function<std::string(const std::string&)>& blob_path) const {
  auto text = read_file(manifest_path, kManifestBytesMax, O_NOFOLLOW);
  if (!text) return tl::unexpected(text.error());
  auto manifest = parse_manifest(*text);
  if (!manifest) return tl::unexpected(manifest.error());
  auto configuration_text = read_file(blob_path(manifest->config.digest), kManifestBytesMax, O_NOFOLLOW);
  if (!configuration_text) return tl::unexpected(configuration_text.error());
  auto configuration = parse_configuration(*configuration_text);
  if (!configuration) return tl::unexpected(configuration.error());
  if (configuration->diff_ids.size() != manifest->layers.size()) {
    return fail("the image's manifest and its configuration name different numbers of layers");
  }
  return StoredImage{std::move(*manifest), std::move(*configuration)};
}

Result<void> Layout::take(const Incoming& incoming) const {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(incoming.directory + "/blobs/sha256", error)) {
    const std::string to = directory_ + "/oci/blobs/sha256/" + entry.path().filename().string();
    if (::rename(entry.path().c_str(), to.c_str()) != 0) return fail(errno, "rename to " + to);
  }
  if (error) return fail(error.value(), "read " + incoming.directory);
  return {};
}

std::vector<std::string> Layout::set_aside_layers_except(const std::set<std::string>& directories) const {
  std::vector<std::string> aside;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(layers_directory(), error)) {
    const std::string name = entry.path().filename();
    if (name.starts_with(".") || directories.contains(entry.path())) continue;
    const std::string gone = layers_directory() + "/.gone-" + name + "-" + random_name();
    if (::rename(entry.path().c_str(), gone.c_str()) == 0) aside.push_back(gone);
  }
  return aside;
}

void Layout::remove_blobs_except(const std::set<std::string>& digests) const {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory_ + "/oci/blobs/sha256", error)) {
    const std::string digest = "sha256:" + entry.path().filename().string();
    if (!digests.contains(digest)) ::unlink(entry.path().c_str());
  }
}

}  // namespace berth::images
