#include "agent/network/vpc.h"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>

#include "agent/network/conntrack.h"
#include "agent/network/namespaces.h"
#include "agent/network/nft.h"
#include "base/log.h"
#include "dataplane/names.h"

namespace berth::network {
namespace {

constexpr const char* kTaskLink = "eth0";

// Above this, one run of nft is cheaper than a message for each.
constexpr size_t kElementsByMessageMax = 256;

// What a router between tasks needs, and what keeps a task from sending under another's address: with strict reverse
// path filtering (1) a packet must come in where its source is routed to, and every task has a route of its own. The links
// have their own values (`all` would be the least that any link may have): the host's link and interfaces without
// source/destination check have 0.
constexpr std::pair<std::string_view, std::string_view> kVpcSysctls[] = {
    {"net/ipv4/ip_forward", "1"},
    {"net/ipv4/conf/all/rp_filter", "0"},
    {"net/ipv4/conf/default/rp_filter", "1"},
    {"net/ipv4/conf/all/send_redirects", "0"},
    {"net/ipv4/conf/default/send_redirects", "0"},
    {"net/ipv4/icmp_ratelimit", "0"},  // a refusal is told every time, not once a second
};
// Tasks have IPv4 addresses only. Absent where the kernel was started without IPv6.
constexpr std::pair<std::string_view, std::string_view> kNoIpv6Sysctls[] = {
    {"net/ipv6/conf/all/disable_ipv6", "1"},
    {"net/ipv6/conf/default/disable_ipv6", "1"},
};

Result<int> loopback_index(NetlinkSocket& socket) {
  auto link = find_link(socket, "lo");
  if (!link) return tl::unexpected(link.error());
  if (!*link) return fail(ENODEV, "loopback link");
  return (*link)->index;
}

using dataplane::InterfaceNet;

std::vector<Ipv4> addresses_of(const InterfaceNet& interface) {
  std::vector<Ipv4> addresses = {interface.address};
  addresses.insert(addresses.end(), interface.secondary.begin(), interface.secondary.end());
  return addresses;
}

}  // namespace

Vpc::Vpc(Host& host, const Instance& instance, std::string id, const dataplane::VpcFacts& facts, Fd namespace_fd,
         NetlinkSocket route, NetlinkSocket filter)
    : host_(host),
      instance_(instance),
      id_(std::move(id)),
      rules_(facts),
      namespace_fd_(std::move(namespace_fd)),
      route_(std::move(route)),
      filter_(std::move(filter)) {}

Result<std::unique_ptr<Vpc>> Vpc::open(Host& host, const Instance& instance, const std::string& id,
                                       const dataplane::VpcFacts& facts) {
  const NamespaceGuard guard(host.namespace_fd);
  auto mtu = uplink_mtu(host);
  if (!mtu) return tl::unexpected(mtu.error());
  const std::string path = instance.netns_path(id);
  const bool present = is_namespace(path);
  auto namespace_fd = present ? open_namespace(path) : create_namespace(path);
  if (!namespace_fd) return tl::unexpected(namespace_fd.error());
  if (auto entered = enter_namespace(*namespace_fd); !entered) return tl::unexpected(entered.error());
  for (const auto& [name, value] : kVpcSysctls) {
    if (auto written = write_sysctl(name, value); !written) return tl::unexpected(written.error());
  }
  for (const auto& [name, value] : kNoIpv6Sysctls) (void)write_sysctl(name, value);
  auto route = NetlinkSocket::open(NETLINK_ROUTE);
  if (!route) return tl::unexpected(route.error());
  auto filter = NetlinkSocket::open(NETLINK_NETFILTER);
  if (!filter) return tl::unexpected(filter.error());
  std::unique_ptr<Vpc> vpc(
      new Vpc(host, instance, id, facts, std::move(*namespace_fd), std::move(*route), std::move(*filter)));
  vpc->mtu_ = *mtu;
  return vpc;
}

Result<void> Vpc::load_whole() {
  const NamespaceGuard guard(host_.namespace_fd);
  if (auto entered = enter_namespace(namespace_fd_); !entered) return entered;
  auto loaded = load_ruleset(rules_.whole(), instance_.lock_fd);
  loaded_ = loaded.has_value();
  return loaded;
}

Result<void> Vpc::load(const dataplane::Delta& delta) {
  if (!loaded_) return load_whole();
  if (delta.empty()) return {};
  Result<void> loaded;
  if (!delta.structural() && delta.elements_added.size() + delta.elements_removed.size() <= kElementsByMessageMax) {
    loaded = apply_elements(filter_, delta);
  } else {
    const NamespaceGuard guard(host_.namespace_fd);
    if (auto entered = enter_namespace(namespace_fd_); !entered) return entered;
    loaded = load_ruleset(to_text(delta), instance_.lock_fd);
  }
  if (loaded) return {};
  // Somebody else has changed the table: it is made anew.
  log_warning("the rules of {} are loaded anew: {}", id_, loaded.error().context);
  return load_whole();
}

Result<void> Vpc::apply(const dataplane::NetworkChange& change) {
  if (!change.structure && value().cidrs.empty()) return fail("the first change of " + id_ + " has no structure");
  const std::vector<Ipv4Network> networks = value().cidrs;
  const Before earlier = before(change);
  auto delta = rules_.change(change);
  if (!delta) return tl::unexpected(delta.error());
  // Rules before the link: nothing passes unjudged.
  if (auto loaded = load(*delta); !loaded) return loaded;
  if (!connected_) {
    if (auto connected = connect_to_host(); !connected) return connected;
    connected_ = true;
  }
  if (change.structure) {
    if (auto put = put_networks(networks); !put) return put;
    if (auto put = put_led_routes(); !put) return put;
  }
  if (auto let = let_routers_route(change.interfaces); !let) return let;
  return end_flows_that_lost(earlier);
}

Vpc::Before Vpc::before(const dataplane::NetworkChange& change) const {
  Before before;
  if (change.structure) before.groups = value().groups;
  for (const auto& [id, interface] : change.interfaces) {
    if (const auto known = value().interfaces.find(id); known != value().interfaces.end())
      before.interfaces.insert(*known);
  }
  return before;
}

Result<void> Vpc::end_flows_that_lost(const Before& before) {
  std::set<Ipv4> unpublished;
  std::map<Ipv4, std::pair<std::vector<std::string>, std::vector<std::string>>> affected;  // groups before and now
  for (const auto& [id, was] : before.interfaces) {
    const auto now = value().interfaces.find(id);
    const bool gone = now == value().interfaces.end();
    if (was.public_address && (gone || now->second.public_address != was.public_address)) {
      unpublished.insert(*was.public_address);
    }
    if (!gone && now->second.groups != was.groups) affected[was.address] = {was.groups, now->second.groups};
  }
  const dataplane::Groups& groups_before = before.groups.empty() ? value().groups : before.groups;
  std::vector<std::string> lost;
  if (!before.groups.empty()) lost = dataplane::groups_that_lost_an_open_rule(groups_before, value().groups);
  std::map<Ipv4, std::vector<std::string>> members;
  if (!lost.empty() || !affected.empty()) {
    for (const auto& [id, interface] : value().interfaces) {
      members[interface.address] = interface.groups;
      const bool loses = std::any_of(lost.begin(), lost.end(), [&](const std::string& group) {
        return std::count(interface.groups.begin(), interface.groups.end(), group) > 0;
      });
      if (loses) affected.try_emplace(interface.address, interface.groups, interface.groups);
    }
  }
  if (affected.empty() && unpublished.empty()) return {};
  const auto ends = [&](const dataplane::Flow& flow, Ipv4 address, bool ingress) {
    const auto found = affected.find(address);
    return found != affected.end() && dataplane::ends_with_its_rule(groups_before, found->second.first, value().groups,
                                                                    found->second.second, ingress, flow, members);
  };
  auto ended = end_flows(filter_, [&](const TrackedFlow& tracked) {
    if (unpublished.contains(tracked.destination) || unpublished.contains(tracked.reply_destination)) return true;
    if (tracked.mark != 0)
      return false;  // the host's, the resolver's, a NAT gateway's: judged otherwise, or always tracked
    const dataplane::Flow flow{tracked.protocol, tracked.source, tracked.reply_source, tracked.source_port,
                               tracked.reply_source_port};
    return ends(flow, flow.source, false) || ends(flow, flow.destination, true);
  });
  return ended ? Result<void>{} : tl::unexpected(ended.error());
}

Result<void> Vpc::change_facts(const dataplane::VpcFacts& facts) {
  if (facts == rules_.facts()) return {};
  return load(rules_.change_facts(facts));
}

Result<int> Vpc::link_on_host() {
  const std::string name = instance_.vpc_link(id_);
  auto link = find_link(host_.route, name);
  if (!link) return tl::unexpected(link.error());
  if (!*link) return fail(ENODEV, "link " + name);
  return (*link)->index;
}

Result<void> Vpc::connect_to_host() {
  const std::string name = instance_.vpc_link(id_);
  const std::string uplink(dataplane::kVpcUplink);
  const Ipv4 host_end = facts().host_end, vpc_end = facts().vpc_end;
  NetlinkBatch make;
  create_veth(make, {name, std::string(dataplane::kHostMac), uplink, std::string(dataplane::kRouterMac),
                     namespace_fd_.get(), mtu_});
  if (auto made = host_.route.send(make, {EEXIST}); !made) return made;
  auto outer = find_link(host_.route, name);
  if (!outer) return tl::unexpected(outer.error());
  auto inner = find_link(route_, uplink);
  if (!inner) return tl::unexpected(inner.error());
  // Both or neither, unless the link belongs to an earlier namespace that is still dying.
  if (!*outer || !*inner) return fail(EBUSY, "link " + name + " of a VPC that is going away");

  auto lo = loopback_index(route_);
  if (!lo) return tl::unexpected(lo.error());
  const Ipv4Network& primary = value().cidrs[0];
  NetlinkBatch inside;
  set_link_up(inside, *lo);
  set_link_up(inside, (*inner)->index);
  // The router's own first: refusals come from it.
  for (Ipv4 address :
       {dataplane::router_address(primary), dataplane::resolver_address(primary), dataplane::kLinkLocalResolver}) {
    put_address(inside, *lo, address);
  }
  put_address(inside, (*inner)->index, vpc_end);
  put_neighbour(inside, (*inner)->index, host_end, dataplane::kHostMac);
  put_route(inside, {{host_end, 32}, (*inner)->index});
  put_route(inside, {{{0}, 0}, (*inner)->index, host_end});
  if (auto sent = route_.send(inside); !sent) return sent;
  const NamespaceGuard guard(host_.namespace_fd);
  if (auto entered = enter_namespace(namespace_fd_); !entered) return entered;
  // The host is trusted with sources: its name servers may have addresses that the VPC has, too.
  if (auto set = write_sysctl("net/ipv4/conf/" + uplink + "/rp_filter", "0"); !set) return set;

  // IPv6 on this link would be a way to the host that no rule of ours sees.
  if (auto entered = enter_namespace(host_.namespace_fd); !entered) return entered;
  (void)write_sysctl("net/ipv6/conf/" + name + "/disable_ipv6", "1");
  NetlinkBatch outside;
  set_link_alias(outside, (*outer)->index, fmt::format("berth {} {}", instance_.name, id_));
  put_address(outside, (*outer)->index, host_end);
  put_neighbour(outside, (*outer)->index, vpc_end, dataplane::kRouterMac);
  put_route(outside, {{vpc_end, 32}, (*outer)->index, {}, host_end});
  if (auto sent = host_.route.send(outside); !sent) return sent;
  auto ready = wait_for_link(host_.route, name);
  return ready ? Result<void>{} : tl::unexpected(ready.error());
}

// A dead task's address ends here; without this it would go back to the host by the default route.
Result<void> Vpc::put_networks(const std::vector<Ipv4Network>& before) {
  NetlinkBatch batch;
  for (const Ipv4Network& network : value().cidrs) put_unreachable(batch, network);
  for (const Ipv4Network& network : before) {
    const auto& now = value().cidrs;
    if (std::find(now.begin(), now.end(), network) == now.end()) delete_unreachable(batch, network);
  }
  return route_.send(batch, {ESRCH});
}

// For each interface that a route names: packets with its mark look into its table, which has a route while it is there.
Result<void> Vpc::put_led_routes() {
  std::set<std::string> wanted;
  for (std::string& id : dataplane::routed_interfaces(value())) wanted.insert(std::move(id));
  if (wanted.empty() && led_.empty()) return {};
  NetlinkBatch batch;
  for (const std::string& id : led_) {
    const uint32_t number = dataplane::number_of(id);
    if (!wanted.contains(id)) delete_mark_rule(batch, number, number);
  }
  for (const std::string& id : wanted) put_mark_rule(batch, dataplane::number_of(id), dataplane::number_of(id));
  if (auto sent = route_.send(batch, {EEXIST, ENOENT}); !sent) return sent;
  led_ = std::move(wanted);
  for (const auto& [task, attached] : tasks_) {
    const auto interface = value().interfaces.find(attached.interface);
    if (!led_.contains(attached.interface) || interface == value().interfaces.end()) continue;
    if (auto routed = route_to_task(task, interface->second); !routed) return routed;
  }
  return {};
}

// Of tasks that are attached; others' links are told when they are made.
Result<void> Vpc::let_routers_route(const std::map<std::string, std::optional<InterfaceNet>>& changed) {
  for (const auto& [id, interface] : changed) {
    if (!interface || !tasks_.contains(interface->task)) continue;
    const NamespaceGuard guard(host_.namespace_fd);
    if (auto entered = enter_namespace(namespace_fd_); !entered) return entered;
    const std::string name = "net/ipv4/conf/" + dataplane::task_link(interface->task) + "/rp_filter";
    const auto now = read_sysctl(name);
    const std::string wanted = interface->source_dest_check ? "1" : "0";
    if (now && *now == wanted) continue;
    if (auto written = write_sysctl(name, wanted); !written && written.error().errno_value != ENOENT) return written;
  }
  return {};
}

Result<TaskNet> Vpc::attach(const std::string& task_id, const std::string& interface_id) {
  const auto found = value().interfaces.find(interface_id);
  if (found == value().interfaces.end() || found->second.task != task_id) {
    return fail(fmt::format("interface {} of task {} is not known in {}", interface_id, task_id, id_));
  }
  const InterfaceNet& interface = found->second;
  if (!loaded_) return fail("the rules of " + id_ + " are not loaded");
  const NamespaceGuard guard(host_.namespace_fd);
  const std::string path = instance_.netns_path(task_id);
  const bool fresh = !is_namespace(path);
  auto task_namespace = fresh ? create_namespace(path) : open_namespace(path);
  if (!task_namespace) return tl::unexpected(task_namespace.error());
  if (!fresh) {
    if (auto entered = enter_namespace(*task_namespace); !entered) return tl::unexpected(entered.error());
  }
  (void)write_sysctl("net/ipv6/conf/default/disable_ipv6", "1");
  auto inside = NetlinkSocket::open(NETLINK_ROUTE);
  if (!inside) return tl::unexpected(inside.error());
  if (auto made = make_task_link(*inside, task_id, interface, *task_namespace); !made) {
    return tl::unexpected(made.error());
  }
  if (auto configured = configure_inside(*inside, task_id, interface); !configured) {
    return tl::unexpected(configured.error());
  }
  if (!interface.source_dest_check) {
    if (auto entered = enter_namespace(namespace_fd_); !entered) return tl::unexpected(entered.error());
    const auto off = write_sysctl("net/ipv4/conf/" + dataplane::task_link(task_id) + "/rp_filter", "0");
    if (!off) return tl::unexpected(off.error());
  }
  if (auto routed = route_to_task(task_id, interface); !routed) return tl::unexpected(routed.error());
  tasks_[task_id] = {interface_id, addresses_of(interface)};
  return TaskNet{path, dataplane::mac_of(interface.address), {}};
}

Result<void> Vpc::make_task_link(NetlinkSocket& inside, const std::string& task_id, const InterfaceNet& interface,
                                 const Fd& task_namespace) {
  const std::string name = dataplane::task_link(task_id);
  const uint32_t group = dataplane::number_of(interface.subnet);
  NetlinkBatch batch;
  create_veth(batch, {name, std::string(dataplane::kRouterMac), kTaskLink, dataplane::mac_of(interface.address),
                      task_namespace.get(), mtu_, group});
  auto made = route_.send(batch);
  if (made || made.error().errno_value != EEXIST) return made;
  auto present = find_link(inside, kTaskLink);
  if (!present) return tl::unexpected(present.error());
  auto old = find_link(route_, name);
  if (!old) return tl::unexpected(old.error());
  NetlinkBatch correct;
  if (*present && *old) {
    // A daemon of an earlier version made it, without a group.
    set_link_group(correct, (*old)->index, group);
    return route_.send(correct);
  }
  // The name is taken by a link into an earlier namespace of this task, which is still dying.
  if (*old) {
    delete_link(correct, (*old)->index);
    if (auto removed = route_.send(correct, {ENODEV}); !removed) return removed;
  }
  return route_.send(batch);
}

Result<void> Vpc::configure_inside(NetlinkSocket& inside, const std::string& task_id, const InterfaceNet& interface) {
  auto link = find_link(inside, kTaskLink);
  if (!link) return tl::unexpected(link.error());
  if (!*link) return fail(ENODEV, "eth0 of task " + task_id);
  auto lo = loopback_index(inside);
  if (!lo) return tl::unexpected(lo.error());
  const int eth0 = (*link)->index;
  const Ipv4 router = dataplane::router_address(value().subnets.at(interface.subnet).cidr);
  NetlinkBatch batch;
  set_link_up(batch, *lo);
  set_link_up(batch, eth0);
  for (Ipv4 address : addresses_of(interface)) put_address(batch, eth0, address);
  put_neighbour(batch, eth0, router, dataplane::kRouterMac);
  put_route(batch, {{router, 32}, eth0});
  put_route(batch, {{{0}, 0}, eth0, router});
  if (auto sent = inside.send(batch); !sent) return sent;
  auto ready = wait_for_link(inside, kTaskLink);
  return ready ? Result<void>{} : tl::unexpected(ready.error());
}

Result<void> Vpc::route_to_task(const std::string& task_id, const InterfaceNet& interface) {
  auto link = wait_for_link(route_, dataplane::task_link(task_id));
  if (!link) return tl::unexpected(link.error());
  NetlinkBatch batch;
  for (Ipv4 address : addresses_of(interface)) {
    put_neighbour(batch, link->index, address, dataplane::mac_of(interface.address));
    put_route(batch, {{address, 32}, link->index});
  }
  for (const std::string& id : led_) {
    const auto found = value().interfaces.find(id);
    if (found == value().interfaces.end() || found->second.task != task_id) continue;
    put_route(batch, {{{0}, 0}, link->index, interface.address, {}, dataplane::number_of(id)});
  }
  return route_.send(batch);
}

Result<void> Vpc::detach(const std::string& task_id) {
  const auto found = tasks_.find(task_id);
  if (found == tasks_.end()) return {};
  // Cut off at once; the links follow when the kernel gets round to the namespace. What the rules know of it is its
  // interface's, and goes with that.
  if (auto link = find_link(route_, dataplane::task_link(task_id)); link && *link) {
    NetlinkBatch batch;
    for (Ipv4 address : found->second.addresses) delete_route(batch, {address, 32}, (*link)->index);
    if (auto sent = route_.send(batch, {ESRCH, ENODEV}); !sent) return sent;
  }
  if (auto dropped = drop_namespace(instance_.netns_path(task_id)); !dropped) return dropped;
  tasks_.erase(found);
  return {};
}

std::vector<std::string> Vpc::tasks() const {
  std::vector<std::string> ids;
  for (const auto& [id, task] : tasks_) ids.push_back(id);
  return ids;
}

Result<void> Vpc::collect() {
  std::set<std::string> links;
  for (const auto& [id, task] : tasks_) links.insert(dataplane::task_link(id));
  auto seen = list_links(route_);
  if (!seen) return tl::unexpected(seen.error());
  NetlinkBatch batch;
  for (const Link& link : *seen) {
    if (link.name.starts_with("t") && link.kind == "veth" && !links.contains(link.name)) delete_link(batch, link.index);
  }
  return batch.empty() ? Result<void>{} : route_.send(batch, {ENODEV});
}

}  // namespace berth::network
