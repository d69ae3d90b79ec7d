#include "daemon/vpc_networks.h"

#include <fstream>
#include <vector>

#include "agent/network/network.h"
#include "base/files.h"
#include "base/log.h"
#include "records/network.h"
#include "records/read.h"

namespace berth::daemon {
namespace {

constexpr size_t kClaimsBytesMax = 64 * 1024;  // a line for each region that is used

std::string claims_path(const network::Instance& instance) { return instance.directory() + "/claims"; }

Result<std::vector<dataplane::Route>> taken_by_others(const std::optional<network::Instance>& own) {
  auto routes = network::read_host_routes();
  if (!routes || !own) return routes;
  for (const network::SeenInstance& seen : network::list_instances(network::kRunRoot)) {
    if (seen.instance.name == own->name || seen.state_gone) continue;
    std::ifstream claims(claims_path(seen.instance));
    for (std::string line; std::getline(claims, line);)
      if (const auto claimed = parse_network(line)) routes->push_back({*claimed, true});
  }
  return routes;
}

}  // namespace

Result<services::Network> choose_network(const Options& options, const state::Store& store,
                                         const std::optional<network::Instance>& instance) {
  services::Network out;
  if (options.simulated_agent) {
    if (!options.vpc_cidr.empty()) out.first_cidr = options.vpc_cidr;
    return out;
  }
  const auto routes = taken_by_others(instance);
  if (!routes) return tl::unexpected(routes.error());
  for (const dataplane::Route& route : *routes)
    if (route.destination.prefix > 0) out.taken.push_back(route.destination.to_string());
  const bool first = store.range("ec2/vpc/", {}, 1).empty();
  if (!first && options.vpc_cidr.empty()) return out;
  if (!first) {
    log_info("--vpc-cidr is for a state directory without a VPC; this one keeps its own");
    return out;
  }
  const auto chosen = dataplane::choose_vpc_network(*routes, options.vpc_cidr);
  if (!chosen) return tl::unexpected(chosen.error());
  out.first_cidr = chosen->to_string();
  return out;
}

Result<void> claim_all(const network::Instance& instance, const state::Store& store) {
  std::string claims;
  for (const auto& [key, vpc] : records::range<records::Vpc>(store, "ec2/vpc/")) claims += vpc->cidr + "\n";
  return replace_file(claims_path(instance), claims, Durable::no);
}

bool claim(const network::Instance& instance, const std::string& cidr) {
  const auto refused = [&](const std::string& why) {
    log_info("a new VPC does not get the network {}: {}", cidr, why);
    return false;
  };
  const auto wanted = parse_network(cidr);
  if (!wanted) return refused("that is none");
  const auto lock = network::lock_file(std::string(network::kRunRoot) + "/lock", true);
  if (!lock) return refused(lock.error().context);
  const auto routes = taken_by_others(instance);
  if (!routes) return refused(routes.error().context);
  for (const dataplane::Route& route : *routes)
    if (route.destination.prefix > 0 && route.destination.overlaps(*wanted))
      return refused("it overlaps " + route.destination.to_string());
  const std::string before = read_file(claims_path(instance), kClaimsBytesMax).value_or("");
  const auto written = replace_file(claims_path(instance), before + cidr + "\n", Durable::no);
  return written ? true : refused(written.error().context);
}

}  // namespace berth::daemon
