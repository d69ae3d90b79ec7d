#include "agent/images/layers.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>
#include <string_view>

#include "base/fd.h"

namespace berth::images {
namespace {

constexpr size_t kFileBytesMax = 1024 * 1024;
constexpr size_t kSharedDirectoriesMax = 10'000;
constexpr int kStepsMax = 128;  // names on a way, those of links among them: an image must not keep its reader busy

// A directory as the overlay shows it: where each layer has it, topmost first, as far down as is seen.
using Stack = std::vector<std::string>;

// What the overlay shows of a name in a directory: one of the three, or nothing, or something else.
struct Shown {
  Stack directory;
  std::string link;   // where a symbolic link leads
  std::string place;  // where it lies
  std::string file;   // where a regular file lies
  bool nothing = false;
};

bool is_opaque(const std::string& directory) {
  char value = 0;
  return lgetxattr(directory.c_str(), "trusted.overlay.opaque", &value, 1) == 1 && value == 'y';
}

Shown look_up(const Stack& directory, std::string_view name) {
  Shown shown;
  shown.nothing = true;
  for (const std::string& layer : directory) {
    std::string path = layer;
    path += '/';
    path += name;
    struct stat status {};
    if (lstat(path.c_str(), &status) != 0) continue;
    shown.nothing = shown.nothing && S_ISCHR(status.st_mode) && status.st_rdev == makedev(0, 0);
    if (S_ISDIR(status.st_mode)) {
      const bool hides = is_opaque(path);
      shown.directory.push_back(std::move(path));
      if (hides) break;
      continue;
    }
    // A whiteout, or what the directories above replace, hides all below.
    if (!shown.directory.empty()) break;
    if (S_ISREG(status.st_mode)) shown.file = std::move(path);
    if (S_ISLNK(status.st_mode)) {
      char target[PATH_MAX];
      const ssize_t size = readlink(path.c_str(), target, sizeof target);
      if (size > 0) shown.link.assign(target, static_cast<size_t>(size));
      shown.place = std::move(path);
    }
    break;
  }
  return shown;
}

// What berth-unpack has marked the place of a hard link with; of a layer's root: that there are some in it.
std::string link_mark(const std::string& path) {
  char target[PATH_MAX];
  const ssize_t size = lgetxattr(path.c_str(), "trusted.berth.link", target, sizeof target);
  return size > 0 ? std::string(target, static_cast<size_t>(size)) : std::string();
}

bool is_implied(const std::string& directory) {
  char value = 0;
  return lgetxattr(directory.c_str(), "trusted.berth.implied", &value, 1) == 1;
}

// The names of directories in any of them but the last: what only one layer has is as that layer has it.
std::set<std::string> directories_in(const Stack& stack) {
  std::set<std::string> names;
  for (size_t i = 0; i + 1 < stack.size(); ++i) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(stack[i], error))
      if (entry.symlink_status(error).type() == std::filesystem::file_type::directory)
        names.insert(entry.path().filename().string());
  }
  return names;
}

std::string read_regular(const std::string& path) {
  std::string text;
  const Fd file(open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  struct stat status {};
  if (!file || fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) return text;
  char buffer[4096];
  ssize_t got;
  while (text.size() < kFileBytesMax && (got = read(file.get(), buffer, sizeof buffer)) > 0) {
    text.append(buffer, static_cast<size_t>(got));
  }
  return text;
}

// What the layers show at a path, all links followed. Nothing only where the path itself ends: not where a link
// dangles.
Shown walk(const std::vector<std::string>& layers, std::string rest) {
  std::vector<Stack> way = {layers};  // the directories from the root to where the walk has come
  size_t of_path = rest.size();  // so many bytes at the end of `rest` are the caller's; those before come from links
  for (int steps = 0; !rest.empty(); ++steps) {
    if (steps == kStepsMax || rest.size() > PATH_MAX) return {};
    const size_t slash = rest.find('/');
    const std::string name = rest.substr(0, slash);
    const bool of_link = rest.size() > of_path;
    rest.erase(0, slash == std::string::npos ? slash : slash + 1);
    of_path = std::min(of_path, rest.size());
    if (name.empty() || name == ".") continue;
    if (name == "..") {
      if (way.size() > 1) way.pop_back();
      continue;
    }
    Shown shown = look_up(way.back(), name);
    if (!shown.directory.empty()) {
      way.push_back(std::move(shown.directory));
    } else if (!shown.link.empty()) {
      if (shown.link.starts_with('/')) way.resize(1);
      rest = shown.link + "/" + rest;
    } else {
      shown.nothing = shown.nothing && !of_link;
      const bool last = rest.find_first_not_of('/') == std::string::npos;
      return last || shown.nothing ? shown : Shown();
    }
  }
  return {way.back(), {}, {}, {}, false};
}

// The same, but for a symbolic link at the end of the path, which is shown as one.
Shown walk_to(const std::vector<std::string>& layers, const std::string& path) {
  const size_t slash = path.rfind('/');
  const Shown parent = walk(layers, slash == path.npos ? "" : path.substr(0, slash));
  return look_up(parent.directory, std::string_view(path).substr(slash == path.npos ? 0 : slash + 1));
}

DirectoryAttributes attributes_of(const Stack& directory) {
  const auto first = std::find_if_not(directory.begin(), directory.end(), is_implied);
  struct stat status {};
  (void)lstat((first == directory.end() ? directory.front() : *first).c_str(), &status);
  return {status.st_uid, status.st_gid, status.st_mode & 07777, status.st_mtim};
}

// Of a link in the layer at `index`: the file that it leads to, through links of lower layers; empty where there is
// none.
std::string find_linked(const std::vector<std::string>& layers, size_t index, std::string target) {
  for (int steps = 0; steps < kStepsMax; ++steps) {
    const Shown shown = walk_to({layers.begin() + static_cast<ptrdiff_t>(index), layers.end()}, target);
    if (!shown.place.empty()) return shown.place;
    if (shown.file.empty()) return {};
    target = link_mark(shown.file);
    if (target.empty()) return shown.file;
    while (index < layers.size() && !shown.file.starts_with(layers[index] + "/")) ++index;
  }
  return {};
}

Result<void> copy_content(const std::string& from, const std::string& to, const struct stat& status) {
  const Fd source(open(from.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  const Fd file(open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!source || !file) return fail(errno, "copy " + from);
  std::vector<char> buffer(64 * 1024);
  ssize_t got;
  while ((got = read(source.get(), buffer.data(), buffer.size())) > 0)
    if (write(file.get(), buffer.data(), static_cast<size_t>(got)) != got) return fail(errno, "write " + to);
  // The owner first: changing it takes set-user-ID and capabilities away.
  if (got < 0 || fchown(file.get(), status.st_uid, status.st_gid) != 0 ||
      fchmod(file.get(), status.st_mode & 07777) != 0)
    return fail(errno, "copy " + from);
  std::vector<char> names(64 * 1024);
  const ssize_t size = flistxattr(source.get(), names.data(), names.size());
  for (ssize_t at = 0; at < size; at += static_cast<ssize_t>(strlen(&names[static_cast<size_t>(at)])) + 1) {
    const char* name = &names[static_cast<size_t>(at)];
    const ssize_t length = fgetxattr(source.get(), name, buffer.data(), buffer.size());
    if (length >= 0 && fsetxattr(file.get(), name, buffer.data(), static_cast<size_t>(length), 0) != 0)
      return fail(errno, std::string("copy the attribute ") + name + " of " + from);
  }
  return {};
}

Result<void> copy_linked(const std::string& from, const std::string& to) {
  struct stat status {};
  if (lstat(from.c_str(), &status) != 0) return fail(errno, "look at " + from);
  if (S_ISLNK(status.st_mode)) {
    char target[PATH_MAX];
    const ssize_t size = readlink(from.c_str(), target, sizeof target);
    if (size < 0 || symlink(std::string(target, static_cast<size_t>(size)).c_str(), to.c_str()) != 0 ||
        lchown(to.c_str(), status.st_uid, status.st_gid) != 0)
      return fail(errno, "copy " + from);
  } else if (auto copied = copy_content(from, to, status); !copied) {
    return copied;
  }
  const timespec times[] = {status.st_mtim, status.st_mtim};
  if (utimensat(AT_FDCWD, to.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) return fail(errno, "set time of " + to);
  return {};
}

}  // namespace

std::string read_from_layers(const std::vector<std::string>& layers, const std::string& path) {
  const Shown shown = walk(layers, path);
  return shown.file.empty() ? std::string() : read_regular(shown.file);
}

std::map<std::string, DirectoryAttributes> covered_attributes(const std::vector<std::string>& layers) {
  std::map<std::string, DirectoryAttributes> seen, covered;
  std::vector<std::pair<std::string, Stack>> left;
  if (std::any_of(layers.begin(), layers.end(), is_implied)) left.push_back({"", layers});
  while (!left.empty() && seen.size() < kSharedDirectoriesMax) {
    const auto [path, stack] = std::move(left.back());
    left.pop_back();
    for (const std::string& name : directories_in(stack)) {
      const std::string child = path.empty() ? name : path + "/" + name;
      Shown shown = look_up(stack, name);
      if (shown.directory.size() < 2) continue;
      const auto first = std::find_if_not(shown.directory.begin(), shown.directory.end(), is_implied);
      struct stat status {};
      const bool is_covered = first != shown.directory.begin() && first != shown.directory.end();
      if (lstat((is_covered ? *first : shown.directory.front()).c_str(), &status) != 0) continue;
      seen[child] = {status.st_uid, status.st_gid, status.st_mode & 07777, status.st_mtim};
      if (is_covered) {
        for (size_t end = child.find('/'); end != std::string::npos; end = child.find('/', end + 1))
          covered[child.substr(0, end)] = seen[child.substr(0, end)];
        covered[child] = seen[child];
      }
      left.push_back({child, std::move(shown.directory)});
    }
  }
  return covered;
}

Result<LinksToLower> links_to_lower_layers(const std::vector<std::string>& layers) {
  LinksToLower out;
  for (size_t i = 0; i < layers.size(); ++i) {
    if (link_mark(layers[i]).empty()) continue;
    std::error_code error;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(layers[i], error)) {
      if (!entry.is_regular_file(error) || entry.is_symlink(error)) continue;
      const std::string target = link_mark(entry.path());
      const std::string path = entry.path().string().substr(layers[i].size() + 1);
      if (target.empty() || walk_to(layers, path).file != entry.path()) continue;  // hidden by a layer above
      std::string source = find_linked(layers, i, target);
      if (source.empty()) return fail(fmt::format("link {} to {}: no layer has that", path, target));
      out.sources.emplace(path, std::move(source));
      for (size_t end = path.find('/'); end != path.npos; end = path.find('/', end + 1))
        out.directories.emplace(path.substr(0, end), attributes_of(walk(layers, path.substr(0, end)).directory));
    }
    if (error) return fail(error.value(), "read " + layers[i]);
  }
  return out;
}

Result<void> write_attributes(const std::string& directory, std::map<std::string, DirectoryAttributes> attributes,
                              const LinksToLower& links) {
  attributes.insert(links.directories.begin(), links.directories.end());
  const std::string aside =
      directory.substr(0, directory.rfind('/') + 1) + ".new" + directory.substr(directory.rfind('/') + 1);
  std::error_code ignored;
  std::filesystem::remove_all(aside, ignored);
  if (mkdir(aside.c_str(), 0755) != 0) return fail(errno, "make directory " + aside);
  for (const auto& [path, wanted] : attributes) {  // a directory comes before what lies in it
    const std::string made = aside + "/" + path;
    if (mkdir(made.c_str(), 0700) != 0 || lchown(made.c_str(), wanted.uid, wanted.gid) != 0 ||
        chmod(made.c_str(), wanted.mode) != 0)
      return fail(errno, "make directory " + made);
  }
  for (const auto& [path, source] : links.sources)
    if (auto copied = copy_linked(source, (aside + "/").append(path)); !copied) return copied;
  for (const auto& [path, wanted] : attributes) {
    const timespec times[] = {wanted.mtime, wanted.mtime};
    if (utimensat(AT_FDCWD, (aside + "/" + path).c_str(), times, AT_SYMLINK_NOFOLLOW) != 0)
      return fail(errno, "set time of " + path);
  }
  const Fd root(open(aside.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!links.sources.empty() && (!root || syncfs(root.get()) != 0)) return fail(errno, "write " + aside);
  if (rename(aside.c_str(), directory.c_str()) != 0) return fail(errno, "rename to " + directory);
  return {};
}

bool layers_lack(const std::vector<std::string>& layers, const std::string& path) { return walk(layers, path).nothing; }

}  // namespace berth::images
