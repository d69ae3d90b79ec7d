#include "agent/network/host.h"

#include <fmt/core.h>
#include <linux/rtnetlink.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "agent/network/namespaces.h"
#include "agent/network/nft.h"
#include "base/files.h"
#include "base/log.h"
#include "dataplane/ruleset.h"

namespace berth::network {
namespace {

namespace fs = std::filesystem;

constexpr const char* kForwardingMarker = "/ip_forward_was_off";
constexpr const char* kPublicBlock = "/public_block";
constexpr size_t kResolvConfBytesMax = 1 << 20;

}  // namespace

Result<Host> Host::open() {
  auto current = current_namespace();
  if (!current) return tl::unexpected(current.error());
  auto route = NetlinkSocket::open(NETLINK_ROUTE);
  if (!route) return tl::unexpected(route.error());
  auto filter = NetlinkSocket::open(NETLINK_NETFILTER);
  if (!filter) return tl::unexpected(filter.error());
  return Host{std::move(*current), std::move(*route), std::move(*filter)};
}

Result<std::vector<dataplane::Route>> host_routes(Host& host, const std::string& run_root) {
  auto seen = list_routes(host.route);
  if (!seen) return tl::unexpected(seen.error());
  auto links = list_links(host.route);
  if (!links) return tl::unexpected(links.error());
  std::vector<dataplane::Route> routes;
  for (const SeenInstance& other : list_instances(run_root)) {
    for (const VpcRecord& record : other.vpcs) {
      for (const Ipv4Network& network : record.networks) {
        routes.push_back({network, true, other.instance.vpc_link(record.vpc_id)});
      }
    }
  }
  for (const SeenRoute& route : *seen) {
    const auto link =
        std::find_if(links->begin(), links->end(), [&](const Link& l) { return l.index == route.device; });
    routes.push_back({route.destination, route.protocol == kRouteProtocol, link == links->end() ? "" : link->name});
  }
  return routes;
}

Result<std::optional<Link>> uplink(Host& host) {
  auto routes = list_routes(host.route);
  if (!routes) return tl::unexpected(routes.error());
  const SeenRoute* best = nullptr;
  for (const SeenRoute& route : *routes) {
    const bool candidate = route.destination.prefix == 0 && route.device != 0;
    if (candidate && (!best || route.metric < best->metric)) best = &route;
  }
  if (!best) return std::nullopt;
  auto links = list_links(host.route);
  if (!links) return tl::unexpected(links.error());
  for (Link& link : *links) {
    if (link.index == best->device) return std::move(link);
  }
  return std::nullopt;
}

Result<uint32_t> uplink_mtu(Host& host) {
  auto link = uplink(host);
  if (!link) return tl::unexpected(link.error());
  // Below 1280 no real uplink is (IPv6's minimum); 65535 is the most an IPv4 packet can be.
  return *link ? std::clamp<uint32_t>((*link)->mtu, 1280, 65535) : 1500;
}

Result<void> ensure_forwarding(const std::string& run_root) {
  auto value = read_sysctl("net/ipv4/ip_forward");
  if (!value) return tl::unexpected(value.error());
  if (*value != "0") return {};
  if (auto marked = replace_file(run_root + kForwardingMarker, "", Durable::no); !marked) return marked;
  return write_sysctl("net/ipv4/ip_forward", "1");
}

Result<void> claim_public_block(Host& host, const Instance& instance, const Ipv4Network& block) {
  const std::string path = instance.directory() + kPublicBlock;
  if (auto written = replace_file(path, block.to_string() + "\n", Durable::no); !written) return written;
  NetlinkBatch batch;
  put_unreachable(batch, block);
  return host.route.send(batch);
}

Result<void> load_host_rules(const Instance& instance, const dataplane::Upstreams& upstreams, bool masquerade_public) {
  dataplane::HostRules rules{instance.nft_table(), instance.link_prefix(), upstreams.usable, masquerade_public};
  if (upstreams.loopback) rules.name_servers = {*upstreams.loopback};
  return load_ruleset(dataplane::render_host_ruleset(rules), instance.lock_fd);
}

void open_loopback(const Instance& instance, const dataplane::Upstreams& upstreams) {
  for (const VpcRecord& record : read_vpc_records(instance)) {
    const std::string name = "net/ipv4/conf/" + instance.vpc_link(record.vpc_id) + "/route_localnet";
    if (auto set = write_sysctl(name, upstreams.loopback ? "1" : "0"); !set && set.error().errno_value != ENOENT) {
      log_warning("tasks may not reach the name server on this machine's loopback: {}", set.error().context);
    }
  }
}

dataplane::Upstreams read_upstreams(const std::vector<std::string>& resolv_confs) {
  dataplane::Upstreams last;
  for (const std::string& path : resolv_confs) {
    const auto text = read_file(path, kResolvConfBytesMax);
    if (!text) continue;
    dataplane::Upstreams upstreams = dataplane::parse_resolv_conf(*text);
    if (!upstreams.usable.empty()) return upstreams;
    if (!last.loopback) last.loopback = upstreams.loopback;
    last.ipv6_only |= upstreams.ipv6_only;
  }
  return last;
}

Result<void> remove_vpc_objects(Host& host, const Instance& instance, const VpcRecord& record) {
  if (auto dropped = drop_namespace(instance.netns_path(record.vpc_id)); !dropped) return dropped;
  // The link would go with the namespace, in the kernel's own time; whoever asked for the removal wants it gone.
  auto link = find_link(host.route, instance.vpc_link(record.vpc_id));
  if (!link) return tl::unexpected(link.error());
  NetlinkBatch batch;
  if (*link) delete_link(batch, (*link)->index);
  for (const Ipv4Network& network : record.networks) delete_unreachable(batch, network);
  if (auto removed = host.route.send(batch, {ENODEV, ESRCH}); !removed) return removed;
  if (::unlink((instance.vpcs_directory() + "/" + record.vpc_id).c_str()) != 0 && errno != ENOENT) {
    return fail(errno, "remove the record of " + record.vpc_id);
  }
  return {};
}

namespace {

// Others may have come to rely on it since: whatever makes links of these kinds forwards packets as well.
bool others_forward(Host& host, const std::string& run_root) {
  if (!list_instances(run_root).empty()) return true;
  auto links = list_links(host.route);
  auto routes = list_routes(host.route);
  if (!links || !routes) return true;
  return std::any_of(links->begin(), links->end(), [&](const Link& link) {
    // In a container the uplink itself is a veth.
    const bool uplink = std::any_of(routes->begin(), routes->end(), [&](const SeenRoute& route) {
      return route.destination.prefix == 0 && route.device == link.index;
    });
    if (uplink) return false;
    return link.kind == "bridge" || link.kind == "veth" || link.kind == "tun" || link.kind == "wireguard";
  });
}

}  // namespace

Result<void> remove_instance(Host& host, const Instance& instance) {
  // Tasks first: their links must not outlive what judges their packets.
  std::error_code error;
  Result<void> outcome;
  const auto keep = [&](Result<void> result) {
    if (!result && outcome) outcome = std::move(result);
  };
  for (const auto& entry : fs::directory_iterator(instance.netns_directory(), error)) {
    keep(drop_namespace(entry.path()));
  }
  for (const VpcRecord& record : read_vpc_records(instance)) keep(remove_vpc_objects(host, instance, record));
  keep(delete_table(host.filter, instance.nft_table()));
  if (auto text = read_file(instance.directory() + kPublicBlock, kResolvConfBytesMax)) {
    if (const auto block = parse_network(text->substr(0, text->find('\n')))) {
      NetlinkBatch batch;
      delete_unreachable(batch, *block);
      keep(host.route.send(batch, {ESRCH}));
    }
  }
  if (!outcome) return outcome;  // the directory still says what is left
  ::umount2(instance.netns_directory().c_str(), MNT_DETACH);
  fs::remove_all(instance.directory(), error);
  if (error) return fail(error.value(), "remove " + instance.directory());
  const std::string marker = instance.run_root + kForwardingMarker;
  if (::access(marker.c_str(), F_OK) == 0 && !others_forward(host, instance.run_root)) {
    if (auto off = write_sysctl("net/ipv4/ip_forward", "0"); !off) return off;
    ::unlink(marker.c_str());
  }
  return {};
}

}  // namespace berth::network
