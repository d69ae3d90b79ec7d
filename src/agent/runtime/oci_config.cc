#include "agent/runtime/oci_config.h"

#include <signal.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "agent/runtime/seccomp.h"
#include "base/json.h"

namespace berth::runtime {
namespace {

constexpr std::string_view kDefaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr const char* kInitInContainer = "/dev/init";
constexpr int64_t kMib = 1024 * 1024;

// In the kernel's order (linux/capability.h).
constexpr std::string_view kCapabilities[] = {"CAP_CHOWN",
                                              "CAP_DAC_OVERRIDE",
                                              "CAP_DAC_READ_SEARCH",
                                              "CAP_FOWNER",
                                              "CAP_FSETID",
                                              "CAP_KILL",
                                              "CAP_SETGID",
                                              "CAP_SETUID",
                                              "CAP_SETPCAP",
                                              "CAP_LINUX_IMMUTABLE",
                                              "CAP_NET_BIND_SERVICE",
                                              "CAP_NET_BROADCAST",
                                              "CAP_NET_ADMIN",
                                              "CAP_NET_RAW",
                                              "CAP_IPC_LOCK",
                                              "CAP_IPC_OWNER",
                                              "CAP_SYS_MODULE",
                                              "CAP_SYS_RAWIO",
                                              "CAP_SYS_CHROOT",
                                              "CAP_SYS_PTRACE",
                                              "CAP_SYS_PACCT",
                                              "CAP_SYS_ADMIN",
                                              "CAP_SYS_BOOT",
                                              "CAP_SYS_NICE",
                                              "CAP_SYS_RESOURCE",
                                              "CAP_SYS_TIME",
                                              "CAP_SYS_TTY_CONFIG",
                                              "CAP_MKNOD",
                                              "CAP_LEASE",
                                              "CAP_AUDIT_WRITE",
                                              "CAP_AUDIT_CONTROL",
                                              "CAP_SETFCAP",
                                              "CAP_MAC_OVERRIDE",
                                              "CAP_MAC_ADMIN",
                                              "CAP_SYSLOG",
                                              "CAP_WAKE_ALARM",
                                              "CAP_BLOCK_SUSPEND",
                                              "CAP_AUDIT_READ",
                                              "CAP_PERFMON",
                                              "CAP_BPF",
                                              "CAP_CHECKPOINT_RESTORE"};

constexpr std::string_view kDefaultCapabilities[] = {
    "CAP_CHOWN",      "CAP_DAC_OVERRIDE", "CAP_FOWNER",      "CAP_FSETID",           "CAP_KILL",
    "CAP_SETGID",     "CAP_SETUID",       "CAP_SETPCAP",     "CAP_NET_BIND_SERVICE", "CAP_NET_RAW",
    "CAP_SYS_CHROOT", "CAP_MKNOD",        "CAP_AUDIT_WRITE", "CAP_SETFCAP"};

constexpr std::string_view kLimits[] = {"core",   "cpu",   "data", "fsize",  "locks",  "memlock",    "msgqueue", "nice",
                                        "nofile", "nproc", "rss",  "rtprio", "rttime", "sigpending", "stack"};

// What of /proc and /sys tells of, or reaches, the host: Docker's lists.
constexpr std::string_view kMaskedPaths[] = {"/proc/asound",     "/proc/acpi",        "/proc/interrupts",
                                             "/proc/kcore",      "/proc/keys",        "/proc/latency_stats",
                                             "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
                                             "/proc/scsi",       "/sys/firmware",     "/sys/devices/virtual/powercap"};
constexpr std::string_view kReadonlyPaths[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                                               "/proc/sysrq-trigger"};

constexpr std::pair<std::string_view, int> kSignals[] = {
    {"HUP", 1},     {"INT", 2},    {"QUIT", 3},   {"ILL", 4},     {"TRAP", 5},  {"ABRT", 6},
    {"BUS", 7},     {"FPE", 8},    {"KILL", 9},   {"USR1", 10},   {"SEGV", 11}, {"USR2", 12},
    {"PIPE", 13},   {"ALRM", 14},  {"TERM", 15},  {"CHLD", 17},   {"CONT", 18}, {"STOP", 19},
    {"TSTP", 20},   {"TTIN", 21},  {"TTOU", 22},  {"URG", 23},    {"XCPU", 24}, {"XFSZ", 25},
    {"VTALRM", 26}, {"PROF", 27},  {"WINCH", 28}, {"IO", 29},     {"PWR", 30},  {"SYS", 31},
    {"RTMIN", 34},  {"RTMAX", 64}, {"IOT", 6},    {"STKFLT", 16}, {"CLD", 17},  {"POLL", 29}};

template <class List>
bool contains(const List& list, std::string_view name) {
  return std::find(std::begin(list), std::end(list), name) != std::end(list);
}

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return out;
}

std::vector<std::string> arguments_of(const ContainerSpec& spec) {
  std::vector<std::string> arguments;
  if (spec.init_process) arguments = {kInitInContainer, "init", "--"};
  // An empty list says nothing: consoles and generators write it into every definition.
  const bool own_entry = spec.entry_point && !spec.entry_point->empty();
  const bool own_command = spec.command && !spec.command->empty();
  const std::vector<std::string>& entry = own_entry ? *spec.entry_point : spec.image.entry_point;
  // As Docker: one empty word stands for no entry point, and an entry point of one's own makes the image's command void.
  if (entry != std::vector<std::string>{""}) arguments.insert(arguments.end(), entry.begin(), entry.end());
  if (own_command) {
    arguments.insert(arguments.end(), spec.command->begin(), spec.command->end());
  } else if (!own_entry) {
    arguments.insert(arguments.end(), spec.image.command.begin(), spec.image.command.end());
  }
  return arguments;
}

void set_variable(std::vector<std::string>& environment, std::string_view name, std::string assignment) {
  for (std::string& present : environment) {
    if (std::string_view(present).substr(0, present.find('=')) == name) {
      present = std::move(assignment);
      return;
    }
  }
  environment.push_back(std::move(assignment));
}

std::vector<std::string> environment_of(const ContainerSpec& spec) {
  std::vector<std::string> environment = {std::string(kDefaultPath)};
  if (!spec.hostname.empty()) environment.push_back("HOSTNAME=" + spec.hostname);
  environment.push_back("HOME=" + spec.user.home);
  for (const std::string& one : spec.image.environment) set_variable(environment, one.substr(0, one.find('=')), one);
  for (const auto& [name, value] : spec.environment) set_variable(environment, name, name + "=" + value);
  return environment;
}

void strings(json::Writer& w, std::string_view name, const auto& values) {
  w.key(name).begin_array();
  for (const auto& value : values) w.string(value);
  w.end_array();
}

void mount(json::Writer& w, std::string_view destination, std::string_view type, std::string_view source,
           const std::vector<std::string>& options) {
  w.begin_object().member("destination", destination).member("type", type).member("source", source);
  strings(w, "options", options);
  w.end_object();
}

}  // namespace

int64_t open_files_wanted(const ContainerSpec& spec) {
  for (const ResourceLimit& limit : spec.resource_limits)
    if (limit.name == "nofile") return limit.hard < 0 ? INT64_MAX : limit.hard;  // negative: unlimited, as Docker's -1
  return kOpenFilesDefault;
}

namespace {

void write_limits(json::Writer& w, const ContainerSpec& spec) {
  std::vector<ResourceLimit> limits = spec.resource_limits;
  const auto is_open_files = [](const ResourceLimit& limit) { return limit.name == "nofile"; };
  if (std::none_of(limits.begin(), limits.end(), is_open_files)) {
    limits.push_back({"nofile", kOpenFilesDefault, kOpenFilesDefault});
  }
  w.key("rlimits").begin_array();
  for (ResourceLimit& limit : limits) {
    if (is_open_files(limit) && spec.open_files_max > 0) {
      // Negative: unlimited, as Docker's -1.
      const auto cut = [](int64_t wish, int64_t max) { return wish < 0 ? max : std::min(wish, max); };
      limit.hard = cut(limit.hard, spec.open_files_max);
      limit.soft = cut(limit.soft, limit.hard);
    }
    w.begin_object().member("type", "RLIMIT_" + upper(limit.name));
    w.member("hard", limit.hard).member("soft", limit.soft).end_object();
  }
  w.end_array();
}

void write_process(json::Writer& w, const ContainerSpec& spec, const std::vector<std::string>& arguments,
                   const std::vector<std::string>& capabilities) {
  w.key("process").begin_object().member("terminal", false);
  w.key("user").begin_object();
  w.member("uid", int64_t{spec.user.uid}).member("gid", int64_t{spec.user.gid});
  w.key("additionalGids").begin_array();
  for (uint32_t gid : spec.user.additional_gids) w.number(int64_t{gid});
  w.end_array().end_object();
  strings(w, "args", arguments);
  strings(w, "env", environment_of(spec));
  const std::string& directory = spec.working_directory.empty() ? spec.image.working_directory : spec.working_directory;
  w.member("cwd", directory.empty() ? "/" : directory);
  w.key("capabilities").begin_object();
  strings(w, "bounding", capabilities);
  // As execve does: another user than root begins with none of them.
  if (spec.user.uid == 0) {
    strings(w, "effective", capabilities);
    strings(w, "permitted", capabilities);
  }
  w.end_object();
  write_limits(w, spec);
  w.member("noNewPrivileges", false).member("oomScoreAdj", 0).end_object();
}

// What the definition asks for, beside what every container has.
struct OwnMount {
  std::string destination, type, source;
  std::vector<std::string> options;
};

// "/data/", "//data/./" → 1
size_t depth_of(std::string_view path) {
  size_t depth = 0;
  while (!path.empty()) {
    const size_t end = std::min(path.find('/'), path.size());
    const std::string_view component = path.substr(0, end);
    path.remove_prefix(std::min(end + 1, path.size()));
    if (component == "..") {
      depth -= depth > 0 ? 1 : 0;
    } else if (!component.empty() && component != ".") {
      ++depth;
    }
  }
  return depth;
}

// As Docker: careful ones, unless the definition names their opposite. Not both: crun then goes by the careful one.
std::vector<std::string> tmpfs_options(const TmpfsMount& tmpfs) {
  std::vector<std::string> options;
  for (const char* careful : {"nosuid", "nodev", "noexec"}) {
    if (!contains(tmpfs.options, careful + 2)) options.emplace_back(careful);
  }
  options.push_back("size=" + std::to_string(tmpfs.size_mib * kMib));
  options.insert(options.end(), tmpfs.options.begin(), tmpfs.options.end());
  return options;
}

// Whatever their order in the definition, one that lies in another comes after it, which would hide it otherwise. As Docker.
std::vector<OwnMount> own_mounts(const ContainerSpec& spec) {
  std::vector<OwnMount> mounts;
  for (const TmpfsMount& tmpfs : spec.tmpfs) {
    mounts.push_back({tmpfs.destination, "tmpfs", "tmpfs", tmpfs_options(tmpfs)});
  }
  for (const BindMount& bind : spec.binds) {
    mounts.push_back({bind.destination, "bind", bind.source, {"rbind", "rprivate", bind.read_only ? "ro" : "rw"}});
  }
  std::stable_sort(mounts.begin(), mounts.end(), [](const OwnMount& a, const OwnMount& b) {
    return depth_of(a.destination) < depth_of(b.destination);
  });
  return mounts;
}

void write_mounts(json::Writer& w, const ContainerSpec& spec) {
  w.key("mounts").begin_array();
  mount(w, "/proc", "proc", "proc", {"nosuid", "noexec", "nodev"});
  mount(w, "/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"});
  mount(w, "/dev/pts", "devpts", "devpts", {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"});
  mount(w, "/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", "ro"});
  mount(w, "/sys/fs/cgroup", "cgroup", "cgroup", {"nosuid", "noexec", "nodev", "relatime", "ro"});
  mount(w, "/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"});
  mount(w, "/dev/shm", "tmpfs", "shm", {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"});
  for (const OwnMount& own : own_mounts(spec)) mount(w, own.destination, own.type, own.source, own.options);
  if (spec.init_process) mount(w, kInitInContainer, "bind", spec.init_program, {"bind", "ro", "nosuid", "nodev"});
  w.end_array();
}

void write_linux(json::Writer& w, const ContainerSpec& spec, const std::vector<std::string>& capabilities) {
  w.key("linux").begin_object().member("cgroupsPath", spec.cgroup);
  w.key("namespaces").begin_array();
  for (const char* type : {"pid", "ipc", "uts", "mount", "cgroup"}) w.begin_object().member("type", type).end_object();
  w.begin_object().member("type", "network");
  if (!spec.network_namespace.empty()) w.member("path", spec.network_namespace);
  w.end_object().end_array();
  w.key("resources").begin_object();
  w.key("devices").begin_array().begin_object().member("allow", false).member("access", "rwm").end_object().end_array();
  if (spec.memory_limit_bytes > 0) {
    w.key("memory").begin_object().member("limit", spec.memory_limit_bytes).member("swap", spec.memory_limit_bytes);
    w.end_object();
  }
  w.key("cpu").begin_object().member("shares", std::max<int64_t>(2, spec.cpu_shares)).end_object();
  w.end_object();
  if (!spec.system_controls.empty()) {
    w.key("sysctl").begin_object();
    for (const auto& [name, value] : spec.system_controls) w.member(name, value);
    w.end_object();
  }
  strings(w, "maskedPaths", kMaskedPaths);
  strings(w, "readonlyPaths", kReadonlyPaths);
  w.key("seccomp").raw(seccomp_profile(capabilities)).end_object();
}

}  // namespace

Result<std::vector<std::string>> capabilities_of(const std::vector<std::string>& add,
                                                 const std::vector<std::string>& drop) {
  bool held[std::size(kCapabilities)] = {};
  for (size_t i = 0; i < std::size(kCapabilities); ++i) held[i] = contains(kDefaultCapabilities, kCapabilities[i]);
  for (const auto* list : {&drop, &add}) {  // as Docker: an added one stays though ALL is dropped
    for (const std::string& text : *list) {
      std::string name = upper(text);
      const bool all = name == "ALL";
      if (!name.starts_with("CAP_")) name = "CAP_" + name;
      if (!all && !contains(kCapabilities, name)) return fail("unknown capability " + text);
      for (size_t i = 0; i < std::size(kCapabilities); ++i) {
        if (all || kCapabilities[i] == name) held[i] = list == &add;
      }
    }
  }
  std::vector<std::string> capabilities;
  for (size_t i = 0; i < std::size(kCapabilities); ++i) {
    if (held[i]) capabilities.emplace_back(kCapabilities[i]);
  }
  return capabilities;
}

int stop_signal_number(const std::string& text) {
  int number = 0;
  const char* end = text.data() + text.size();
  if (const auto [at, error] = std::from_chars(text.data(), end, number); error == std::errc() && at == end) {
    return number >= 1 && number <= 64 ? number : SIGTERM;
  }
  std::string name = upper(text);
  if (name.starts_with("SIG")) name.erase(0, 3);
  int offset = 0;
  if (const size_t sign = name.find_first_of("+-"); sign != std::string::npos) {
    const char* begin = name.data() + sign + (name[sign] == '+' ? 1 : 0);
    const auto [at, error] = std::from_chars(begin, name.data() + name.size(), offset);
    if (error != std::errc() || at != name.data() + name.size()) return SIGTERM;
    name.resize(sign);
    if (!name.starts_with("RT") || offset < -30 || offset > 30) return SIGTERM;
  }
  for (const auto& [known, value] : kSignals) {
    const bool real_time = value + offset >= 34 && value + offset <= 64;
    if (known == name && (offset == 0 || real_time)) return value + offset;
  }
  return SIGTERM;
}

Result<std::string> oci_config(const ContainerSpec& spec) {
  const std::vector<std::string> arguments = arguments_of(spec);
  if (arguments.empty() || (spec.init_process && arguments.size() == 3)) return fail("No command specified");
  const auto capabilities = capabilities_of(spec.capabilities_add, spec.capabilities_drop);
  if (!capabilities) return tl::unexpected(capabilities.error());
  for (const ResourceLimit& limit : spec.resource_limits) {
    if (!contains(kLimits, limit.name)) return fail("unknown ulimit " + limit.name);
  }
  std::string out;
  json::Writer w(out);
  w.begin_object().member("ociVersion", "1.0.2");
  write_process(w, spec, arguments, *capabilities);
  w.key("root").begin_object().member("path", spec.root).member("readonly", spec.readonly_root).end_object();
  if (!spec.hostname.empty()) w.member("hostname", spec.hostname);
  write_mounts(w, spec);
  write_linux(w, spec, *capabilities);
  // crun's; it then leaves linux.seccomp alone, which stands for whoever does not know the annotation.
  if (!spec.compiled_filter.empty()) {
    w.key("annotations").begin_object().member("run.oci.seccomp_bpf_data", spec.compiled_filter).end_object();
  }
  w.end_object();
  return out;
}

}  // namespace berth::runtime
