#include "agent/images/oci.h"

#include "agent/images/image_name.h"
#include "base/json.h"

namespace berth::images {
namespace {

Result<Descriptor> descriptor(const json::Value& value) {
  Descriptor out{value["mediaType"].string_or(""), value["digest"].string_or(""), value["size"].int_or(-1)};
  // The digest becomes a file's name: nothing but sha256 and hexadecimal digits.
  if (!is_sha256_digest(out.digest)) return fail("a descriptor has no sha256 digest");
  if (out.size < 0) return fail("a descriptor has no size");
  for (const auto& [name, text] : value["annotations"].object_or_empty()) out.annotations[name] = text.string_or("");
  return out;
}

Result<std::vector<Descriptor>> descriptors(const json::Array& array, size_t most) {
  if (array.size() > most) return fail("there are more descriptors than an image may have");
  std::vector<Descriptor> out;
  for (const json::Value& value : array) {
    auto one = descriptor(value);
    if (!one) return tl::unexpected(one.error());
    out.push_back(std::move(*one));
  }
  return out;
}

std::vector<std::string> strings(const json::Value& value) {
  std::vector<std::string> out;
  for (const json::Value& element : value.array_or_empty()) out.push_back(element.string_or(""));
  return out;
}

std::vector<std::string> names(const json::Value& value) {
  std::vector<std::string> out;
  for (const auto& [name, ignored] : value.object_or_empty()) out.push_back(name);
  return out;
}

constexpr size_t kIndexEntriesMax = 100'000;

}  // namespace

Result<std::vector<Descriptor>> parse_index(std::string_view text) {
  auto value = json::parse(text);
  if (!value) return tl::unexpected(value.error());
  return descriptors((*value)["manifests"].array_or_empty(), kIndexEntriesMax);
}

Result<Manifest> parse_manifest(std::string_view text) {
  if (text.size() > kManifestBytesMax) return fail("the manifest is larger than 4 MiB");
  auto value = json::parse(text);
  if (!value) return tl::unexpected(value.error());
  if ((*value)["schemaVersion"].int_or(0) != 2) return fail("the manifest is not of schema version 2");
  auto config = descriptor((*value)["config"]);
  if (!config) return fail("the manifest names no configuration");
  auto layers = descriptors((*value)["layers"].array_or_empty(), kLayersMax);
  if (!layers) return tl::unexpected(layers.error());
  return Manifest{std::move(*config), std::move(*layers)};
}

Result<Configuration> parse_configuration(std::string_view text) {
  if (text.size() > kManifestBytesMax) return fail("the image's configuration is larger than 4 MiB");
  auto value = json::parse(text);
  if (!value) return tl::unexpected(value.error());
  Configuration out;
  ImageConfig& config = out.config;
  config.architecture = (*value)["architecture"].string_or("");
  config.os = (*value)["os"].string_or("");
  const json::Value& run = (*value)["config"];
  config.env = strings(run["Env"]);
  config.entrypoint = strings(run["Entrypoint"]);
  config.cmd = strings(run["Cmd"]);
  config.user = run["User"].string_or("");
  config.working_dir = run["WorkingDir"].string_or("");
  config.stop_signal = run["StopSignal"].string_or("");
  config.volumes = names(run["Volumes"]);
  if (config.volumes.size() > kVolumesMax) return fail("the image declares more volumes than 256");
  config.exposed_ports = names(run["ExposedPorts"]);
  for (const auto& [name, label] : run["Labels"].object_or_empty())
    config.labels.emplace_back(name, label.string_or(""));
  out.diff_ids = strings((*value)["rootfs"]["diff_ids"]);
  if (out.diff_ids.size() > kLayersMax) return fail("the image has more layers than 127");
  for (const std::string& id : out.diff_ids) {
    if (!is_sha256_digest(id)) return fail("the image's configuration names a layer without a sha256 digest");
  }
  return out;
}

std::string render_index(const std::vector<Descriptor>& manifests) {
  std::string text;
  json::Writer writer(text);
  writer.begin_object().member("schemaVersion", 2).key("manifests").begin_array();
  for (const Descriptor& manifest : manifests) {
    writer.begin_object().member("mediaType", manifest.media_type).member("digest", manifest.digest);
    writer.member("size", manifest.size).key("annotations").begin_object();
    for (const auto& [name, value] : manifest.annotations) writer.member(name, value);
    writer.end_object().end_object();
  }
  writer.end_array().end_object();
  return text + "\n";
}

}  // namespace berth::images
