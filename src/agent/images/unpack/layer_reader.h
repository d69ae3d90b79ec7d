// Reads a layer (tar, plain or compressed by gzip or zstd) and says what each entry means, by the OCI image
// specification's rules for layers. Touches no file system: the fuzzer runs this as it is.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

struct archive;
struct archive_entry;

namespace berth::unpack {

struct Limits {
  uint64_t bytes_max = 64ull << 30;  // of the uncompressed layer; a bomb ends here, not at the end of the disk
  uint64_t entries_max = 4'000'000;
  size_t path_bytes_max = 4095;       // PATH_MAX
  size_t xattr_bytes_max = 64 << 10;  // XATTR_SIZE_MAX
};

enum class Kind {
  directory,
  file,
  symlink,
  hardlink,
  fifo,
  whiteout,  // of `path`: hides it in lower layers
  opaque,    // of the directory `path`: hides all it holds in lower layers
  left_out,  // devices and sockets (a container has a /dev of its own), aufs's own files
};

struct Entry {
  Kind kind;
  std::string path;    // relative, "" for the root; no empty, "." or ".." component
  std::string target;  // symlink: as it stands; hardlink: a path like the above
  mode_t mode = 0;     // 07777 at most
  uid_t uid = 0;
  gid_t gid = 0;
  int64_t mtime_s = 0;
  long mtime_ns = 0;
  uint64_t size = 0;
  std::vector<std::pair<std::string, std::string>> xattrs;  // security.capability and user.*
};

// Delivers one file's content piece by piece; holes are skipped.
class Content {
 public:
  explicit Content(archive* tar) : tar_(tar) {}
  // False at the end.
  Result<bool> next(std::string_view& bytes, uint64_t& offset);

 private:
  archive* tar_;
};

struct LayerSummary {
  std::string diff_id;  // sha256 of the uncompressed archive
  uint64_t bytes = 0;
  uint64_t entries = 0;
};

using Visit = std::function<Result<void>(const Entry&, Content&)>;

Result<LayerSummary> read_layer(int fd, const Limits& limits, const Visit& visit);
Result<LayerSummary> read_layer(std::string_view bytes, const Limits& limits, const Visit& visit);

// "./a//b/" → "a/b"; an error where a component is "..", or the path too long or holding a zero byte.
Result<std::string> clean_path(std::string_view path, const Limits& limits);

}  // namespace berth::unpack
