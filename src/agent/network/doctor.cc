#include "agent/network/doctor.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <sstream>
#include <thread>

#include "agent/network/host.h"
#include "agent/network/links.h"
#include "agent/network/namespaces.h"
#include "agent/network/nft.h"
#include "base/assert.h"
#include "dataplane/ruleset.h"
#include "dataplane/vpc_rules.h"

namespace berth::network {
namespace {

// Output of a read-only tool; empty where it is not installed or fails.
std::string output_of(const char* command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command, "re"), ::pclose);
  std::string text;
  char buffer[4096];
  size_t size;
  while (pipe && text.size() < (1u << 20) && (size = std::fread(buffer, 1, sizeof buffer, pipe.get())) > 0) {
    text.append(buffer, size);
  }
  return text;
}

Check good(std::string name, std::string purpose, std::string finding) {
  return {std::move(name), Health::ok, std::move(purpose), std::move(finding), {}};
}

Check check_rights() {
  const char* purpose = "containers, namespaces and overlay mounts need root";
  if (::geteuid() == 0) return good("rights", purpose, "running as root");
  return {"rights", Health::fail, purpose, "not running as root; only what anybody can see was checked",
          "run berth with sudo"};
}

// Tries in namespaces of a thread's own, which vanish with it.
std::string try_kernel(Check& nft) {
  std::string missing;
  std::thread([&] {
    if (::unshare(CLONE_NEWNET) != 0) {
      missing = "network namespaces (CONFIG_NET_NS)";
      return;
    }
    auto inside = current_namespace();
    auto socket = NetlinkSocket::open(NETLINK_ROUTE);
    if (!inside || !socket) {
      missing = "netlink";
      return;
    }
    NetlinkBatch batch;
    create_veth(batch, {"probe", std::string(dataplane::kHostMac), "peer", std::string(dataplane::kRouterMac),
                        inside->get(), 1500});
    if (auto made = socket->send(batch); !made) missing = "veth links (CONFIG_VETH): " + made.error().context;
    // The very rules that a VPC and the host get.
    dataplane::VpcRules rules({dataplane::host_end_of(1), dataplane::vpc_end_of(1)});
    dataplane::VpcNet net;
    net.cidrs = {*parse_network("172.31.0.0/16")};
    net.groups["sg-0"].ingress = {{"sgr-0", {}, {}, "sg-0"}};
    BERTH_ASSERT(rules.change({"vpc-0", net, {}}).has_value());
    auto vpc = load_ruleset(rules.whole());
    auto host = load_ruleset(dataplane::render_host_ruleset({"berth_000000", "be000000v", {Ipv4{127u << 24 | 1}}}));
    if (!vpc || !host) {
      nft.health = Health::fail;
      nft.finding = (vpc ? host : vpc).error().context;
      nft.remedy = "install nftables, and a kernel with nf_tables, nft_ct, nft_reject, nft_fib, nft_nat and nft_masq";
    }
  }).join();
  return missing;
}

Check check_overlap(Host& host, const DoctorOptions& options) {
  const char* purpose = "a VPC's addresses must not be somebody else's on this machine";
  auto routes = host_routes(host, options.run_root);
  if (!routes) return {"addresses", Health::fail, purpose, routes.error().context, "see the message"};
  const std::vector<SeenInstance> instances = list_instances(options.run_root);
  if (!instances.empty() && options.vpc_cidr.empty()) {
    return good("addresses", purpose, "VPCs of Berth are there already");
  }
  auto chosen = dataplane::choose_vpc_network(*routes, options.vpc_cidr);
  if (!chosen)
    return {"addresses", Health::fail, purpose, chosen.error().context,
            "berth serve --vpc-cidr with a free private network"};
  return good("addresses", purpose, chosen->to_string() + " is free for the first VPC");
}

Check check_forwarding(const DoctorOptions& options) {
  const char* purpose = "tasks with a public address are forwarded to the uplink";
  auto value = read_sysctl("net/ipv4/ip_forward");
  if (!value) return {"net.ipv4.ip_forward", Health::fail, purpose, value.error().context, "mount /proc"};
  if (*value != "0") return good("net.ipv4.ip_forward", purpose, "on");
  if (list_instances(options.run_root).empty()) {
    return good("net.ipv4.ip_forward", purpose, "off; berth serve switches it on, and off again when it leaves");
  }
  return {"net.ipv4.ip_forward", Health::warn, purpose,
          "off, although a Berth is set up: something switched it off since",
          "sysctl -w net.ipv4.ip_forward=1, and look in /etc/sysctl.d for what sets it to 0"};
}

Check check_uplink(Host& host) {
  const char* purpose = "outbound traffic of tasks leaves by the default route";
  auto routes = list_routes(host.route);
  if (routes) {
    for (const SeenRoute& route : *routes) {
      if (route.destination.prefix == 0 && route.device != 0)
        return good("uplink", purpose, "there is a default route");
    }
  }
  return {"uplink", Health::warn, purpose,
          "this machine has no IPv4 default route: tasks reach each other, but nothing outside",
          "connect the machine, or add a default route"};
}

Check check_resolvers(const DoctorOptions& options) {
  const char* purpose = "names that tasks ask for are resolved by this machine's own name servers";
  const dataplane::Upstreams upstreams = read_upstreams(options.resolv_confs);
  std::string named;
  for (Ipv4 server : upstreams.usable) named += (named.empty() ? "" : ", ") + server.to_string();
  if (!upstreams.usable.empty()) return good("name servers", purpose, named);
  // The stub of systemd-resolved, which answers nobody but the host's own programs.
  if (upstreams.loopback && upstreams.loopback->to_string() == "127.0.0.53") {
    return {"name servers", Health::warn, purpose, "systemd-resolved has no IPv4 server to ask",
            "connect the machine; /run/systemd/resolve/resolv.conf has the servers once a link has any"};
  }
  if (upstreams.loopback) {
    return good("name servers", purpose, upstreams.loopback->to_string() + ", on this machine's loopback");
  }
  if (upstreams.ipv6_only) {
    return {"name servers", Health::warn, purpose, "only IPv6 name servers are named; tasks have IPv4 addresses",
            "name an IPv4 name server in /etc/resolv.conf"};
  }
  return {"name servers", Health::warn, purpose, "no name server is named in /etc/resolv.conf", "name one"};
}

Check check_firewalls(const std::string& link_prefix) {
  const char* purpose = "other firewalls on this machine must let tasks' packets through to the uplink";
  // Both backends: rules made by one are invisible to the other's tool, and both judge.
  const std::string nft = output_of("PATH=$PATH:/usr/sbin:/sbin nft -s list ruleset 2>/dev/null");
  const std::string legacy = output_of("PATH=$PATH:/usr/sbin:/sbin iptables-legacy-save -t filter 2>/dev/null");
  const auto blocking = blocking_firewalls(nft, legacy, link_prefix);
  if (blocking.empty()) return good("other firewalls", purpose, "none drops forwarded packets");
  Check check{"other firewalls", Health::warn, purpose, {}, {}};
  for (const ForwardingFirewall& firewall : blocking) {
    check.finding += (check.finding.empty() ? "" : "; ") + firewall.name + " drops forwarded packets";
    check.remedy += (check.remedy.empty() ? "" : "; ") + firewall.remedy;
  }
  check.finding += ": tasks with a public address do not reach beyond this machine";
  return check;
}

Check check_program(const char* name, const char* package, const char* purpose) {
  for (const char* directory : {"/usr/local/sbin/", "/usr/local/bin/", "/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/"}) {
    const std::string path = std::string(directory) + name;
    if (::access(path.c_str(), X_OK) == 0) return good(name, purpose, path);
  }
  return {name, Health::fail, purpose, "not installed", fmt::format("apt-get install {}", package)};
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != text.npos; }

}  // namespace

std::vector<ForwardingFirewall> blocking_firewalls(const std::string& nft_text, const std::string& legacy_text,
                                                   const std::string& link_prefix) {
  const std::string links = link_prefix + "+";
  std::vector<ForwardingFirewall> found;
  const auto known = [&](const std::string& text, const std::string& fallback) -> ForwardingFirewall {
    if (contains(text, "ufw-")) {
      return {"ufw", fmt::format("ufw route allow in on '{}'", links)};
    }
    if (contains(text, "DOCKER-USER")) {
      return {"Docker",
              fmt::format("iptables -I DOCKER-USER -i {0} -j ACCEPT; iptables -I DOCKER-USER -o {0} -m conntrack "
                          "--ctstate ESTABLISHED,RELATED -j ACCEPT",
                          links)};
    }
    return {fallback, fmt::format("accept what comes from and what answers to links named {} there", links)};
  };
  // Chains of nft list ruleset: a table's line, a chain's line, then its type with hook and policy.
  std::istringstream lines(nft_text);
  std::string line, table;
  bool own = false, forward_drops = false;
  while (std::getline(lines, line)) {
    if (line.starts_with("table ")) {
      table = line.substr(6, line.find(" {") - 6);
      own = contains(table, " berth_");
    }
    if (own || !contains(line, "hook forward")) continue;
    if (contains(table, " firewalld")) {
      found.push_back(
          {"firewalld",
           fmt::format("firewall-cmd --permanent --zone=trusted --add-interface='{}' && firewall-cmd --reload",
                       links)});
    } else if (contains(line, "policy drop") && (table.starts_with("ip ") || table.starts_with("inet "))) {
      forward_drops = true;
      found.push_back(known(nft_text, "a forward chain of table " + table));
    }
  }
  if (contains(legacy_text, ":FORWARD DROP") && !forward_drops) {
    found.push_back(known(legacy_text, "the FORWARD chain of iptables-legacy"));
  }
  return found;
}

std::vector<Check> check_network(const DoctorOptions& options) {
  std::vector<Check> checks = {check_rights()};
  checks.push_back(check_program("nft", "nftables", "loads the rules between tasks, the host and the world"));
  checks.push_back(check_program("skopeo", "skopeo", "copies images from archives, directories and registries"));
  checks.push_back(check_resolvers(options));
  checks.push_back(check_forwarding(options));
  auto host = Host::open();
  if (!host) return checks;
  checks.push_back(check_uplink(*host));
  checks.push_back(check_overlap(*host, options));
  if (::geteuid() != 0) return checks;
  Check nft = good("nftables", "decides who reaches whom, and does NAT", "the kernel takes Berth's rules");
  const std::string missing = try_kernel(nft);
  const char* purpose = "every task has a network namespace, joined by a veth";
  checks.push_back(missing.empty() ? good("network namespaces", purpose, "can be made")
                                   : Check{"network namespaces", Health::fail, purpose, "missing: " + missing,
                                           "boot a kernel that has them (Debian's has)"});
  checks.push_back(std::move(nft));
  // The prefix of this machine's instances; before there is one, of all that may come.
  const std::vector<SeenInstance> instances = list_instances(options.run_root);
  checks.push_back(check_firewalls(instances.empty() ? "be" : instances.front().instance.link_prefix()));
  return checks;
}

}  // namespace berth::network
