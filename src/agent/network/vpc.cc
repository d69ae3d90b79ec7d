#include "agent/network/vpc.h"

#include <fmt/core.h>

#include <cerrno>

#include "agent/network/namespaces.h"
#include "agent/network/nft.h"
#include "base/log.h"

namespace berth::network {
namespace {


constexpr const char* kTaskLink = "eth0";

// What a router between tasks needs, and what keeps a task from sending under another's address: with strict reverse
// path filtering (1) a packet must come in where its source is routed to, and every task has a route of its own.
constexpr std::pair<std::string_view, std::string_view> kVpcSysctls[] = {
    {"net/ipv4/ip_forward", "1"},
    {"net/ipv4/conf/all/rp_filter", "1"},
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

std::vector<SetElement> elements_of(const TaskNetSpec& task) {
  std::vector<SetElement> elements;
  for (const std::string& group : task.security_groups) {
    elements.push_back({dataplane::group_set_name(group), task.address});
  }
  if (task.assign_public_ip) elements.push_back({std::string(dataplane::kPublicSet), task.address});
  return elements;
}

Result<int> loopback_index(NetlinkSocket& socket) {
  auto link = find_link(socket, "lo");
  if (!link) return tl::unexpected(link.error());
  if (!*link) return fail(ENODEV, "loopback link");
  return (*link)->index;
}

}  // namespace

std::string task_link(const std::string& task_id) { return fmt::format("t{:014x}", name_hash(task_id) >> 8); }

Vpc::Vpc(Host& host, const Instance& instance, VpcSpec spec, Fd namespace_fd, NetlinkSocket route, NetlinkSocket filter)
    : host_(host),
      instance_(instance),
      spec_(std::move(spec)),
      namespace_fd_(std::move(namespace_fd)),
      route_(std::move(route)),
      filter_(std::move(filter)) {}

Result<std::unique_ptr<Vpc>> Vpc::ensure(Host& host, const Instance& instance, VpcSpec spec,
                                         const std::vector<Ipv4>& upstreams) {
  const NamespaceGuard guard(host.namespace_fd);
  auto mtu = uplink_mtu(host);
  if (!mtu) return tl::unexpected(mtu.error());
  const std::string path = instance.netns_path(spec.id);
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
      new Vpc(host, instance, std::move(spec), std::move(*namespace_fd), std::move(*route), std::move(*filter)));
  vpc->mtu_ = *mtu;
  // Rules before the link: nothing passes unjudged.
  if (auto loaded = vpc->load_rules(vpc->spec_, upstreams); !loaded) return tl::unexpected(loaded.error());
  if (auto connected = vpc->connect_to_host(); !connected) return tl::unexpected(connected.error());
  return vpc;
}

Result<void> Vpc::load_rules(const VpcSpec& spec, const std::vector<Ipv4>& upstreams) {
  const NamespaceGuard guard(host_.namespace_fd);
  if (auto entered = enter_namespace(namespace_fd_); !entered) return entered;
  auto loaded = load_ruleset(dataplane::render_vpc_ruleset({spec.network, spec.subnets, spec.groups, upstreams}),
                             instance_.lock_fd);
  if (!loaded) return loaded;
  spec_ = spec;
  return {};
}

Result<void> Vpc::connect_to_host() {
  const std::string name = instance_.vpc_link(spec_.id);
  const std::string uplink(dataplane::kVpcUplink);
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

  const Ipv4 host_end = dataplane::host_address(spec_.network);
  auto lo = loopback_index(route_);
  if (!lo) return tl::unexpected(lo.error());
  NetlinkBatch inside;
  set_link_up(inside, *lo);
  set_link_up(inside, (*inner)->index);
  Ipv4 router = dataplane::router_address(spec_.network);
  put_address(inside, *lo, router);
  for (const Ipv4Network& subnet : spec_.subnets) put_address(inside, *lo, dataplane::router_address(subnet));
  put_neighbour(inside, (*inner)->index, host_end, dataplane::kHostMac);
  put_route(inside, {{host_end, 32}, (*inner)->index});
  put_route(inside, {{{0}, 0}, (*inner)->index, host_end});
  // A dead task's address ends here; without this it would go back to the host by the default route.
  put_unreachable(inside, spec_.network);
  if (auto sent = route_.send(inside); !sent) return sent;

  // IPv6 on this link would be a way to the host that no rule of ours sees.
  const NamespaceGuard guard(host_.namespace_fd);
  if (auto entered = enter_namespace(host_.namespace_fd); !entered) return entered;
  (void)write_sysctl("net/ipv6/conf/" + name + "/disable_ipv6", "1");
  NetlinkBatch outside;
  set_link_alias(outside, (*outer)->index, fmt::format("berth {} {}", instance_.name, spec_.id));
  put_address(outside, (*outer)->index, host_end);
  put_neighbour(outside, (*outer)->index, router, dataplane::kRouterMac);
  put_route(outside, {spec_.network, (*outer)->index, router, host_end});
  if (auto sent = host_.route.send(outside); !sent) return sent;
  auto ready = wait_for_link(host_.route, name);
  return ready ? Result<void>{} : tl::unexpected(ready.error());
}

Result<TaskNet> Vpc::attach(const TaskNetSpec& task) {
  const NamespaceGuard guard(host_.namespace_fd);
  const std::string path = instance_.netns_path(task.task_id);
  const bool fresh = !is_namespace(path);
  auto task_namespace = fresh ? create_namespace(path) : open_namespace(path);
  if (!task_namespace) return tl::unexpected(task_namespace.error());
  if (!fresh) {
    if (auto entered = enter_namespace(*task_namespace); !entered) return tl::unexpected(entered.error());
  }
  (void)write_sysctl("net/ipv6/conf/default/disable_ipv6", "1");
  auto inside = NetlinkSocket::open(NETLINK_ROUTE);
  if (!inside) return tl::unexpected(inside.error());
  if (auto made = make_task_link(*inside, task, *task_namespace); !made) return tl::unexpected(made.error());
  if (auto configured = configure_inside(*inside, task); !configured) return tl::unexpected(configured.error());

  auto link = wait_for_link(route_, task_link(task.task_id));
  if (!link) return tl::unexpected(link.error());
  // The rules' elements before the route: a packet that arrives is judged by all of its groups.
  if (auto added = add_elements(filter_, dataplane::kVpcTable, elements_of(task)); !added) {
    return tl::unexpected(added.error());
  }
  NetlinkBatch batch;
  put_neighbour(batch, link->index, task.address, dataplane::mac_of(task.address));
  put_route(batch, {{task.address, 32}, link->index});
  if (auto sent = route_.send(batch); !sent) return tl::unexpected(sent.error());
  tasks_[task.task_id] = task;
  return TaskNet{path, dataplane::mac_of(task.address), {}};
}

Result<void> Vpc::make_task_link(NetlinkSocket& inside, const TaskNetSpec& task, const Fd& task_namespace) {
  const std::string name = task_link(task.task_id);
  NetlinkBatch batch;
  create_veth(batch, {name, std::string(dataplane::kRouterMac), kTaskLink, dataplane::mac_of(task.address),
                      task_namespace.get(), mtu_});
  auto made = route_.send(batch);
  if (made || made.error().errno_value != EEXIST) return made;
  auto present = find_link(inside, kTaskLink);
  if (!present) return tl::unexpected(present.error());
  if (*present) return {};
  // The name is taken by a link into an earlier namespace of this task, which is still dying.
  auto old = find_link(route_, name);
  if (!old) return tl::unexpected(old.error());
  if (*old) {
    NetlinkBatch remove;
    delete_link(remove, (*old)->index);
    if (auto removed = route_.send(remove, {ENODEV}); !removed) return removed;
  }
  return route_.send(batch);
}

Result<void> Vpc::configure_inside(NetlinkSocket& inside, const TaskNetSpec& task) {
  auto link = find_link(inside, kTaskLink);
  if (!link) return tl::unexpected(link.error());
  if (!*link) return fail(ENODEV, "eth0 of task " + task.task_id);
  auto lo = loopback_index(inside);
  if (!lo) return tl::unexpected(lo.error());
  const int eth0 = (*link)->index;
  const Ipv4 router = dataplane::router_address(task.subnet);
  NetlinkBatch batch;
  set_link_up(batch, *lo);
  set_link_up(batch, eth0);
  put_address(batch, eth0, task.address);
  put_neighbour(batch, eth0, router, dataplane::kRouterMac);
  put_route(batch, {{router, 32}, eth0});
  put_route(batch, {{{0}, 0}, eth0, router});
  if (auto sent = inside.send(batch); !sent) return sent;
  auto ready = wait_for_link(inside, kTaskLink);
  return ready ? Result<void>{} : tl::unexpected(ready.error());
}

Result<void> Vpc::detach(const std::string& task_id) {
  const auto found = tasks_.find(task_id);
  if (found == tasks_.end()) return {};
  const TaskNetSpec& task = found->second;
  // Cut off at once; the links follow when the kernel gets round to the namespace. The address may by now be
  // another's in theory only: the allocator goes round the subnet.
  if (auto removed = remove_elements(filter_, dataplane::kVpcTable, elements_of(task)); !removed) return removed;
  if (auto link = find_link(route_, task_link(task_id)); link && *link) {
    NetlinkBatch batch;
    delete_route(batch, {task.address, 32}, (*link)->index);
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
  std::set<std::pair<std::string, Ipv4>> wanted;
  std::set<std::string> links;
  for (const auto& [id, task] : tasks_) {
    links.insert(task_link(id));
    for (SetElement& element : elements_of(task)) wanted.emplace(std::move(element.set), element.address);
  }
  auto elements = list_elements(filter_, dataplane::kVpcTable);
  if (!elements) return tl::unexpected(elements.error());
  std::erase_if(*elements, [&](const SetElement& element) { return wanted.contains({element.set, element.address}); });
  if (auto removed = remove_elements(filter_, dataplane::kVpcTable, *elements); !removed) return removed;
  auto seen = list_links(route_);
  if (!seen) return tl::unexpected(seen.error());
  NetlinkBatch batch;
  for (const Link& link : *seen) {
    if (link.name.starts_with("t") && link.kind == "veth" && !links.contains(link.name)) delete_link(batch, link.index);
  }
  return batch.empty() ? Result<void>{} : route_.send(batch, {ENODEV});
}

}  // namespace berth::network
