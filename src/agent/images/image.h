// What an image is to a task: its configuration and its unpacked layers.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace berth::images {

// The part of an OCI image configuration ("application/vnd.oci.image.config.v1+json" and Docker's) that starts
// processes.
struct ImageConfig {
  std::string architecture;
  std::string os;
  std::vector<std::string> env;  // NAME=value
  std::vector<std::string> entrypoint;
  std::vector<std::string> cmd;
  std::string user;                        // "name", "uid", "user:group"; empty is root
  std::string working_dir;                 // empty is /
  std::string stop_signal;                 // "SIGQUIT", "3"; empty is SIGTERM
  std::vector<std::string> volumes;        // paths
  std::vector<std::string> exposed_ports;  // "80/tcp"
  std::vector<std::pair<std::string, std::string>> labels;
  bool operator==(const ImageConfig&) const = default;
};

struct ImageSummary {
  std::string name;        // canonical
  std::string digest;      // of the manifest
  int64_t size_bytes = 0;  // of its blobs, compressed as they are
  size_t layers = 0;
};

struct ResolvedImage {
  std::string name;    // canonical
  std::string digest;  // of the manifest: imageDigest
  ImageConfig config;
  std::vector<std::string> layers;           // directories, top to bottom, as overlayfs's lowerdir has them
  std::vector<std::string> volumes_missing;  // of config.volumes, those that the layers lack (layers.h)
  // While a copy of this lives, the layers stay. Keep it until the task directory names them.
  std::shared_ptr<const void> lease;
};

}  // namespace berth::images
