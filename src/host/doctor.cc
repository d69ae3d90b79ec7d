#include "agent/network/doctor.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <thread>

#include "agent/runtime/container_spec.h"
#include "agent/runtime/probe.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/program_beside.h"
#include "cli/admin_client.h"
#include "cli/arguments.h"
#include "host/commands.h"
#include "taskdir/cgroups.h"

namespace berth::host {
namespace {

constexpr const char* kDoctorHelp = R"(Usage: berth doctor [--vpc-cidr CIDR] [--json]

Checks what Berth needs of this machine (kernel features, tools, rights, its
port, name servers, other firewalls), says what each is for, and what to do where
it is not there. Changes nothing. Exit status 1 where something is missing.

  --vpc-cidr CIDR   whether this network is free for the first VPC
  --json            {"checks":[…]}
)";

using network::Check;
using network::Health;

// Of version 2 in one file, of version 1 a directory each.
bool has_controller(const runtime::Runtime& runtime, const std::string& name) {
  if (runtime.cgroup_mode != taskdir::CgroupMode::v2)
    return ::access(fmt::format("{}/{}", runtime.cgroup_root, name).c_str(), X_OK) == 0;
  std::ifstream file(runtime.cgroup_root + "/cgroup.controllers");
  for (std::string word; file >> word;)
    if (word == name) return true;
  return false;
}

Check check_cgroups(const runtime::Runtime& runtime) {
  static constexpr const char* kModes[] = {"", "version 1", "version 2", "version 1 with an empty version 2 beside it"};
  Check check{"cgroups", Health::ok, "limit and end tasks", kModes[static_cast<int>(runtime.cgroup_mode)], ""};
  std::string missing;
  for (const char* name : {"cpu", "memory", "pids"})
    if (!has_controller(runtime, name)) missing += fmt::format("{}{}", missing.empty() ? "" : ", ", name);
  if (missing.empty()) return check;
  check.health = Health::fail;
  check.finding += ", without " + missing;
  check.remedy = "boot with cgroup_enable=memory on the kernel's command line, or give this container its controllers";
  return check;
}

// Only root's own limit says what the daemon, root too, may give.
Check check_open_files(const runtime::Runtime& runtime) {
  Check check{"open files", Health::ok, "containers' limit, 65535 each unless their definition says otherwise", "", ""};
  if (runtime.open_files_max == 0) {
    check.finding = "any limit can be given";
    return check;
  }
  check.finding =
      fmt::format("at most {}, whatever a definition says: root may not raise its limit here", runtime.open_files_max);
  if (runtime.open_files_max >= runtime::kOpenFilesDefault) return check;
  check.health = Health::warn;
  check.remedy =
      "give this machine or container CAP_SYS_RESOURCE, or start berth with a higher hard limit (ulimit -Hn)";
  return check;
}

Check check_seccomp() {
  const char* purpose = "keeps system calls from containers that they have no use for";
  if (::access("/proc/sys/kernel/seccomp/actions_avail", R_OK) == 0)
    return {"seccomp", Health::ok, purpose, "the kernel filters system calls", ""};
  return {"seccomp", Health::fail, purpose, "the kernel has no system call filters (CONFIG_SECCOMP_FILTER)",
          "boot a kernel that has them (Debian's has)"};
}

// In a mount namespace of a thread's own, which vanishes with it.
Check check_overlay() {
  std::string missing;
  std::thread([&] {
    const auto failed = [&](const char* what) { missing = fmt::format("{}: {}", what, std::strerror(errno)); };
    if (::unshare(CLONE_FS | CLONE_NEWNS) != 0) return failed("a mount namespace");
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return failed("private mounts");
    if (::mount("berth", "/tmp", "tmpfs", 0, "size=1m") != 0) return failed("a tmpfs");
    for (const char* directory : {"/tmp/lower", "/tmp/upper", "/tmp/work", "/tmp/root"}) ::mkdir(directory, 0700);
    if (::mount("overlay", "/tmp/root", "overlay", 0, "lowerdir=/tmp/lower,upperdir=/tmp/upper,workdir=/tmp/work") != 0)
      failed("overlayfs (CONFIG_OVERLAY_FS)");
  }).join();
  const char* purpose = "stacks the layers of an image into a container's root";
  if (missing.empty()) return {"overlayfs", Health::ok, purpose, "can be mounted", ""};
  return {"overlayfs", Health::fail, purpose, "missing: " + missing,
          "modprobe overlay, or a kernel that has it (Debian's has)"};
}

// The default port: who has it, if anybody.
Check check_port() {
  const std::string name = fmt::format("port {}", cli::kDefaultPort);
  const char* purpose = "where the API is served unless 'berth serve --listen' says otherwise";
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(cli::kDefaultPort);
  const Fd probe(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int yes = 1;
  ::setsockopt(probe.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (::bind(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
    return {name, Health::ok, purpose, "free", ""};
  const auto about = cli::ask_daemon(cli::kDefaultStateDirectory, "GET", "/about");
  if (about && (*about)["endpoint"].string_or("").ends_with(fmt::format(":{}", cli::kDefaultPort)))
    return {name, Health::ok, purpose, fmt::format("the Berth of {} serves there", cli::kDefaultStateDirectory), ""};
  return {name, Health::warn, purpose,
          ::geteuid() == 0 ? "another program has it" : "in use, by whom only root can tell",
          "berth serve --listen 127.0.0.1:4567, then berth configure"};
}

std::vector<Check> check_runtime() {
  std::vector<Check> out;
  const runtime::Runtime runtime = runtime::probe();
  const bool good = !runtime.path.empty();
  out.push_back({"OCI runtime", good ? Health::ok : Health::fail, "starts containers",
                 good ? fmt::format("{} {} at {}", runtime.name, runtime.version, runtime.path) : runtime.problem,
                 good ? "" : "apt-get install crun"});
  out.push_back(check_cgroups(runtime));
  out.push_back(check_seccomp());
  if (::geteuid() == 0) out.push_back(check_overlay());
  if (::geteuid() == 0) out.push_back(check_open_files(runtime));
  for (const auto& [program, purpose] : {std::pair{"berth-supervisor", "outlives the daemon with each task"},
                                         {"berth-unpack", "unpacks image layers, confined"},
                                         {"berth-seccomp", "compiles the system call filter once"}}) {
    const std::string path = program_beside(program);
    const bool there = ::access(path.c_str(), X_OK) == 0;
    out.push_back({program, there ? Health::ok : Health::fail, purpose, there ? path : path + " is missing",
                   there ? "" : "make build, or make install"});
  }
  return out;
}

}  // namespace

int doctor(const std::vector<std::string>& argv) {
  const auto arguments = cli::Arguments::parse(argv, {{"vpc-cidr", true}, {"json", false}});
  if (!arguments) return cli::misused("doctor", arguments.error().context);
  if (arguments->has("help")) return fmt::print("{}", kDoctorHelp), 0;
  if (!arguments->operands().empty()) return cli::misused("doctor", "takes no operands");
  std::vector<Check> checks = check_runtime();
  checks.push_back(check_port());
  for (Check& check : network::check_network({.vpc_cidr = arguments->value("vpc-cidr", "")}))
    checks.push_back(std::move(check));
  static constexpr const char* kWords[] = {"ok", "warn", "FAIL"};
  bool failed = false;
  for (const Check& check : checks) {
    failed = failed || check.health == Health::fail;
    if (arguments->has("json")) continue;
    fmt::print("{:<5} {:<22} {}\n{:28} {}\n", kWords[static_cast<int>(check.health)], check.name, check.finding, "",
               check.purpose);
    if (!check.remedy.empty()) fmt::print("{:28} → {}\n", "", check.remedy);
  }
  if (arguments->has("json")) {
    json::Array out;
    for (const Check& check : checks) {
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

}  // namespace berth::host
