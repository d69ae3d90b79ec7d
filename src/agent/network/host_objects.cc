#include "agent/network/host_objects.h"

#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "agent/network/host.h"
#include "agent/network/namespaces.h"
#include "agent/network/nft.h"

namespace berth::network {
namespace {

bool six_digits(std::string_view text) {
  return text.size() == 6 && text.find_first_not_of("0123456789abcdef") == text.npos;
}

// "be" + six digits + "v" + six digits
bool our_link(std::string_view name) {
  return name.size() == 15 && name.starts_with("be") && name[8] == 'v' && six_digits(name.substr(2, 6)) &&
         six_digits(name.substr(9));
}

// What was left without its record: a link, a table or a route that no instance has written down. Nothing makes such
// things but a lost /run.
Result<void> remove_strays(Host& host, const std::string& run_root) {
  std::set<std::string> names;
  std::vector<VpcRecord> records;
  for (const SeenInstance& seen : list_instances(run_root)) {
    names.insert(seen.instance.name);
    records.insert(records.end(), seen.vpcs.begin(), seen.vpcs.end());
  }
  auto links = list_links(host.route);
  if (!links) return tl::unexpected(links.error());
  NetlinkBatch batch;
  for (const Link& link : *links) {
    if (our_link(link.name) && !names.contains(link.name.substr(2, 6))) delete_link(batch, link.index);
  }
  auto routes = list_routes(host.route);
  if (!routes) return tl::unexpected(routes.error());
  for (const SeenRoute& route : *routes) {
    const bool recorded = std::any_of(records.begin(), records.end(), [&](const VpcRecord& record) {
      return std::count(record.networks.begin(), record.networks.end(), route.destination) > 0;
    });
    if (route.protocol == kRouteProtocol && route.device == 0 && !recorded) {
      delete_unreachable(batch, route.destination);
    }
  }
  if (!batch.empty()) {
    if (auto sent = host.route.send(batch, {ENODEV, ESRCH}); !sent) return sent;
  }
  auto tables = list_tables(host.filter);
  if (!tables) return tl::unexpected(tables.error());
  for (const std::string& table : *tables) {
    if (!table.starts_with("berth_") || !six_digits(table.substr(6)) || names.contains(table.substr(6))) continue;
    if (auto deleted = delete_table(host.filter, table); !deleted) return deleted;
  }
  return {};
}

}  // namespace

Result<std::vector<HostObject>> list_host_objects(const std::string& run_root) {
  auto host = Host::open();
  if (!host) return tl::unexpected(host.error());
  std::vector<HostObject> objects;
  std::vector<std::pair<VpcRecord, std::string>> records;
  for (const SeenInstance& seen : list_instances(run_root)) {
    const std::string& name = seen.instance.name;
    objects.push_back({name, "directory", seen.instance.directory(),
                       fmt::format("names what the Berth of {} has made{}", seen.state_directory,
                                   seen.running      ? ""
                                   : seen.state_gone ? "; that directory is gone"
                                                     : "; it does not run now")});
    for (const VpcRecord& record : seen.vpcs) records.emplace_back(record, name);
    objects.push_back({name, "mount", seen.instance.netns_directory(), "where network namespaces are bound"});
    for (const std::string& id : seen.namespaces) {
      objects.push_back({name, "namespace", seen.instance.netns_path(id),
                         id.starts_with("vpc-") ? "network of VPC " + id : "network of task " + id});
    }
  }
  auto links = list_links(host->route);
  if (!links) return tl::unexpected(links.error());
  for (const Link& link : *links) {
    if (our_link(link.name)) {
      objects.push_back({link.name.substr(2, 6), "link", link.name, "leads into a VPC (" + link.alias + ")"});
    }
  }
  auto routes = list_routes(host->route);
  if (!routes) return tl::unexpected(routes.error());
  for (const SeenRoute& route : *routes) {
    if (route.protocol != kRouteProtocol) continue;
    std::string instance;
    for (const auto& [record, name] : records) {
      const auto& networks = record.networks;
      if (std::find(networks.begin(), networks.end(), route.destination) != networks.end()) instance = name;
    }
    for (const Link& link : *links) {
      if (link.index == route.device && our_link(link.name)) instance = link.name.substr(2, 6);
    }
    objects.push_back(
        {instance, "route", route.destination.to_string() + (route.device == 0 ? " unreachable" : ""),
         route.device == 0 ? "keeps packets to dead tasks from leaving by the uplink" : "leads into a VPC"});
  }
  auto tables = list_tables(host->filter);
  if (!tables) return tl::unexpected(tables.error());
  for (const std::string& table : *tables) {
    if (!table.starts_with("berth_")) continue;
    objects.push_back({table.substr(6), "nft table", "ip " + table,
                       "NAT for tasks with a public address; keeps tasks from the host's own ports"});
  }
  if (::access((run_root + "/ip_forward_was_off").c_str(), F_OK) == 0) {
    objects.push_back(
        {"", "sysctl", "net.ipv4.ip_forward = 1",
         "NAT needs it; it was 0, and is put back when the last Berth is gone and nothing else forwards"});
  }
  return objects;
}

Result<Cleaned> clean_host(const std::string& state_directory, const std::string& run_root) {
  Cleaned cleaned;
  if (::access(run_root.c_str(), F_OK) != 0) return cleaned;
  auto host = Host::open();
  if (!host) return tl::unexpected(host.error());
  std::error_code error;
  const std::string only =
      state_directory.empty() ? "" : std::filesystem::weakly_canonical(state_directory, error).string();
  auto machine = lock_file(run_root + "/lock", true);
  if (!machine) return tl::unexpected(machine.error());
  for (const SeenInstance& seen : list_instances(run_root)) {
    if (!only.empty() && seen.state_directory != only) continue;
    if (seen.running) {
      cleaned.left_alone.push_back(seen.state_directory);
      continue;
    }
    if (auto removed = remove_instance(*host, seen.instance); !removed) return tl::unexpected(removed.error());
    cleaned.removed.push_back(seen.state_directory);
  }
  if (only.empty()) {
    if (auto removed = remove_strays(*host, run_root); !removed) return tl::unexpected(removed.error());
  }
  return cleaned;
}

}  // namespace berth::network
