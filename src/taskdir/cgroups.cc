#include "taskdir/cgroups.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace berth::taskdir {
namespace {

constexpr uint64_t kCpuPeriodUs = 100'000;

int write_file(const std::string& path, const std::string& text) {
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  const int error = write(fd, text.data(), text.size()) < 0 ? errno : 0;
  close(fd);
  return error;
}

std::string read_file(const std::string& path) {
  std::string text;
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return text;
  char buffer[4096];
  ssize_t got;
  while ((got = read(fd, buffer, sizeof buffer)) > 0) text.append(buffer, static_cast<size_t>(got));
  close(fd);
  return text;
}

std::string decimal(uint64_t value) {
  char buffer[24];
  snprintf(buffer, sizeof buffer, "%llu", static_cast<unsigned long long>(value));
  return buffer;
}

// "memory" is a hierarchy of its own, "cpu" may be a link to "cpu,cpuacct": links are the same directory twice, and
// skipped. "unified" is the empty version 2 hierarchy of hybrid mode.
std::vector<std::string> v1_hierarchies(const std::string& root) {
  std::vector<std::string> names;
  DIR* directory = opendir(root.c_str());
  if (directory == nullptr) return names;
  while (const dirent* entry = readdir(directory)) {
    const std::string_view name = entry->d_name;
    if (entry->d_type != DT_DIR || name[0] == '.' || name == "unified") continue;
    names.emplace_back(name);
  }
  closedir(directory);
  return names;
}

// Version 2 hands a controller down only where the parent says so; one that the kernel lacks is no error here, the write of
// its limit tells. Reading takes no lock; writing takes the one that a move may hold for an RCU grace period.
void enable_all(const std::string& subtree_control) {
  const std::string enabled = " " + read_file(subtree_control);
  for (const char* controller : {"cpu", "memory", "pids"}) {
    const size_t at = enabled.find(std::string(" ").append(controller));
    const char after = at == std::string::npos ? 'x' : enabled[at + 1 + strlen(controller)];
    if (after != ' ' && after != '\n') write_file(subtree_control, std::string("+").append(controller));
  }
}

int make_directories(const std::string& base, std::string_view path, bool enable_controllers, std::string* where) {
  std::string at = base;
  size_t begin = 0;
  while (begin <= path.size()) {
    if (enable_controllers) enable_all(at + "/cgroup.subtree_control");
    size_t end = path.find('/', begin);
    if (end == std::string_view::npos) end = path.size();
    if (end == begin) break;
    at.append("/").append(path.substr(begin, end - begin));
    if (mkdir(at.c_str(), 0755) != 0 && errno != EEXIST) {
      *where = at;
      return errno;
    }
    begin = end + 1;
  }
  return 0;
}

// cpuset of version 1 starts without CPUs and memory nodes; nothing can run in it until both are copied from above.
void inherit_cpuset(const std::string& base, std::string_view path) {
  std::string above = base;
  size_t begin = 0;
  while (begin < path.size()) {
    size_t end = path.find('/', begin);
    if (end == std::string_view::npos) end = path.size();
    const std::string at = (above + "/").append(path.substr(begin, end - begin));
    for (const char* file : {"/cpuset.cpus", "/cpuset.mems"}) {
      if (read_file(at + file).size() <= 1) write_file(at + file, read_file(above + file));
    }
    above = at;
    begin = end + 1;
  }
}

struct Limit {
  const char* hierarchy;  // of version 1; null: version 2
  const char* file;
  std::string value;
};

// 1024 shares are one vCPU; weight 100 is version 2's middle. The OCI runtimes' own conversion.
uint64_t weight_of_shares(uint64_t shares) { return 1 + ((shares < 2 ? 2 : shares) - 2) * 9999 / 262142; }

std::vector<Limit> limits_of(const Plan& plan) {
  const bool v2 = plan.cgroup_mode == CgroupMode::v2;
  std::vector<Limit> limits;
  if (plan.memory_limit_bytes > 0) {
    limits.push_back(v2 ? Limit{nullptr, "memory.max", decimal(plan.memory_limit_bytes)}
                        : Limit{"memory", "memory.limit_in_bytes", decimal(plan.memory_limit_bytes)});
  }
  if (plan.cpu_shares > 0) {
    limits.push_back(v2 ? Limit{nullptr, "cpu.weight", decimal(weight_of_shares(plan.cpu_shares))}
                        : Limit{"cpu", "cpu.shares", decimal(plan.cpu_shares)});
  }
  if (plan.cpu_quota_us > 0) {
    limits.push_back(v2 ? Limit{nullptr, "cpu.max", decimal(plan.cpu_quota_us) + " " + decimal(kCpuPeriodUs)}
                        : Limit{"cpu", "cpu.cfs_quota_us", decimal(plan.cpu_quota_us)});
  }
  if (plan.processes_max > 0) limits.push_back({v2 ? nullptr : "pids", "pids.max", decimal(plan.processes_max)});
  return limits;
}

// Swap would make the memory limit soft. Not every kernel accounts for swap: then there is nothing to set.
void forbid_swap(const Plan& plan, const std::string& path) {
  if (plan.memory_limit_bytes == 0) return;
  if (plan.cgroup_mode == CgroupMode::v2) {
    write_file(plan.cgroup_root + "/" + path + "/memory.swap.max", "0");
  } else {
    write_file(plan.cgroup_root + "/memory/" + path + "/memory.memsw.limit_in_bytes", decimal(plan.memory_limit_bytes));
  }
}

// Of either version; the other's file is not there.
void lift_cpu_ceiling(const std::string& directory) {
  write_file(directory + "/cpu.max", "max");
  write_file(directory + "/cpu.cfs_quota_us", "-1");
}

int kill_tree(const std::string& directory) {
  int seen = 0;
  const std::string text = read_file(directory + "/cgroup.procs");
  for (const char* at = text.c_str(); *at != '\0';) {
    char* end = nullptr;
    const long pid = strtol(at, &end, 10);
    if (end == at) break;
    // 0: a process of a PID namespace that is not visible from here, which cannot be signalled from here either.
    if (pid > 1 && kill(static_cast<pid_t>(pid), SIGKILL) == 0) ++seen;
    at = *end == '\n' ? end + 1 : end;
  }
  if (DIR* listing = opendir(directory.c_str())) {
    while (const dirent* entry = readdir(listing)) {
      if (entry->d_type == DT_DIR && entry->d_name[0] != '.') seen += kill_tree(directory + "/" + entry->d_name);
    }
    closedir(listing);
  }
  return seen;
}

void lift_ceilings_of_tree(const std::string& directory) {
  lift_cpu_ceiling(directory);
  if (DIR* listing = opendir(directory.c_str())) {
    while (const dirent* entry = readdir(listing)) {
      if (entry->d_type == DT_DIR && entry->d_name[0] != '.') lift_ceilings_of_tree(directory + "/" + entry->d_name);
    }
    closedir(listing);
  }
}

int remove_tree(const std::string& directory) {
  if (rmdir(directory.c_str()) == 0 || errno == ENOENT) return 0;
  if (DIR* listing = opendir(directory.c_str())) {
    while (const dirent* entry = readdir(listing)) {
      if (entry->d_type == DT_DIR && entry->d_name[0] != '.') remove_tree(directory + "/" + entry->d_name);
    }
    closedir(listing);
  }
  return rmdir(directory.c_str()) == 0 || errno == ENOENT ? 0 : errno;
}

}  // namespace

std::string instance_cgroup(std::string_view instance) { return std::string("berth-").append(instance); }
std::string task_cgroup(std::string_view instance, std::string_view task_id) {
  return instance_cgroup(instance).append("/").append(task_id);
}
std::string task_cgroup(const Plan& plan) { return task_cgroup(plan.instance, plan.task_id); }

std::vector<std::string> cgroup_directories(const std::string& root, CgroupMode mode, std::string_view path) {
  std::vector<std::string> directories;
  if (mode == CgroupMode::v2) {
    directories.push_back((root + "/").append(path));
    return directories;
  }
  for (const std::string& name : v1_hierarchies(root)) directories.push_back((root + "/" + name + "/").append(path));
  return directories;
}

int make_cgroup(const std::string& root, CgroupMode mode, std::string_view path, std::string* where) {
  if (mode == CgroupMode::v2) return make_directories(root, path, true, where);
  for (const std::string& name : v1_hierarchies(root)) {
    const std::string base = root + "/" + name;
    if (const int error = make_directories(base, path, false, where)) return error;
    if (name == "cpuset") inherit_cpuset(base, path);
  }
  return 0;
}

int make_task_cgroup(const Plan& plan, std::string* where) {
  const std::string path = task_cgroup(plan);
  if (const int error = make_cgroup(plan.cgroup_root, plan.cgroup_mode, path, where)) return error;
  for (const Limit& limit : limits_of(plan)) {
    std::string file = plan.cgroup_root;
    if (limit.hierarchy != nullptr) file.append("/").append(limit.hierarchy);
    file.append("/").append(path).append("/").append(limit.file);
    if (const int error = write_file(file, limit.value)) {
      *where = file;
      return error;
    }
  }
  forbid_swap(plan, path);
  return 0;
}

int enter_supervisors_cgroup(const Plan& plan, std::string* where) {
  const std::string path = instance_cgroup(plan.instance) + "/supervisors";
  if (const int error = make_cgroup(plan.cgroup_root, plan.cgroup_mode, path, where)) return error;
  for (const std::string& directory : cgroup_directories(plan.cgroup_root, plan.cgroup_mode, path)) {
    if (const int error = write_file(directory + "/cgroup.procs", "0")) {
      *where = directory;
      return error;
    }
  }
  return 0;
}

int kill_cgroup(const std::string& root, CgroupMode mode, std::string_view path) {
  int seen = 0;
  const std::vector<std::string> directories = cgroup_directories(root, mode, path);
  for (const std::string& directory : directories) {
    // cgroup.kill (5.14) is atomic against forks; without it, callers repeat until nothing is seen.
    if (mode == CgroupMode::v2) write_file(directory + "/cgroup.kill", "1");
    seen += kill_tree(directory);
  }
  if (seen > 0) {
    for (const std::string& directory : directories) lift_ceilings_of_tree(directory);
  }
  return seen;
}

void lift_cpu_ceiling(const Plan& plan) {
  for (const std::string& directory : cgroup_directories(plan.cgroup_root, plan.cgroup_mode, task_cgroup(plan))) {
    lift_cpu_ceiling(directory);
  }
}

int kill_task_cgroup(const Plan& plan) { return kill_cgroup(plan.cgroup_root, plan.cgroup_mode, task_cgroup(plan)); }

int remove_cgroup(const std::string& root, CgroupMode mode, std::string_view path) {
  int result = 0;
  for (const std::string& directory : cgroup_directories(root, mode, path)) {
    if (const int error = remove_tree(directory)) result = error;
  }
  return result;
}

uint64_t oom_kills(const std::string& root, CgroupMode mode, std::string_view path) {
  const std::string file = mode == CgroupMode::v2 ? (root + "/").append(path).append("/memory.events")
                                                  : (root + "/memory/").append(path).append("/memory.oom_control");
  const std::string text = read_file(file);
  const size_t at = text.find("oom_kill ");
  return at == std::string::npos ? 0 : strtoull(text.c_str() + at + 9, nullptr, 10);
}

}  // namespace berth::taskdir
