#include "agent/images/unpack/layer_writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/fd.h"

namespace berth::unpack {
namespace {

const char* here(const std::string& path) { return path.empty() ? "." : path.c_str(); }

bool whiteout_at(const struct stat& info) { return S_ISCHR(info.st_mode) && info.st_rdev == makedev(0, 0); }

// agent/images/layers.h reads it.
constexpr const char* kImplied = "trusted.berth.implied";
constexpr const char* kLink = "trusted.berth.link";

Result<void> set_opaque(const std::string& path) {
  if (::setxattr(here(path), "trusted.overlay.opaque", "y", 1, 0) != 0) return fail(errno, "make opaque " + path);
  return {};
}

}  // namespace

Result<void> LayerWriter::write(const Entry& entry, Content& content) {
  if (entry.kind == Kind::left_out) return {};
  if (auto made = make_parents(entry.path); !made) return made;
  switch (entry.kind) {
    case Kind::directory: return write_directory(entry);
    case Kind::whiteout: return write_whiteout(entry.path);
    case Kind::opaque: {
      if (::mkdir(here(entry.path), 0755) != 0 && errno != EEXIST) return fail(errno, "make directory " + entry.path);
      return set_opaque(entry.path);
    }
    default: break;
  }
  if (auto room = make_room(entry); !room) return tl::unexpected(room.error());
  switch (entry.kind) {
    case Kind::file: return write_file(entry, content);
    case Kind::symlink:
      if (::symlink(entry.target.c_str(), entry.path.c_str()) != 0)
        return fail(errno, "make symbolic link " + entry.path);
      return set_metadata(entry);
    case Kind::hardlink: return write_hardlink(entry);
    case Kind::fifo:
      if (::mkfifo(entry.path.c_str(), 0600) != 0) return fail(errno, "make fifo " + entry.path);
      return set_metadata(entry);
    default: return {};
  }
}

Result<void> LayerWriter::make_parents(const std::string& path) {
  for (size_t slash = path.find('/'); slash != path.npos; slash = path.find('/', slash + 1)) {
    const std::string parent = path.substr(0, slash);
    struct stat info {};
    if (::lstat(parent.c_str(), &info) == 0) {
      if (!whiteout_at(info)) continue;
      // A whiteout and, later in the same archive, something below it: a new directory that hides the old one.
      if (::unlink(parent.c_str()) != 0) return fail(errno, "replace " + parent);
      if (::mkdir(parent.c_str(), 0755) != 0) return fail(errno, "make directory " + parent);
      if (auto opaque = set_opaque(parent); !opaque) return opaque;
    } else if (::mkdir(parent.c_str(), 0755) != 0) {
      return fail(errno, "make directory " + parent);
    } else if (::setxattr(parent.c_str(), kImplied, "y", 1, 0) != 0) {
      return fail(errno, "mark " + parent);
    } else {
      has_implied_ = true;
    }
  }
  return {};
}

Result<bool> LayerWriter::make_room(const Entry& entry) {
  struct stat info {};
  if (::lstat(here(entry.path), &info) != 0) {
    if (errno == ENOENT) return false;
    return fail(errno, "look at " + entry.path);
  }
  if (S_ISDIR(info.st_mode)) {
    if (entry.kind == Kind::directory) return true;
    // As Docker: of two entries of one name the later counts. Merged archives of packages have "lib" as a directory,
    // then as a link.
    std::error_code error;
    std::filesystem::remove_all(entry.path, error);
    if (error) return fail(error.value(), "replace directory " + entry.path);
    return false;
  }
  if (entry.kind == Kind::hardlink && entry.path == entry.target) return fail("a link to itself: " + entry.path);
  if (::unlink(entry.path.c_str()) != 0) return fail(errno, "replace " + entry.path);
  return false;
}

Result<void> LayerWriter::write_directory(const Entry& entry) {
  struct stat before {};
  const bool hid = !entry.path.empty() && ::lstat(entry.path.c_str(), &before) == 0 && whiteout_at(before);
  auto present = make_room(entry);
  if (!present) return tl::unexpected(present.error());
  if (!*present && ::mkdir(here(entry.path), 0755) != 0) return fail(errno, "make directory " + entry.path);
  if (hid) {
    if (auto opaque = set_opaque(entry.path); !opaque) return opaque;
  }
  if (*present && has_implied_ && ::lremovexattr(here(entry.path), kImplied) != 0 && errno != ENODATA)
    return fail(errno, "unmark " + entry.path);
  Entry times{Kind::directory, entry.path, {}};
  times.mtime_s = entry.mtime_s;
  times.mtime_ns = entry.mtime_ns;
  directories_.push_back(std::move(times));
  return set_metadata(entry);
}

Result<void> LayerWriter::write_file(const Entry& entry, Content& content) {
  const Fd fd(::open(entry.path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) return fail(errno, "create " + entry.path);
  std::string_view bytes;
  uint64_t offset = 0;
  while (true) {
    auto more = content.next(bytes, offset);
    if (!more) return tl::unexpected(more.error());
    if (!*more) break;
    if (offset > entry.size || bytes.size() > entry.size - offset)
      return fail(entry.path + " holds more than its size");
    while (!bytes.empty()) {
      const ssize_t written = ::pwrite(fd.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return fail(errno, "write " + entry.path);
      bytes.remove_prefix(static_cast<size_t>(written));
      offset += static_cast<uint64_t>(written);
    }
  }
  // A file may end in a hole.
  if (::ftruncate(fd.get(), static_cast<off_t>(entry.size)) != 0) return fail(errno, "size " + entry.path);
  return set_metadata(entry);
}

Result<void> LayerWriter::write_hardlink(const Entry& entry) {
  // Not followed: a link to a symbolic link is one. Its metadata is its target's.
  if (::linkat(AT_FDCWD, entry.target.c_str(), AT_FDCWD, entry.path.c_str(), 0) == 0) return {};
  const std::string what = "link " + entry.path + " to " + entry.target;
  if (errno != ENOENT && errno != ENOTDIR) return fail(errno, what);
  // A lower layer has it, which one depends on the image: who stacks the layers puts a copy over this.
  const Fd fd(::open(entry.path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd || ::fsetxattr(fd.get(), kLink, entry.target.data(), entry.target.size(), 0) != 0) return fail(errno, what);
  has_links_ = true;
  return {};
}

Result<void> LayerWriter::write_whiteout(const std::string& path) {
  struct stat info {};
  // What the layer itself brings wins over what it hides below.
  if (::lstat(path.c_str(), &info) == 0) {
    return S_ISDIR(info.st_mode) ? set_opaque(path) : Result<void>{};
  }
  if (::mknod(path.c_str(), S_IFCHR, makedev(0, 0)) != 0) return fail(errno, "make whiteout " + path);
  return {};
}

Result<void> LayerWriter::set_metadata(const Entry& entry) {
  const char* path = here(entry.path);
  // The owner first: changing it takes set-user-ID and capabilities away.
  if (::lchown(path, entry.uid, entry.gid) != 0) return fail(errno, "give " + entry.path + " to its owner");
  if (entry.kind != Kind::symlink && ::chmod(path, entry.mode) != 0) return fail(errno, "set mode of " + entry.path);
  for (const auto& [name, value] : entry.xattrs) {
    // user.* exists on files and directories only; what cannot carry it does without.
    if (::lsetxattr(path, name.c_str(), value.data(), value.size(), 0) != 0 && errno != EPERM && errno != EOPNOTSUPP) {
      return fail(errno, "set attribute " + name + " of " + entry.path);
    }
  }
  const timespec times[] = {{entry.mtime_s, entry.mtime_ns}, {entry.mtime_s, entry.mtime_ns}};
  if (::utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW) != 0) return fail(errno, "set time of " + entry.path);
  return {};
}

Result<void> LayerWriter::finish() {
  for (const Entry& directory : directories_) {
    struct stat info {};
    if (::lstat(here(directory.path), &info) != 0 || !S_ISDIR(info.st_mode)) continue;  // replaced since
    const timespec times[] = {{directory.mtime_s, directory.mtime_ns}, {directory.mtime_s, directory.mtime_ns}};
    if (::utimensat(AT_FDCWD, here(directory.path), times, AT_SYMLINK_NOFOLLOW) != 0) {
      return fail(errno, "set time of " + directory.path);
    }
  }
  // On the root it says that there are some below.
  if (has_implied_ && ::setxattr(".", kImplied, "y", 1, 0) != 0) return fail(errno, "mark the layer");
  if (has_links_ && ::setxattr(".", kLink, "y", 1, 0) != 0) return fail(errno, "mark the layer");
  // One flush for all: after the directory has its final name, a power cut must not find files without content.
  const Fd root(::open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root || ::syncfs(root.get()) != 0) return fail(errno, "write the layer to the disk");
  return {};
}

}  // namespace berth::unpack
