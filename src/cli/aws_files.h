// One profile in the AWS config files, as text in and text out: everything that is not ours stays byte for byte. Our
// sections carry a marker line, and a section without it is somebody's own and is never touched: it may hold the keys
// of a real account.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace berth::cli {

using IniMembers = std::vector<std::pair<std::string, std::string>>;

// Appends our section, or sets its members, leaving what somebody has added to it; fails where a section of that name
// is not ours.
Result<std::string> with_section(std::string_view text, std::string_view section, const IniMembers& members);
bool holds_foreign_section(std::string_view text, std::string_view section);
// Takes our section out, and with it the newline that had to be put before it; a text that has none, or one that is
// not ours, is returned as it is.
std::string without_section(std::string_view text, std::string_view section);
// A member of a section; empty where there is none.
std::string member_of_section(std::string_view text, std::string_view section, std::string_view name);

// "default" is [default] in the config file and others are [profile NAME]; the credentials file has [NAME].
std::string config_section(std::string_view profile);

}  // namespace berth::cli
