#include <fmt/format.h>

#include "cli/admin_client.h"
#include "cli/arguments.h"
#include "cli/commands.h"

namespace berth::cli {
namespace {

constexpr const char* kHelp = R"(Usage: berth stop [--stop-tasks] [--state DIR]

Ends the daemon and returns when it has ended. Tasks go on without it, and a
daemon started later on the same state directory takes them over again.

  --stop-tasks   stop every task first (each with its stop timeout). Services
                 keep their desired counts and start again with the daemon.
                 Where no task is left, everything that Berth made on the host
                 is taken away.
  --state DIR    the daemon's state directory (default: /var/lib/berth)
)";

}  // namespace

int stop(const std::vector<std::string>& argv) {
  const auto arguments = Arguments::parse(argv, {{"stop-tasks", false}, {"state", true}});
  if (!arguments) return misused("stop", arguments.error().context);
  if (arguments->has("help")) return fmt::print("{}", kHelp), 0;
  if (!arguments->operands().empty()) return misused("stop", "takes no operands");
  json::Value body;
  body.set("stopTasks", arguments->has("stop-tasks"));
  const auto answer = end_daemon(arguments->value("state", kDefaultStateDirectory), "/stop", body);
  if (!answer) return complain(answer.error().context);
  if (answer->is_null()) {
    if (arguments->has("stop-tasks"))
      return complain("the daemon was ended by somebody else, before all tasks had stopped");
    return fmt::print("Stopped, by somebody else at the same time.\n"), 0;
  }
  const int64_t left = (*answer)["tasksRunning"].int_or(0);
  if (left == 0)
    fmt::print("Stopped.\n");
  else
    fmt::print("Stopped; {} tasks go on.\n", left);
  return 0;
}

}  // namespace berth::cli
