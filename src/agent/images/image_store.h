// The images of this machine: an OCI layout of their blobs, and each layer unpacked once.
//
//   <state>/images/                     0700: layers hold set-user-ID programs
//   ├── oci/                            OCI image layout: oci-layout, index.json, blobs/sha256/…; index.json names each image
//   │                                   by its canonical name (annotation org.opencontainers.image.ref.name)
//   ├── layers/<diff id's hex>/         complete, on the disk, verified against the diff id; never changed
//   ├── layers/attributes-<digest>/     of an image's manifest: owners and modes of directories, hard links (layers.h)
//   ├── layers/none/                    of images without layers
//   ├── layers/.incoming-…, .gone-…     being filled or removed; collected at start
//   └── incoming/<random>/              skopeo's own layout while it copies; collected at start
//
// Thread: any. load(), remove() and collect_garbage() block for as long as the disk and copies take (use a worker).
// pull(), cancel(), resolve() and list() never wait for any of these: they read a snapshot in memory. Copies run
// beside one another; the same image or layer asked for twice is fetched or unpacked once.
//
// kill -9: a layer directory and an image's name appear by rename, the name last; whatever else is found at start goes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/images/image.h"
#include "agent/images/image_name.h"
#include "base/result.h"

namespace berth::images {

struct ImageStoreOptions {
  std::string state_directory;
  std::string unpack_program;  // default_unpack_program()
  // Layer directories that tasks' overlays are made of, from their task directories: they outlive the image's name.
  // Called by remove() and collect_garbage(), on their thread.
  std::function<std::set<std::string>()> layers_in_use = [] { return std::set<std::string>(); };
  int connect_timeout_ms = 1500;         // a registry that does not answer, retries included: told well within 2 s
  int retry_window_ms = 1500;            // one that answers and fails: retried for so long after its first failure
  int pull_timeout_ms = 30 * 60 * 1000;  // a registry that does, and then stalls
};

class ImageStore {
 public:
  static Result<std::unique_ptr<ImageStore>> open(ImageStoreOptions options);
  ~ImageStore();

  // `source`: oci:DIR[:TAG], docker-archive:FILE[:NAME], or docker-archive:- which reads `stdin_fd`; gzipped ones too.
  // Touches no network. An image of that name is replaced.
  Result<ImageSummary> load(const std::string& source, const std::string& name, int stdin_fd = -1);
  // From the registry, replacing what is there. One pull serves all who ask while it is under way (pulls.h, also for
  // which thread calls `done`). Errors read "CannotPullContainerError: …" as ECS's.
  using PullId = uint64_t;
  PullId pull(const std::string& name, std::function<void(const Result<ImageSummary>&)> done);
  // Its `done` is called now, with an error, unless it was called before. A pull that nobody else waits for ends.
  void cancel(PullId id);

  // Only what is here; nothing where it is not. A digest decides over a tag.
  std::optional<ResolvedImage> resolve(const std::string& name) const;

  std::vector<ImageSummary> list() const;  // by name
  // Takes the name away, and every blob and layer that no other image and no task needs.
  Result<void> remove(const std::string& name);
  Result<void> collect_garbage();

  // Cancels what is being copied and unpacked, and refuses what is asked for from now on.
  void end();

 private:
  class Impl;
  explicit ImageStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Beside this program, else where Debian would install it.
std::string default_unpack_program();

}  // namespace berth::images
