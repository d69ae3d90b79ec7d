#include <fmt/format.h>

#include <charconv>

#include "cli/admin_client.h"
#include "cli/arguments.h"
#include "cli/commands.h"

namespace berth::cli {
namespace {

constexpr const char* kHelp = R"(Usage: berth net [--json] [--state DIR]
       berth net why FROM TO:PORT [--udp] [--json] [--state DIR]
       berth net why FROM TO --icmp [--json] [--state DIR]

Draws the VPCs in which tasks run: subnets, routes, interfaces and addresses;
or says whether a packet passes, and which rule, ACL, route or missing address
decides.

FROM and TO are a task's id or its beginning, an interface's id (eni-…), or an
address. FROM an address that no interface has is from outside.

  --udp         a datagram, not a TCP connection
  --icmp        a ping
  --json        what the daemon says, as it is
  --state DIR   the daemon's state directory (default: /var/lib/berth)

'why' exits with 0 where the packet passes, with 3 where it does not.
)";

constexpr int kDoesNotPass = 3;

std::string joined(const json::Value& list) {
  std::string out;
  for (const json::Value& one : list.array_or_empty()) out += (out.empty() ? "" : ", ") + one.string_or("");
  return out;
}

void draw_subnet(const json::Value& subnet) {
  fmt::print("  {}  {}  ({}, {})\n", subnet["id"].string_or(""), subnet["cidr"].string_or(""),
             subnet["routeTable"].string_or(""), subnet["acl"].string_or(""));
  for (const json::Value& route : subnet["routes"].array_or_empty()) {
    fmt::print("    to {}: {} {}\n", route["destination"].string_or(""), route["target"].string_or(""),
               route["id"].string_or(""));
  }
  for (const json::Value& interface : subnet["interfaces"].array_or_empty()) {
    const std::string shown = interface["publicAddress"].string_or("");
    fmt::print("    {}  {}{}  {}  [{}]\n", interface["id"].string_or(""), interface["address"].string_or(""),
               shown.empty() ? "" : " = " + shown, interface["task"].string_or("no task"), joined(interface["groups"]));
  }
}

int draw(const json::Value& network) {
  if (network["vpcs"].array_or_empty().empty()) fmt::print("No task runs in a VPC.\n");
  for (const json::Value& vpc : network["vpcs"].array_or_empty()) {
    fmt::print("{}  {}{}\n", vpc["id"].string_or(""), joined(vpc["cidrs"]),
               vpc["dns"].bool_or(true) ? "" : "  (no DNS)");
    for (const json::Value& nat : vpc["natGateways"].array_or_empty()) {
      fmt::print("  {}  in {}  {} = {}\n", nat["id"].string_or(""), nat["subnet"].string_or(""),
                 nat["address"].string_or(""), nat["publicAddress"].string_or("no public address"));
    }
    for (const json::Value& subnet : vpc["subnets"].array_or_empty()) draw_subnet(subnet);
  }
  return 0;
}

int why(const Arguments& arguments) {
  const auto& words = arguments.operands();
  if (words.size() != 3) return misused("net", "why takes FROM and TO:PORT");
  std::string to = words[2];
  json::Value question;
  question.set("from", words[1]);
  question.set("protocol", arguments.has("icmp") ? "icmp" : arguments.has("udp") ? "udp" : "tcp");
  if (!arguments.has("icmp")) {
    const size_t colon = to.rfind(':');
    int port = 0;
    const char* end = to.data() + to.size();
    const bool read = colon != to.npos && std::from_chars(to.data() + colon + 1, end, port).ptr == end;
    if (!read || port < 1 || port > 65535) return misused("net", "TO needs a port, as in 10.0.1.5:80");
    to.resize(colon);
    question.set("port", port);
  }
  question.set("to", to);
  const auto answer = ask_daemon(arguments.value("state", kDefaultStateDirectory), "POST", "/net/why", question);
  if (!answer) return complain(answer.error().context);
  const bool passes = (*answer)["passes"].bool_or(false);
  if (arguments.has("json")) {
    fmt::print("{}\n", json::to_pretty_string(*answer));
  } else {
    for (const json::Value& step : (*answer)["steps"].array_or_empty()) {
      fmt::print("{} {}\n", step["passes"].bool_or(false) ? "+" : "-", step["what"].string_or(""));
    }
    fmt::print("{}\n", passes ? "It passes." : "It does not pass.");
  }
  return passes ? 0 : kDoesNotPass;
}

}  // namespace

int net(const std::vector<std::string>& argv) {
  const auto arguments = Arguments::parse(argv, {{"json", false}, {"udp", false}, {"icmp", false}, {"state", true}});
  if (!arguments) return misused("net", arguments.error().context);
  if (arguments->has("help")) return fmt::print("{}", kHelp), 0;
  if (!arguments->operands().empty() && arguments->operands()[0] == "why") return why(*arguments);
  if (!arguments->operands().empty()) return misused("net", "takes 'why' or nothing");
  const auto answer = ask_daemon(arguments->value("state", kDefaultStateDirectory), "GET", "/net");
  if (!answer) return complain(answer.error().context);
  if (arguments->has("json")) return fmt::print("{}\n", json::to_pretty_string(*answer)), 0;
  return draw(*answer);
}

}  // namespace berth::cli
