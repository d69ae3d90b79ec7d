#include "agent/images/unpack/layer_reader.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/core.h>
#include <nettle/sha2.h>
#include <sys/stat.h>

#include <cerrno>
#include <memory>

namespace berth::unpack {
namespace {

constexpr size_t kBlockBytes = 128 * 1024;
constexpr size_t kTarBlockBytes = 512;
constexpr std::string_view kWhiteout = ".wh.";
constexpr std::string_view kOpaque = ".wh..wh..opq";

struct Closer {
  void operator()(archive* a) const { archive_read_free(a); }
};
using ArchivePtr = std::unique_ptr<archive, Closer>;

tl::unexpected<Error> archive_error(archive* a, std::string_view doing) {
  const char* text = archive_error_string(a);
  return fail(fmt::format("{}: {}", doing, text ? text : "unknown error"));
}

// The decompressed stream, hashed and counted on its way to the tar reader.
struct Stream {
  archive* compressed = nullptr;
  const Limits* limits = nullptr;
  sha256_ctx hash{};
  uint64_t bytes = 0;
  bool ended = false;
  bool too_large = false;
  bool padded = false;

  // libarchive's read callback: bytes, 0 at the end, negative for an error.
  la_ssize_t read_padded(const void** block) {
    static constexpr char kZeros[kTarBlockBytes] = {};
    const la_ssize_t size = read(block);
    const size_t over = bytes % kTarBlockBytes;
    if (size != 0 || over == 0 || padded) return size;
    // Some tools (umoci) end an archive with its last file's last byte, and Go's reader, which Docker's is, takes that.
    padded = true;
    *block = kZeros;
    return static_cast<la_ssize_t>(kTarBlockBytes - over);
  }
  la_ssize_t read(const void** block) {
    if (ended) return 0;
    size_t size = 0;
    la_int64_t offset = 0;
    const int status = archive_read_data_block(compressed, block, &size, &offset);
    if (status == ARCHIVE_EOF) return 0;
    if (status < ARCHIVE_WARN) return -1;
    bytes += size;
    if (bytes > limits->bytes_max) {
      too_large = true;
      return -1;
    }
    sha256_update(&hash, size, static_cast<const uint8_t*>(*block));
    return static_cast<la_ssize_t>(size);
  }
};

la_ssize_t read_stream(archive* tar, void* data, const void** block) {
  auto* stream = static_cast<Stream*>(data);
  const la_ssize_t size = stream->read_padded(block);
  if (size < 0) {
    if (stream->too_large) {
      archive_set_error(tar, EFBIG, "the layer is larger than %llu bytes",
                        static_cast<unsigned long long>(stream->limits->bytes_max));
    } else {
      const char* text = archive_error_string(stream->compressed);
      archive_set_error(tar, EIO, "decompress: %s", text ? text : "damaged data");
    }
  }
  return size;
}

std::string hex(const uint8_t* bytes, size_t size) {
  std::string text;
  for (size_t i = 0; i < size; ++i) text += fmt::format("{:02x}", bytes[i]);
  return text;
}

Result<void> read_xattrs(archive_entry* raw, const Limits& limits, Entry& entry) {
  archive_entry_xattr_reset(raw);
  const char* name;
  const void* value;
  size_t size;
  size_t total = 0;
  while (archive_entry_xattr_next(raw, &name, &value, &size) == ARCHIVE_OK) {
    // Not trusted.*: overlayfs would obey the image; not security.selinux and its like: they are the host's.
    const std::string_view key = name ? name : "";
    if (key != "security.capability" && !key.starts_with("user.")) continue;
    total += key.size() + size;
    if (total > limits.xattr_bytes_max) return fail("an entry has more than 64 KiB of extended attributes");
    entry.xattrs.emplace_back(key, std::string(static_cast<const char*>(value), size));
  }
  return {};
}

Kind kind_of(archive_entry* raw) {
  if (archive_entry_hardlink(raw)) return Kind::hardlink;
  switch (archive_entry_filetype(raw)) {
    case AE_IFDIR: return Kind::directory;
    case AE_IFREG: return Kind::file;
    case AE_IFLNK: return Kind::symlink;
    case AE_IFIFO: return Kind::fifo;
    default: return Kind::left_out;
  }
}

Result<Entry> entry_of(archive_entry* raw, const Limits& limits) {
  const char* name = archive_entry_pathname(raw);
  if (!name) return fail("an entry has no readable name");
  auto path = clean_path(name, limits);
  if (!path) return tl::unexpected(path.error());
  Entry entry{kind_of(raw), std::move(*path), {}};
  entry.mode = archive_entry_perm(raw) & 07777;
  entry.uid = static_cast<uid_t>(archive_entry_uid(raw));
  entry.gid = static_cast<gid_t>(archive_entry_gid(raw));
  entry.mtime_s = archive_entry_mtime(raw);
  entry.mtime_ns = archive_entry_mtime_nsec(raw);
  if (archive_entry_size(raw) < 0) return fail("an entry has a negative size");
  entry.size = static_cast<uint64_t>(archive_entry_size(raw));
  if (entry.size > limits.bytes_max) return fail("a file is larger than its layer may be");

  const size_t slash = entry.path.rfind('/');
  const std::string base = slash == entry.path.npos ? entry.path : entry.path.substr(slash + 1);
  const std::string parent = slash == entry.path.npos ? "" : entry.path.substr(0, slash);
  if (base == kOpaque) {
    entry.kind = Kind::opaque;
    entry.path = parent;
    return entry;
  }
  if (base.starts_with(".wh..wh.")) {
    entry.kind = Kind::left_out;
    return entry;
  }
  if (base.starts_with(kWhiteout)) {
    const std::string hidden = base.substr(kWhiteout.size());
    if (hidden.empty() || hidden == "." || hidden == "..") return fail("a whiteout names nothing: " + entry.path);
    entry.kind = Kind::whiteout;
    entry.path = parent.empty() ? hidden : parent + "/" + hidden;
    return entry;
  }
  if (entry.kind == Kind::symlink) {
    const char* target = archive_entry_symlink(raw);
    if (!target || *target == '\0') return fail("a symbolic link has no target: " + entry.path);
    entry.target = target;
    if (entry.target.size() > limits.path_bytes_max) return fail("a symbolic link's target is too long");
  } else if (entry.kind == Kind::hardlink) {
    auto target = clean_path(archive_entry_hardlink(raw), limits);
    if (!target) return tl::unexpected(target.error());
    if (target->empty()) return fail("a hard link to the root: " + entry.path);
    entry.target = std::move(*target);
  }
  if (entry.path.empty() && entry.kind != Kind::directory) return fail("the root of the layer is no directory");
  if (auto read = read_xattrs(raw, limits, entry); !read) return tl::unexpected(read.error());
  return entry;
}

Result<LayerSummary> read_opened(ArchivePtr compressed, const Limits& limits, const Visit& visit) {
  LayerSummary summary;
  Stream stream;
  stream.compressed = compressed.get();
  stream.limits = &limits;
  sha256_init(&stream.hash);
  archive_entry* raw = nullptr;
  const int opened = archive_read_next_header(compressed.get(), &raw);
  stream.ended = opened == ARCHIVE_EOF;  // nothing at all, which some builders make of an empty layer
  if (!stream.ended && opened < ARCHIVE_WARN) return archive_error(compressed.get(), "decompress the layer");

  const ArchivePtr tar(archive_read_new());
  archive_read_support_format_tar(tar.get());
  archive_read_support_format_empty(tar.get());
  if (archive_read_open2(tar.get(), &stream, nullptr, read_stream, nullptr, nullptr) != ARCHIVE_OK) {
    return archive_error(tar.get(), "read the layer");
  }
  while (true) {
    const int status = archive_read_next_header(tar.get(), &raw);
    if (status == ARCHIVE_EOF) break;
    if (status < ARCHIVE_WARN) return archive_error(tar.get(), "read the layer");
    if (++summary.entries > limits.entries_max) return fail("the layer has too many entries");
    auto entry = entry_of(raw, limits);
    if (!entry) return tl::unexpected(entry.error());
    Content content(tar.get());
    if (auto visited = visit(*entry, content); !visited) return tl::unexpected(visited.error());
  }
  // Behind the archive's end may stand padding, which the diff id covers.
  const void* block;
  la_ssize_t size;
  while ((size = stream.read(&block)) > 0) {
  }
  if (stream.too_large) return fail(fmt::format("the layer is larger than {} bytes", limits.bytes_max));
  if (size < 0) return archive_error(compressed.get(), "decompress the layer");
  uint8_t digest[SHA256_DIGEST_SIZE];
  sha256_digest(&stream.hash, sizeof digest, digest);
  summary.diff_id = "sha256:" + hex(digest, sizeof digest);
  summary.bytes = stream.bytes;
  return summary;
}

ArchivePtr decompressor() {
  ArchivePtr a(archive_read_new());
  archive_read_support_filter_gzip(a.get());
  archive_read_support_filter_zstd(a.get());
  archive_read_support_format_raw(a.get());
  archive_read_support_format_empty(a.get());
  return a;
}

}  // namespace

Result<std::string> clean_path(std::string_view path, const Limits& limits) {
  if (path.size() > limits.path_bytes_max) return fail("a path is longer than 4095 bytes");
  std::string clean;
  while (!path.empty()) {
    const size_t slash = path.find('/');
    const std::string_view component = path.substr(0, slash);
    path.remove_prefix(slash == path.npos ? path.size() : slash + 1);
    if (component.empty() || component == ".") continue;
    if (component == "..") return fail("a path climbs out of the layer by '..'");
    if (component.find('\0') != component.npos) return fail("a path holds a zero byte");
    if (component.size() > 255) return fail("a file's name is longer than 255 bytes");
    if (!clean.empty()) clean += '/';
    clean += component;
  }
  return clean;
}

Result<bool> Content::next(std::string_view& bytes, uint64_t& offset) {
  const void* block = nullptr;
  size_t size = 0;
  la_int64_t at = 0;
  const int status = archive_read_data_block(tar_, &block, &size, &at);
  if (status == ARCHIVE_EOF) return false;
  if (status < ARCHIVE_WARN) return archive_error(tar_, "read a file of the layer");
  bytes = {static_cast<const char*>(block), size};
  offset = static_cast<uint64_t>(at);
  return true;
}

Result<LayerSummary> read_layer(int fd, const Limits& limits, const Visit& visit) {
  ArchivePtr compressed = decompressor();
  if (archive_read_open_fd(compressed.get(), fd, kBlockBytes) != ARCHIVE_OK) {
    return archive_error(compressed.get(), "open the layer");
  }
  return read_opened(std::move(compressed), limits, visit);
}

Result<LayerSummary> read_layer(std::string_view bytes, const Limits& limits, const Visit& visit) {
  ArchivePtr compressed = decompressor();
  if (archive_read_open_memory(compressed.get(), bytes.data(), bytes.size()) != ARCHIVE_OK) {
    return archive_error(compressed.get(), "open the layer");
  }
  return read_opened(std::move(compressed), limits, visit);
}

}  // namespace berth::unpack
