#include "daemon/host_commands.h"

#include <dirent.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <memory>

#include "agent/network/doctor.h"
#include "agent/network/host_objects.h"
#include "agent/network/instance.h"
#include "agent/runtime/probe.h"
#include "base/json.h"
#include "cli/arguments.h"
#include "daemon/real_agent.h"
#include "taskdir/cgroups.h"

namespace berth::daemon {
namespace {

constexpr const char* kHostHelp = R"(Usage: berth host ls [--json]
       berth host clean [--state DIR]

ls      everything that Berth has made on this machine: links, routes, rules,
        namespaces, mounts and cgroups, of every instance
clean   takes away what instances without a running daemon have made. Tasks that
        still run are ended. With --state DIR only that instance's.
)";

constexpr const char* kDoctorHelp = R"(Usage: berth doctor [--vpc-cidr CIDR] [--json]

Checks what Berth needs of this machine (kernel features, tools, rights, name
servers, other firewalls), says what each is for, and what to do where it is not
there. Changes nothing. Exit status 1 where something is missing.
)";

// Cgroups are named berth-<instance>, in every hierarchy the same; one of them is enough to find the names.
std::vector<std::string> cgroup_instances(const runtime::Runtime& runtime) {
  std::vector<std::string> out;
  const std::string directory =
      runtime.cgroup_mode == taskdir::CgroupMode::v2 ? runtime.cgroup_root : runtime.cgroup_root + "/memory";
  const std::unique_ptr<DIR, int (*)(DIR*)> handle(::opendir(directory.c_str()), ::closedir);
  if (!handle) return out;
  while (const dirent* entry = ::readdir(handle.get()))
    if (const std::string name = entry->d_name; name.starts_with("berth-")) out.push_back(name.substr(6));
  return out;
}

int list(bool as_json) {
  auto objects = network::list_host_objects();
  if (!objects) return cli::complain(objects.error().context);
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

int clean(const std::string& state_directory) {
  const runtime::Runtime runtime = runtime::probe();
  std::string only;
  if (!state_directory.empty()) {
    const auto instance = network::instance_of(state_directory);
    if (!instance) return cli::complain(instance.error().context);
    only = instance->name;
  }
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
  const auto cleaned = network::clean_host(state_directory);
  if (!cleaned) return cli::complain(cleaned.error().context);
  for (const std::string& directory : cleaned->removed) fmt::print("Took away what {} had made.\n", directory);
  for (const std::string& directory : cleaned->left_alone)
    fmt::print("Left alone {}: its daemon runs ('berth stop --stop-tasks --state {}' ends it).\n", directory,
               directory);
  if (cleaned->removed.empty() && cleaned->left_alone.empty()) fmt::print("There was nothing to take away.\n");
  return 0;
}

std::vector<network::Check> check_runtime() {
  std::vector<network::Check> out;
  const runtime::Runtime runtime = runtime::probe();
  const bool good = !runtime.path.empty();
  out.push_back({"OCI runtime", good ? network::Health::ok : network::Health::fail, "starts containers",
                 good ? fmt::format("{} {} at {}", runtime.name, runtime.version, runtime.path) : runtime.problem,
                 good ? "" : "apt-get install crun"});
  const char* modes[] = {"", "version 1", "version 2", "version 1 with an empty version 2 beside it"};
  out.push_back(
      {"cgroups", network::Health::ok, "limit and end tasks", modes[static_cast<int>(runtime.cgroup_mode)], ""});
  for (const auto& [program, purpose] : {std::pair{"berth-supervisor", "outlives the daemon with each task"},
                                         {"berth-unpack", "unpacks image layers, confined"},
                                         {"berth-seccomp", "compiles the system call filter once"}}) {
    const std::string path = program_beside(program);
    const bool there = ::access(path.c_str(), X_OK) == 0;
    out.push_back({program, there ? network::Health::ok : network::Health::fail, purpose,
                   there ? path : path + " is missing", there ? "" : "make build, or make install"});
  }
  return out;
}

}  // namespace

int host(const std::vector<std::string>& argv) {
  const auto arguments = cli::Arguments::parse(argv, {{"json", false}, {"state", true}});
  if (!arguments) return cli::misused("host", arguments.error().context);
  if (arguments->has("help")) return fmt::print("{}", kHostHelp), 0;
  if (arguments->operands().size() != 1) return cli::misused("host", "ls or clean?");
  if (::geteuid() != 0) return cli::complain("what Berth made on this machine is root's to see: use sudo");
  const std::string& verb = arguments->operands().front();
  if (verb == "ls") return list(arguments->has("json"));
  if (verb == "clean") return clean(arguments->value("state", ""));
  return cli::misused("host", fmt::format("no command {}", verb));
}

int doctor(const std::vector<std::string>& argv) {
  const auto arguments = cli::Arguments::parse(argv, {{"vpc-cidr", true}, {"json", false}});
  if (!arguments) return cli::misused("doctor", arguments.error().context);
  if (arguments->has("help")) return fmt::print("{}", kDoctorHelp), 0;
  std::vector<network::Check> checks = check_runtime();
  for (network::Check& check : network::check_network({.vpc_cidr = arguments->value("vpc-cidr", "")}))
    checks.push_back(std::move(check));
  static constexpr const char* kWords[] = {"ok", "warn", "FAIL"};
  bool failed = false;
  for (const network::Check& check : checks) {
    failed = failed || check.health == network::Health::fail;
    if (arguments->has("json")) continue;
    fmt::print("{:<5} {:<22} {}\n{:28} {}\n", kWords[static_cast<int>(check.health)], check.name, check.finding, "",
               check.purpose);
    if (!check.remedy.empty()) fmt::print("{:28} → {}\n", "", check.remedy);
  }
  if (arguments->has("json")) {
    json::Array out;
    for (const network::Check& check : checks) {
      json::Value entry;
      entry.set("name", check.name);
      entry.set("health", kWords[static_cast<int>(check.health)]);
      entry.set("purpose", check.purpose);
      entry.set("finding", check.finding);
      entry.set("remedy", check.remedy);
      out.push_back(std::move(entry));
    }
    json::Value value;
    value.set("checks", std::move(out));
    fmt::print("{}\n", json::to_pretty_string(value));
  }
  return failed ? 1 : 0;
}

}  // namespace berth::daemon
