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
constexpr size_t kResolvConfBytesMax = 1 << 20;

bool local_to_host(NetlinkSocket& route, Ipv4 address) {
  NetlinkBatch batch;
  rtmsg header{};
  header.rtm_family = AF_INET;
  header.rtm_dst_len = 32;
  batch.message(RTM_GETROUTE, 0, header, "route to " + address.to_string());
  batch.attribute_be32(RTA_DST, address.value);
  bool local = false;
  // No route at all is an answer too: not local.
  (void)route.query(batch, [&](const nlmsghdr&, std::string_view body) {
    rtmsg answer;
    if (body.size() < sizeof answer) return;
    std::memcpy(&answer, body.data(), sizeof answer);
    local = answer.rtm_type == RTN_LOCAL;
  });
  return local;
}

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

Result<std::vector<dataplane::Route>> host_routes(Host& host, const std::string& run_root,
                                                  const std::string& own_instance, const std::string& own_vpc) {
  auto seen = list_routes(host.route);
  if (!seen) return tl::unexpected(seen.error());
  auto links = list_links(host.route);
  if (!links) return tl::unexpected(links.error());
  std::vector<dataplane::Route> routes;
  std::optional<Ipv4Network> own;
  for (const SeenInstance& other : list_instances(run_root)) {
    for (const VpcRecord& record : other.vpcs) {
      if (other.instance.name == own_instance && record.vpc_id == own_vpc) {
        own = record.network;
      } else {
        routes.push_back({record.network, true, other.instance.vpc_link(record.vpc_id)});
      }
    }
  }
  for (const SeenRoute& route : *seen) {
    const bool berth = route.protocol == kRouteProtocol;
    if (berth && own == route.destination) continue;
    const auto link =
        std::find_if(links->begin(), links->end(), [&](const Link& l) { return l.index == route.device; });
    routes.push_back({route.destination, berth, link == links->end() ? "" : link->name});
  }
  return routes;
}

Result<uint32_t> uplink_mtu(Host& host) {
  auto routes = list_routes(host.route);
  if (!routes) return tl::unexpected(routes.error());
  const SeenRoute* best = nullptr;
  for (const SeenRoute& route : *routes) {
    const bool candidate = route.destination.prefix == 0 && route.device != 0;
    if (candidate && (!best || route.metric < best->metric)) best = &route;
  }
  if (!best) return 1500;
  auto links = list_links(host.route);
  if (!links) return tl::unexpected(links.error());
  for (const Link& link : *links) {
    // Below 1280 no real uplink is (IPv6's minimum); 65535 is the most an IPv4 packet can be.
    if (link.index == best->device) return std::clamp<uint32_t>(link.mtu, 1280, 65535);
  }
  return 1500;
}

Result<void> ensure_forwarding(const std::string& run_root) {
  auto value = read_sysctl("net/ipv4/ip_forward");
  if (!value) return tl::unexpected(value.error());
  if (*value != "0") return {};
  if (auto marked = replace_file(run_root + kForwardingMarker, "", Durable::no); !marked) return marked;
  return write_sysctl("net/ipv4/ip_forward", "1");
}

Result<void> load_host_rules(Host& host, const Instance& instance, const dataplane::Upstreams& upstreams) {
  dataplane::HostRules rules{instance.nft_table(), instance.link_prefix(), {}, {}, upstreams.loopback};
  for (const VpcRecord& record : read_vpc_records(instance)) rules.vpcs.push_back(record.network);
  for (Ipv4 upstream : upstreams.usable) {
    if (local_to_host(host.route, upstream)) rules.local_resolvers.push_back(upstream);
  }
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
  delete_unreachable(batch, record.network);
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
