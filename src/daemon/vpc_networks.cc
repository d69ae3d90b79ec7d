#include "daemon/vpc_networks.h"

#include <algorithm>
#include <fstream>
#include <vector>

#include "agent/network/network.h"
#include "base/files.h"
#include "base/log.h"
#include "records/network.h"
#include "records/read.h"

namespace berth::daemon {
namespace {

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

bool is_announced(const Options& options, const state::Store& store) {
  const auto kept = records::get<records::PublicPool>(store, records::kPublicPoolKey);
  return kept ? kept->announced : !options.public_cidr.empty();
}

// A store keeps the pool that it began with: addresses out of it may be in use.
Result<Ipv4Network> choose_public_pool(const Options& options, const state::Store& store,
                                       const std::vector<dataplane::Route>& routes) {
  if (const auto kept = records::get<records::PublicPool>(store, records::kPublicPoolKey)) {
    if (!options.public_cidr.empty() && options.public_cidr != kept->cidr)
      log_info("--public-cidr is for a new state directory; this one keeps {}", kept->cidr);
    return *parse_network(kept->cidr);
  }
  const auto taken = [&](const Ipv4Network& pool, bool by_berth_alone) {
    return std::any_of(routes.begin(), routes.end(), [&](const dataplane::Route& route) {
      return route.destination.prefix > 0 && route.destination.overlaps(pool) && (route.berth || !by_berth_alone);
    });
  };
  if (!options.public_cidr.empty()) {
    // It may be a block of the machine's own LAN, which has a route.
    const Ipv4Network asked = *parse_network(options.public_cidr);
    if (taken(asked, true)) return fail("--public-cidr " + options.public_cidr + " is another Berth's on this machine");
    return asked;
  }
  constexpr Ipv4Network kBenchmarking{{0xC6120000}, 15};  // RFC 2544: addresses that are nobody's on the internet
  for (Ipv4Network pool{kBenchmarking.base, 20}; kBenchmarking.contains(pool); pool.base.value += pool.size())
    if (!taken(pool, false)) return pool;
  return fail("all of 198.18.0.0/15 is in use on this machine; name a block for public addresses with --public-cidr");
}

}  // namespace

Result<services::Network> choose_network(const Options& options, const state::Store& store,
                                         const std::optional<network::Instance>& instance) {
  services::Network out;
  if (options.simulated_agent) {
    if (!options.vpc_cidr.empty()) out.first_cidr = options.vpc_cidr;
    const auto pool = choose_public_pool(options, store, {});
    if (!pool) return tl::unexpected(pool.error());
    out.public_pool = *pool;
    out.pool_announced = is_announced(options, store);
    return out;
  }
  const auto routes = taken_by_others(instance);
  if (!routes) return tl::unexpected(routes.error());
  for (const dataplane::Route& route : *routes)
    if (route.destination.prefix > 0) out.taken.push_back(route.destination.to_string());
  const auto pool = choose_public_pool(options, store, *routes);
  if (!pool) return tl::unexpected(pool.error());
  out.public_pool = *pool;
  out.pool_announced = is_announced(options, store);
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
  if (const auto pool = records::get<records::PublicPool>(store, records::kPublicPoolKey)) claims += pool->cidr + "\n";
  for (const auto& [key, vpc] : records::range<records::Vpc>(store, "ec2/vpc/")) claims += vpc->cidr + "\n";
  return replace_file(claims_path(instance), claims, Durable::no);
}

}  // namespace berth::daemon
