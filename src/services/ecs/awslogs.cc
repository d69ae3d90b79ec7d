#include "services/ecs/awslogs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <iterator>

#include "logstore/writer/line_pattern.h"
#include "services/ecs/settings_table.h"

namespace berth::services::ecs {
namespace {

constexpr std::string_view kOptions =
    "awslogs-group|awslogs-region|awslogs-stream-prefix|awslogs-create-group|awslogs-datetime-format|"
    "awslogs-multiline-pattern|awslogs-endpoint|mode|max-buffer-size|awslogs-stream|tag";
constexpr size_t kNameMax = 512;    // of a group, and of a stream
constexpr size_t kTaskIdSize = 32;  // a stream is <prefix>/<container>/<task id>
constexpr size_t kRegionMax = 32;
constexpr double kByteSizeMax = int64_t{1} << 50;

bool is_alphanumeric(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; }

std::string invalid(std::string_view option, std::string_view value) {
  return fmt::format("Log driver awslogs has an invalid value for option {}: {}", option, value);
}

std::string failure(std::string_view call, std::string_view value, std::string_view member, std::string_view rule) {
  return fmt::format(
      "failed to validate logger args: create stream has been retried 1 times: failed to create Cloudwatch log {}: "
      "InvalidParameterException: 1 validation error detected: Value '{}' at '{}' failed to satisfy constraint: Member "
      "must {}",
      call, value, member, rule);
}

// What strftime writes for a letter, as the driver looks for it.
struct Time {
  char letter;
  std::string_view pattern;
};
constexpr Time kTimes[] = {
    {'a', "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"},
    {'A', "(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)"},
    {'w', "[0-6]"},
    {'d', "(?:0[1-9]|[1,2][0-9]|3[0,1])"},
    {'b', "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"},
    {'B', "(?:January|February|March|April|May|June|July|August|September|October|November|December)"},
    {'m', "(?:0[1-9]|1[0-2])"},
    {'Y', "\\d{4}"},
    {'y', "\\d{2}"},
    {'H', "(?:[0,1][0-9]|2[0-3])"},
    {'I', "(?:0[0-9]|1[0-2])"},
    {'p', "[A,P]M"},
    {'M', "[0-5][0-9]"},
    {'S', "[0-5][0-9]"},
    {'L', "\\.\\d{3}"},
    {'f', "\\d{6}"},
    {'z', "[+-]\\d{4}"},
    {'Z', "[A-Z]{1,4}T"},
    {'j', "(?:0[0-9][1-9]|[1,2][0-9][0-9]|3[0-5][0-9]|36[0-6])"},
    {'%', "%"},
};

std::string pattern_failure(const model::StringMap& options) {
  const auto pattern = event_pattern(options);
  if (!pattern)
    return fmt::format("failed to validate logger args: awslogs-datetime-format '{}' has a letter that is not served.",
                       value_in(options, "awslogs-datetime-format"));
  const char* error = pattern->empty() ? nullptr : logstore::LinePattern().compile(*pattern);
  if (!error) return "";
  return fmt::format("failed to validate logger args: awslogs could not parse multiline pattern key \"{}\": {}",
                     *pattern, error);
}

}  // namespace

std::string awslogs_error(const model::StringMap& options, bool fargate) {
  for (const std::string_view required : {"awslogs-region", "awslogs-group"})
    if (value_in(options, required).empty())
      return "Log driver awslogs requires options: awslogs-region, awslogs-group";
  if (fargate && value_in(options, "awslogs-stream-prefix").empty())
    return "Log driver awslogs requires options: awslogs-stream-prefix";
  for (const auto& [name, value] : options)
    if (!is_one_of(kOptions, name)) return fmt::format("Log driver awslogs disallows options: {}", name);
  const std::string mode = value_in(options, "mode");
  if (!mode.empty() && !is_one_of("blocking|non-blocking", mode)) return invalid("mode", mode);
  if (const std::string size = value_in(options, "max-buffer-size"); !size.empty() && !parse_byte_size(size))
    return invalid("max-buffer-size", size);
  if (const std::string create = value_in(options, "awslogs-create-group"); !create.empty() && !parse_switch(create))
    return invalid("awslogs-create-group", create);
  return "";
}

std::string awslogs_failure(const model::StringMap& options, std::string_view container) {
  const std::string group = value_in(options, "awslogs-group"), region = value_in(options, "awslogs-region");
  const bool is_region = region.size() <= kRegionMax && std::all_of(region.begin(), region.end(), [](char c) {
                           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
                         });
  if (!is_region)
    return fmt::format("failed to validate logger args: awslogs-region '{}' is not the name of a region.", region);
  const std::string_view call =
      parse_switch(value_in(options, "awslogs-create-group")).value_or(false) ? "group" : "stream";
  if (group.size() > kNameMax)
    return failure(call, group, "logGroupName", fmt::format("have length less than or equal to {}", kNameMax));
  if (!std::all_of(group.begin(), group.end(), [](char c) {
        return is_alphanumeric(c) || is_one_of(".|-|_|/|#", {&c, 1});
      }))
    return failure(call, group, "logGroupName", R"(satisfy regular expression pattern: [\.\-_/#A-Za-z0-9]+)");
  const std::string prefix = value_in(options, "awslogs-stream-prefix");
  if (prefix.size() + container.size() + kTaskIdSize + 2 > kNameMax)
    return failure("stream", prefix, "logStreamName", fmt::format("have length less than or equal to {}", kNameMax));
  if (prefix.find_first_of(":*") != prefix.npos)
    return failure("stream", prefix, "logStreamName", "satisfy regular expression pattern: [^:*]*");
  return pattern_failure(options);
}

std::optional<std::string> event_pattern(const model::StringMap& options) {
  const std::string format = value_in(options, "awslogs-datetime-format");
  if (format.empty()) return value_in(options, "awslogs-multiline-pattern");
  std::string pattern;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 == format.size()) {
      pattern += format[i];
      continue;
    }
    ++i;
    const auto* known =
        std::find_if(std::begin(kTimes), std::end(kTimes), [&](const auto& t) { return t.letter == format[i]; });
    if (known == std::end(kTimes)) return std::nullopt;
    pattern += known->pattern;
  }
  return pattern;
}

std::optional<bool> parse_switch(std::string_view text) {
  if (is_one_of("1|t|T|true|TRUE|True", text)) return true;
  if (is_one_of("0|f|F|false|FALSE|False", text)) return false;
  return std::nullopt;
}

std::optional<int64_t> parse_byte_size(std::string_view text) {
  double number = 0;
  if (text.empty() || text.find_first_not_of("0123456789") == 0) return std::nullopt;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error != std::errc()) return std::nullopt;
  std::string unit(stop, static_cast<size_t>(text.data() + text.size() - stop));
  std::transform(unit.begin(), unit.end(), unit.begin(), [](unsigned char c) { return std::tolower(c); });
  if (unit.starts_with(' ')) unit.erase(0, 1);
  constexpr std::string_view kUnits = "kmgtp";
  if (const size_t power = unit.empty() ? kUnits.npos : kUnits.find(unit[0]); power != kUnits.npos) {
    number *= static_cast<double>(int64_t{1} << (10 * (power + 1)));
    unit.erase(0, 1);
    if (unit.starts_with('i')) unit.erase(0, 1);
  }
  if ((!unit.empty() && unit != "b") || number > kByteSizeMax) return std::nullopt;
  return static_cast<int64_t>(number);
}

}  // namespace berth::services::ecs
