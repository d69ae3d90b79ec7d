// The directories of the image store and what may be done to them; drawing in image_store.h.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "agent/images/oci.h"
#include "base/result.h"

namespace berth::images {

struct StoredImage {
  Manifest manifest;
  Configuration configuration;
};

// A layout that skopeo writes; removed with its owner.
struct Incoming {
  explicit Incoming(std::string path) : directory(std::move(path)) {}
  Incoming(const Incoming&) = delete;
  Incoming& operator=(const Incoming&) = delete;
  ~Incoming();
  std::string directory;
  std::string blob(const std::string& digest) const;
  Result<Descriptor> manifest() const;  // the only one of its index
};

class Layout {
 public:
  explicit Layout(std::string directory) : directory_(std::move(directory)) {}

  // Makes what is missing and removes what a killed process left half done.
  Result<void> prepare() const;
  std::string layers_directory() const { return directory_ + "/layers"; }
  std::string blob(const std::string& digest) const;
  Incoming new_incoming() const;
  // Of an image without layers; made where it is missing.
  Result<std::string> empty_layer() const;

  Result<std::vector<Descriptor>> read_index() const;
  Result<void> write_index(const std::vector<Descriptor>& manifests) const;  // on the disk when it returns
  // Manifest and configuration; `blob_path` says where a digest lies.
  Result<StoredImage> read_image(const std::string& manifest_path,
                                 const std::function<std::string(const std::string&)>& blob_path) const;
  // Moves all blobs into the store.
  Result<void> take(const Incoming& incoming) const;

  // By full path. Those set aside are to be removed by the caller.
  std::vector<std::string> set_aside_layers_except(const std::set<std::string>& directories) const;
  void remove_blobs_except(const std::set<std::string>& digests) const;

 private:
  std::string directory_;
};

}  // namespace berth::images
