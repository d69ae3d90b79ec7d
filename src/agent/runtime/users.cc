#include "agent/runtime/users.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <optional>

#include "base/fd.h"

namespace berth::runtime {
namespace {

constexpr size_t kFileBytesMax = 1024 * 1024;

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

// True where the overlay shows nothing of lower layers behind this one: a whiteout of the file or of a directory on its
// path, or an opaque directory.
bool hides_lower_layers(int layer, const std::string& path) {
  for (size_t end = path.find('/');; end = path.find('/', end + 1)) {
    const std::string part = path.substr(0, end);
    struct stat status {};
    if (fstatat(layer, part.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return false;
    if (S_ISCHR(status.st_mode) && status.st_rdev == makedev(0, 0)) return true;
    if (end == std::string::npos) return false;
    const Fd directory(openat(layer, part.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    char value = 0;
    if (directory && fgetxattr(directory.get(), "trusted.overlay.opaque", &value, 1) == 1 && value == 'y') return true;
  }
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
    return result;
  }
  if (!name.empty()) {
    each_line<4>(group, [&](const auto& fields) {
      const auto gid = number(fields[2]);
      if (gid && lists(fields[3], name)) result.additional_gids.push_back(*gid);
      return false;
    });
  }
  return result;
}

std::string read_from_layers(const std::vector<std::string>& layers, const std::string& relative_path) {
  for (const std::string& layer : layers) {
    const Fd directory(open(layer.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory) continue;
    open_how how{};
    how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    const Fd file(static_cast<int>(syscall(SYS_openat2, directory.get(), relative_path.c_str(), &how, sizeof how)));
    struct stat status {};
    if (file && fstat(file.get(), &status) == 0 && S_ISREG(status.st_mode)) {
      std::string text;
      char buffer[4096];
      ssize_t got;
      while (text.size() < kFileBytesMax && (got = read(file.get(), buffer, sizeof buffer)) > 0) {
        text.append(buffer, static_cast<size_t>(got));
      }
      return text;
    }
    if (hides_lower_layers(directory.get(), relative_path)) break;
  }
  return {};
}

}  // namespace berth::runtime
