#include "agent/runtime/users.h"

#include <array>
#include <charconv>
#include <optional>

namespace berth::runtime {
namespace {

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

}  // namespace berth::runtime
