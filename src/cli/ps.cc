#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "base/clock.h"
#include "cli/admin_client.h"
#include "cli/arguments.h"
#include "cli/commands.h"

namespace berth::cli {
namespace {

constexpr const char* kHelp = R"(Usage: berth ps [--all] [--json] [--state DIR]

Lists the tasks that run or are on their way, of all clusters and regions, the
oldest first.

  --all         stopped tasks of the last hour too, with their reasons
  --json        {"tasks":[…]} in the shapes of ECS DescribeTasks
  --state DIR   the daemon's state directory (default: /var/lib/berth)
)";

// "arn:aws:ecs:<region>:<account>:cluster/<name>" → "<name>"
std::string last_part(const std::string& arn) { return arn.substr(arn.rfind('/') + 1); }

std::string age(double since_s, double now_s) {
  const auto seconds = static_cast<int64_t>(std::max(0.0, now_s - since_s));
  if (seconds < 120) return fmt::format("{}s", seconds);
  if (seconds < 2 * 3600) return fmt::format("{}m", seconds / 60);
  if (seconds < 2 * 86400) return fmt::format("{}h", seconds / 3600);
  return fmt::format("{}d", seconds / 86400);
}

std::string address_of(const json::Value& task) {
  for (const json::Value& attachment : task["attachments"].array_or_empty())
    for (const json::Value& detail : attachment["details"].array_or_empty())
      if (detail["name"].string_or("") == "privateIPv4Address") return detail["value"].string_or("");
  return "-";
}

std::string containers_of(const json::Value& task) {
  std::string out;
  for (const json::Value& container : task["containers"].array_or_empty()) {
    if (!out.empty()) out += ",";
    out += container["name"].string_or("");
  }
  return out;
}

void print_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths(rows.front().size());
  for (const auto& row : rows)
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i)
      line += i + 1 == row.size() ? row[i] : fmt::format("{:<{}}  ", row[i], widths[i]);
    fmt::print("{}\n", line);
  }
}

}  // namespace

int ps(const std::vector<std::string>& argv) {
  const auto arguments = Arguments::parse(argv, {{"all", false, 'a'}, {"json", false}, {"state", true}});
  if (!arguments) return misused("ps", arguments.error().context);
  if (arguments->has("help")) return fmt::print("{}", kHelp), 0;
  if (!arguments->operands().empty()) return misused("ps", "takes no operands");
  const auto answer = ask_daemon(arguments->value("state", kDefaultStateDirectory), "GET",
                                 arguments->has("all") ? "/tasks?all=1" : "/tasks");
  if (!answer) return complain(answer.error().context);
  if (arguments->has("json")) {
    json::Value out;
    out.set("tasks", (*answer)["tasks"]);
    fmt::print("{}\n", json::to_pretty_string(out));
    return 0;
  }
  if ((*answer)["agent"].string_or("") == "simulated")
    fmt::print("The agent is simulated (--agent simulated): nothing below runs.\n");
  const double now_s = static_cast<double>(SystemClock().now_ms()) / 1000;
  std::vector<std::vector<std::string>> rows{
      {"TASK", "CLUSTER", "GROUP", "STATUS", "HEALTH", "ADDRESS", "AGE", "CONTAINERS"}};
  if (arguments->has("all")) rows.front().push_back("REASON");
  for (const json::Value& task : (*answer)["tasks"].array_or_empty()) {
    rows.push_back({last_part(task["taskArn"].string_or("")), last_part(task["clusterArn"].string_or("")),
                    task["group"].string_or(""), task["lastStatus"].string_or(""),
                    task["healthStatus"].string_or("UNKNOWN"), address_of(task),
                    age(task["createdAt"].double_or(now_s), now_s), containers_of(task)});
    if (arguments->has("all")) rows.back().push_back(task["stoppedReason"].string_or(""));
  }
  print_table(rows);
  return 0;
}

}  // namespace berth::cli
