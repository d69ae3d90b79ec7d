#include "cli/aws_files.h"

#include <fmt/format.h>

#include <algorithm>

namespace berth::cli {
namespace {

constexpr std::string_view kMarker = "# made by 'berth configure'; 'berth configure --remove' takes it out";

// In our section where the file's last line was not closed before it: taking us out opens it again.
constexpr std::string_view kOpenLineMarker = "# the line above had no end; it gets that back";

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

// "[profile  \"berth\"] # mine" → "profile berth": what the SDKs' parsers take for one name is one name here. Empty
// where the line is no header.
std::string header_of(std::string_view line) {
  if (!line.starts_with('[')) return {};
  const size_t end = line.rfind(']');
  if (end == std::string_view::npos) return {};
  std::string name;
  for (const char c : line.substr(1, end - 1)) {
    if (c == '"' || c == '\'') continue;
    const bool blank = c == ' ' || c == '\t';
    if (!blank)
      name += c;
    else if (!name.empty() && name.back() != ' ')
      name += ' ';
  }
  if (name.ends_with(' ')) name.pop_back();
  return name == "profile default" ? "default" : name;
}

// Where the section's lines stand: from its header to its last member. What is between that and the next header (empty
// lines, a comment on what follows) is somebody else's.
struct Place {
  size_t begin = std::string_view::npos;
  size_t end = 0;
  bool ours = false;
  bool after_open_line = false;
  bool found() const { return begin != std::string_view::npos; }
};

Place find_section(std::string_view text, std::string_view section) {
  Place place;
  for (size_t at = 0; at < text.size();) {
    const size_t newline = text.find('\n', at);
    const size_t next = newline == std::string_view::npos ? text.size() : newline + 1;
    const std::string_view line = trimmed(text.substr(at, next - at - (newline != std::string_view::npos)));
    if (line.starts_with("[")) {
      if (place.found()) break;
      if (header_of(line) == section) {
        place.begin = at;
        place.end = next;
      }
    } else if (place.found()) {
      const bool marker = line == kMarker || line == kOpenLineMarker;
      place.ours = place.ours || line == kMarker;
      place.after_open_line = place.after_open_line || line == kOpenLineMarker;
      if (marker || !(line.empty() || line.starts_with('#') || line.starts_with(';'))) place.end = next;
    }
    at = next;
  }
  return place;
}

// Lines that somebody has added to our section, such as "cli_pager =": they stay.
std::string additions(std::string_view section, const IniMembers& members) {
  std::string out;
  for (bool header = true; !section.empty(); header = false) {
    const size_t newline = section.find('\n');
    const std::string_view line = section.substr(0, newline);
    section = newline == std::string_view::npos ? std::string_view{} : section.substr(newline + 1);
    const std::string_view name = trimmed(line.substr(0, line.find('=')));
    const bool ours =
        header || trimmed(line) == kMarker || trimmed(line) == kOpenLineMarker ||
        std::any_of(members.begin(), members.end(), [&](const auto& member) { return member.first == name; });
    if (!ours) out += fmt::format("{}\n", line);
  }
  return out;
}

}  // namespace

Result<std::string> with_section(std::string_view text, std::string_view section, const IniMembers& members) {
  const Place place = find_section(text, section);
  if (place.found() && !place.ours)
    return fail(fmt::format("[{}] is there already and was not made by Berth; choose another --profile", section));
  const bool open_line = place.found() ? place.after_open_line : !text.empty() && !text.ends_with('\n');
  std::string body = fmt::format("[{}]\n{}\n", section, kMarker);
  if (open_line) body += fmt::format("{}\n", kOpenLineMarker);
  for (const auto& [name, value] : members) body += fmt::format("{} = {}\n", name, value);
  std::string out(text);
  if (place.found()) {
    body += additions(text.substr(place.begin, place.end - place.begin), members);
    return out.replace(place.begin, place.end - place.begin, body);
  }
  if (open_line) out += '\n';
  return out + body;
}

bool holds_foreign_section(std::string_view text, std::string_view section) {
  const Place place = find_section(text, section);
  return place.found() && !place.ours;
}

std::string without_section(std::string_view text, std::string_view section) {
  const Place place = find_section(text, section);
  std::string out(text);
  if (!place.found() || !place.ours) return out;
  out.erase(place.begin, place.end - place.begin);
  // Unless somebody has put something below us since.
  if (place.after_open_line && place.begin == out.size() && out.ends_with('\n')) out.pop_back();
  return out;
}

std::string member_of_section(std::string_view text, std::string_view section, std::string_view name) {
  const Place place = find_section(text, section);
  if (!place.found()) return {};
  std::string_view rest = text.substr(place.begin, place.end - place.begin);
  while (!rest.empty()) {
    const size_t newline = rest.find('\n');
    const std::string_view line = rest.substr(0, newline);
    rest = newline == std::string_view::npos ? std::string_view{} : rest.substr(newline + 1);
    const size_t equals = line.find('=');
    if (equals != std::string_view::npos && trimmed(line.substr(0, equals)) == name)
      return std::string(trimmed(line.substr(equals + 1)));
  }
  return {};
}

std::string config_section(std::string_view profile) {
  return profile == "default" ? "default" : fmt::format("profile {}", profile);
}

}  // namespace berth::cli
