#include "agent/runtime/users.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <optional>

#include "base/fd.h"

namespace berth::runtime {
namespace {

constexpr size_t kFileBytesMax = 1024 * 1024;
constexpr int kLinksMax = 40;  // the kernel's own bound

std::optional<uint32_t> number(std::string_view text) {
  uint32_t value = 0;
  const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  // The highest one means "no change" to setuid(2).
  if (error != std::errc() || at != text.data() + text.size() || value == UINT32_MAX) return std::nullopt;
  return value;
}

// Calls `visit` with the fields of each line, separated by colons, until it returns true.
template <size_t kFields, class Visit>
void each_line(std::string_view text, Visit visit) {
  while (!text.empty()) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    std::array<std::string_view, kFields> fields;
    for (std::string_view& field : fields) {
      const size_t colon = line.find(':');
      field = line.substr(0, colon);
      line = colon == std::string_view::npos ? std::string_view() : line.substr(colon + 1);
    }
    if (!fields[0].empty() && fields[0][0] != '#' && visit(fields)) return;
  }
}

bool lists(std::string_view members, std::string_view name) {
  while (!members.empty()) {
    const size_t comma = members.find(',');
    if (members.substr(0, comma) == name) return true;
    members = comma == std::string_view::npos ? std::string_view() : members.substr(comma + 1);
  }
  return false;
}

// A directory as the overlay shows it: where each layer has it, topmost first, as far down as is seen.
using Stack = std::vector<std::string>;

// What the overlay shows of a name in a directory. One of the three, or nothing.
struct Shown {
  Stack directory;
  std::string link;  // where a symbolic link leads
  std::string file;  // where a regular file lies
};

bool is_opaque(const std::string& directory) {
  char value = 0;
  return lgetxattr(directory.c_str(), "trusted.overlay.opaque", &value, 1) == 1 && value == 'y';
}

Shown look_up(const Stack& directory, std::string_view name) {
  Shown shown;
  for (const std::string& layer : directory) {
    std::string path = layer;
    path += '/';
    path += name;
    struct stat status {};
    if (lstat(path.c_str(), &status) != 0) continue;
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
    }
    break;
  }
  return shown;
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

}  // namespace

Result<ProcessUser> resolve_user(std::string_view user, std::string_view passwd, std::string_view group) {
  const size_t colon = user.find(':');
  const std::string_view wanted_group = colon == std::string_view::npos ? std::string_view() : user.substr(colon + 1);
  std::string_view wanted = user.substr(0, colon);
  if (wanted.empty()) wanted = "0";

  ProcessUser result;
  std::string name;
  bool found = false;
  const auto wanted_uid = number(wanted);
  each_line<7>(passwd, [&](const auto& fields) {
    const auto uid = number(fields[2]);
    const auto gid = number(fields[3]);
    if (!uid || !gid || (fields[0] != wanted && uid != wanted_uid)) return false;
    name = fields[0];
    result.uid = *uid;
    result.gid = *gid;
    if (!fields[5].empty()) result.home = fields[5];
    found = true;
    return true;
  });
  if (!found) {
    if (!wanted_uid) return fail("unable to find user " + std::string(wanted) + ": no matching entries in passwd file");
    result.uid = *wanted_uid;
  }
  if (!wanted_group.empty()) {
    const auto gid = number(wanted_group);
    bool group_found = false;
    each_line<4>(group, [&](const auto& fields) {
      const auto listed = number(fields[2]);
      if (!listed || (fields[0] != wanted_group && listed != gid)) return false;
      result.gid = *listed;
      group_found = true;
      return true;
    });
    if (!group_found && !gid) {
      return fail("unable to find group " + std::string(wanted_group) + ": no matching entries in group file");
    }
    if (!group_found) result.gid = *gid;
    result.additional_gids = {result.gid};
    return result;
  }
  // The group itself is among them: else a set-group-ID program could shed a group that a file's mode keeps out.
  result.additional_gids = {result.gid};
  if (!name.empty()) {
    each_line<4>(group, [&](const auto& fields) {
      const auto gid = number(fields[2]);
      if (gid && *gid != result.gid && lists(fields[3], name)) result.additional_gids.push_back(*gid);
      return false;
    });
  }
  return result;
}

std::string read_from_layers(const std::vector<std::string>& layers, const std::string& relative_path) {
  std::vector<Stack> way = {layers};  // the directories from the root to where the walk has come
  std::string rest = relative_path;
  for (int links = 0; !rest.empty();) {
    const size_t slash = rest.find('/');
    const std::string name = rest.substr(0, slash);
    rest.erase(0, slash == std::string::npos ? slash : slash + 1);
    if (name.empty() || name == ".") continue;
    if (name == "..") {
      if (way.size() > 1) way.pop_back();
      continue;
    }
    Shown shown = look_up(way.back(), name);
    if (!shown.directory.empty()) {
      way.push_back(std::move(shown.directory));
    } else if (!shown.link.empty()) {
      if (++links > kLinksMax || rest.size() > PATH_MAX) return {};
      if (shown.link.starts_with('/')) way.resize(1);
      rest = shown.link + "/" + rest;
    } else {
      return rest.find_first_not_of('/') == std::string::npos ? read_regular(shown.file) : std::string();
    }
  }
  return {};
}

}  // namespace berth::runtime
