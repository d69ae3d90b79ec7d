#include <dirent.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <filesystem>
#include <memory>

#include "agent/companions/companions.h"
#include "agent/network/host_objects.h"
#include "agent/network/instance.h"
#include "agent/runtime/probe.h"
#include "base/json.h"
#include "cli/arguments.h"
#include "host/commands.h"
#include "taskdir/cgroups.h"

namespace berth::host {
namespace {

constexpr const char* kHostHelp = R"(Usage: berth host ls [--json]
       berth host clean [--state DIR]

ls      everything that Berth has made on this machine: links, routes, rules,
        namespaces, mounts and cgroups, of every instance
clean   takes away what instances without a running daemon have made. Tasks that
        still run are ended. With --state DIR only that instance's.
)";

// Cgroups are named berth-<instance>, in every hierarchy the same; one of them is enough to find the names.
std::vector<std::string> cgroup_instances(const runtime::Runtime& runtime) {
  std::vector<std::string> out;
  const std::string directory =
      runtime.cgroup_mode == taskdir::CgroupMode::v2 ? runtime.cgroup_root : runtime.cgroup_root + "/memory";
  const std::unique_ptr<DIR, int (*)(DIR*)> handle(::opendir(directory.c_str()), ::closedir);
  if (!handle) return out;
  const std::string head = taskdir::instance_cgroup("");
  while (const dirent* entry = ::readdir(handle.get())) {
    const std::string name = entry->d_name;
    if (name.starts_with(head) && network::is_instance_name(name.substr(head.size())))
      out.push_back(name.substr(head.size()));
  }
  return out;
}

int list(bool as_json) {
  auto objects = network::list_host_objects();
  if (!objects) return cli::complain(objects.error().context);
  for (const network::SeenInstance& seen : network::list_instances(network::kRunRoot))
    for (const auto& one : agent::Companions::list(seen.instance.directory() + "/companions"))
      objects->push_back({seen.instance.name, "companion", one.name,
                          one.pid == 0 ? "has ended; what it left" : fmt::format("serves its VPCs; process {}", one.pid)});
  for (const std::string& instance : cgroup_instances(runtime::probe()))
    objects->push_back({instance, "cgroup", "berth-" + instance, "the limits of its tasks, and their supervisors"});
  if (as_json) {
    json::Array out;
    for (const auto& object : *objects) {
      json::Value entry;
      entry.set("instance", object.instance);
      entry.set("kind", object.kind);
      entry.set("name", object.name);
      entry.set("purpose", object.purpose);
      out.push_back(std::move(entry));
    }
    json::Value value;
    value.set("objects", std::move(out));
    return fmt::print("{}\n", json::to_pretty_string(value)), 0;
  }
  if (objects->empty()) return fmt::print("Berth has made nothing on this machine.\n"), 0;
  for (const auto& object : *objects)
    fmt::print("{:<8}  {:<10}  {:<44}  {}\n", object.instance.empty() ? "?" : object.instance, object.kind, object.name,
               object.purpose);
  return 0;
}

// Killed processes are gone a little later, and nothing tells when: version 1 has no event for an empty cgroup.
bool end_tasks(const runtime::Runtime& runtime, const std::string& instance) {
  const std::string cgroup = taskdir::instance_cgroup(instance);
  for (int attempt = 0; attempt < 500; ++attempt) {
    taskdir::kill_cgroup(runtime.cgroup_root, runtime.cgroup_mode, cgroup);
    if (taskdir::remove_cgroup(runtime.cgroup_root, runtime.cgroup_mode, cgroup) == 0) return true;
    ::poll(nullptr, 0, 10);
  }
  return false;
}

// The instance of a state directory, which may be gone by now; empty where it has none, or made nothing.
std::string instance_name(const std::string& state_directory) {
  std::error_code error;
  const std::string path = std::filesystem::weakly_canonical(state_directory, error);
  if (std::filesystem::exists(path + "/instance", error))
    if (const auto instance = network::instance_of(path)) return instance->name;
  for (const network::SeenInstance& seen : network::list_instances(network::kRunRoot))
    if (seen.state_directory == path) return seen.instance.name;
  return {};
}

int clean(const std::string& state_directory) {
  const runtime::Runtime runtime = runtime::probe();
  const std::string only = state_directory.empty() ? "" : instance_name(state_directory);
  if (!state_directory.empty() && only.empty()) return fmt::print("There was nothing to take away.\n"), 0;
  // Tasks first: a namespace lives as long as a process in it.
  const auto seen = network::list_instances(network::kRunRoot);
  for (const std::string& name : cgroup_instances(runtime)) {
    bool running = false;
    for (const network::SeenInstance& one : seen) running = running || (one.instance.name == name && one.running);
    if (running || (!only.empty() && only != name)) continue;
    if (end_tasks(runtime, name))
      fmt::print("Ended the tasks of berth-{}.\n", name);
    else
      return cli::complain(fmt::format("processes in the cgroup berth-{} do not die", name));
  }
  for (const network::SeenInstance& one : seen)
    if (!one.running && (only.empty() || only == one.instance.name))
      if (const auto ended = agent::Companions::end_all(one.instance.directory() + "/companions"); !ended)
        return cli::complain(ended.error().context);
  const auto cleaned = network::clean_host(state_directory);
  if (!cleaned) return cli::complain(cleaned.error().context);
  for (const std::string& directory : cleaned->removed) fmt::print("Took away what {} had made.\n", directory);
  for (const std::string& directory : cleaned->left_alone)
    fmt::print("Left alone {}: its daemon runs ('berth stop --stop-tasks --state {}' ends it).\n", directory,
               directory);
  if (cleaned->removed.empty() && cleaned->left_alone.empty()) fmt::print("There was nothing to take away.\n");
  return 0;
}

}  // namespace

int host(const std::vector<std::string>& argv) {
  const auto arguments = cli::Arguments::parse(argv, {{"json", false}, {"state", true}});
  if (!arguments) return cli::misused("host", arguments.error().context);
  if (arguments->has("help")) return fmt::print("{}", kHostHelp), 0;
  if (arguments->operands().size() != 1) return cli::misused("host", "ls or clean?");
  if (::geteuid() != 0) return cli::complain("what Berth made on this machine is root's to see: use sudo");
  const std::string& verb = arguments->operands().front();
  if (verb == "ls" && arguments->has("state")) return cli::misused("host", "ls is of every state directory");
  if (verb == "ls") return list(arguments->has("json"));
  if (verb == "clean") return clean(arguments->value("state", ""));
  return cli::misused("host", fmt::format("no command {}", verb));
}

}  // namespace berth::host
