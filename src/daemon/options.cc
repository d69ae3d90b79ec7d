#include "daemon/options.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "cli/arguments.h"
#include "dataplane/vpc_layout.h"

namespace berth::daemon {

const char* const kServeHelp = R"(Usage: berth serve [--listen ADDRESS:PORT] [--state DIR] [--account ID]
                   [--region R] [--auth enforce|off] [--memory-overcommit X]
                   [--vpc-cidr CIDR] [--public-cidr CIDR]
                   [--agent real|simulated]

Serves the API in the foreground and says 'ready' on a line of its own when it
does. SIGTERM and SIGINT end it; tasks go on without it, and the next daemon on
the same state directory takes them over.

  --listen ADDRESS:PORT   where to listen (default: 127.0.0.1:4566). Port 0
                          takes any free port. There is no TLS: where others
                          reach the address, they read what is sent.
  --state DIR             everything that must last (default: /var/lib/berth).
                          Root keys are made there at the first start, in
                          DIR/credentials (mode 0600).
  --account ID            the account, twelve digits (default: 000000000000)
  --region R              the region of calls that name none, and the one whose
                          default VPC is made first (default: us-east-1)
  --auth enforce|off      check every request's signature, or accept any
                          credential (default: enforce)
  --memory-overcommit X   tasks may ask for X times the machine's memory
                          (default: 1); each task's own limit stays hard
  --vpc-cidr CIDR         the first region's default VPC, a /16 to /24
                          (default: 172.31.0.0/16, or the next free one below)
  --public-cidr CIDR      what assignPublicIp and Elastic IPs are taken from, a
                          /16 to /28 (default: the first /20 of 198.18.0.0/15
                          that is free): addresses of this machine's own, or a
                          block of its LAN
  --agent simulated       serve the whole API without running anything, for
                          tests of API clients on machines without rights
)";

namespace {

tl::unexpected<Error> wrong(const char* flag, const std::string& value, const char* takes) {
  return fail(fmt::format("--{} takes {}, not '{}'", flag, takes, value));
}

Result<void> take_listen(const std::string& value, Options& out) {
  const size_t colon = value.rfind(':');
  in_addr parsed{};
  unsigned port = 0;
  const char* end = value.data() + value.size();
  if (colon == std::string::npos) return wrong("listen", value, "ADDRESS:PORT");
  out.listen_address = value.substr(0, colon) == "localhost" ? "127.0.0.1" : value.substr(0, colon);
  const auto [stopped, error] = std::from_chars(value.data() + colon + 1, end, port);
  if (error != std::errc() || stopped != end || port > 65535 ||
      ::inet_pton(AF_INET, out.listen_address.c_str(), &parsed) != 1)
    return wrong("listen", value, "an IPv4 address and a port, like 127.0.0.1:4566");
  out.listen_port = static_cast<uint16_t>(port);
  return {};
}

Result<void> take_values(const cli::Arguments& arguments, Options& out) {
  out.state_directory = arguments.value("state", cli::kDefaultStateDirectory);
  while (out.state_directory.size() > 1 && out.state_directory.ends_with('/')) out.state_directory.pop_back();
  if (!out.state_directory.starts_with("/")) return wrong("state", out.state_directory, "an absolute path");
  out.account = arguments.value("account", cli::kDefaultAccount);
  if (out.account.size() != 12 || out.account.find_first_not_of("0123456789") != std::string::npos)
    return wrong("account", out.account, "twelve digits");
  out.region = arguments.value("region", cli::kDefaultRegion);
  if (out.region.empty() || out.region.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") != std::string::npos)
    return wrong("region", out.region, "a region's name, like us-east-1");
  const std::string auth = arguments.value("auth", "enforce");
  if (auth != "enforce" && auth != "off") return wrong("auth", auth, "enforce or off");
  out.enforce_signatures = auth == "enforce";
  const std::string agent = arguments.value("agent", "real");
  if (agent != "real" && agent != "simulated") return wrong("agent", agent, "real or simulated");
  out.simulated_agent = agent == "simulated";
  const std::string factor = arguments.value("memory-overcommit", "1");
  const char* end = factor.data() + factor.size();
  const auto [stopped, error] = std::from_chars(factor.data(), end, out.memory_overcommit);
  if (error != std::errc() || stopped != end || !(out.memory_overcommit > 0) || out.memory_overcommit > 10000)
    return wrong("memory-overcommit", factor, "a factor above 0, at most 10000");
  out.vpc_cidr = arguments.value("vpc-cidr", "");
  const auto network = parse_network(out.vpc_cidr);
  if (arguments.has("vpc-cidr") &&
      (!network || network->prefix < dataplane::kVpcPrefixMin || network->prefix > dataplane::kVpcPrefixMax))
    return wrong("vpc-cidr", out.vpc_cidr,
                 "a network like 10.200.0.0/16, from /16 to /24, without bits beyond its prefix");
  out.public_cidr = arguments.value("public-cidr", "");
  const auto pool = parse_network(out.public_cidr);
  if (arguments.has("public-cidr") && (!pool || pool->prefix < 16 || pool->prefix > 28))
    return wrong("public-cidr", out.public_cidr,
                 "a network like 198.18.0.0/20, from /16 to /28, without bits beyond its prefix");
  return {};
}

}  // namespace

Result<Options> parse_options(const std::vector<std::string>& argv) {
  const auto arguments = cli::Arguments::parse(argv, {{"listen", true},
                                                      {"state", true},
                                                      {"account", true},
                                                      {"region", true},
                                                      {"auth", true},
                                                      {"memory-overcommit", true},
                                                      {"vpc-cidr", true},
                                                      {"public-cidr", true},
                                                      {"agent", true}});
  if (!arguments) return tl::unexpected(arguments.error());
  if (!arguments->operands().empty()) return fail("takes no operands");
  Options out;
  if (const auto listen = take_listen(arguments->value("listen", cli::kDefaultListen), out); !listen)
    return tl::unexpected(listen.error());
  if (const auto values = take_values(*arguments, out); !values) return tl::unexpected(values.error());
  return out;
}

}  // namespace berth::daemon
