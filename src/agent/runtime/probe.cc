#include "agent/runtime/probe.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <string_view>

#include "base/fd.h"

namespace berth::runtime {
namespace {

constexpr std::string_view kDirectories[] = {"/usr/local/sbin/", "/usr/local/bin/", "/usr/sbin/", "/usr/bin/"};

std::string find_program(std::string_view name) {
  for (std::string_view directory : kDirectories) {
    std::string path = std::string(directory).append(name);
    if (access(path.c_str(), X_OK) == 0) return path;
  }
  return {};
}

// The number in "crun version 1.8.1"; empty where the program does not run.
std::string version_of(const std::string& path) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return {};
  const Fd read_end(ends[0]);
  Fd write_end(ends[1]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, write_end.get(), STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  char argument[] = "--version";
  char* argv[] = {const_cast<char*>(path.c_str()), argument, nullptr};
  char* environment[] = {nullptr};
  pid_t pid = 0;
  const int error = posix_spawn(&pid, path.c_str(), &actions, nullptr, argv, environment);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return {};
  write_end.reset();
  std::string text;
  char buffer[512];
  ssize_t got;
  while ((got = read(read_end.get(), buffer, sizeof buffer)) > 0) text.append(buffer, static_cast<size_t>(got));
  int status = 0;
  if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0) return {};
  const size_t at = text.find("version ");
  if (at == std::string::npos) return {};
  return text.substr(at + 8, text.find_first_of(" \n", at + 8) - at - 8);
}

// Raising a hard limit takes CAP_SYS_RESOURCE, which some virtual machines and containers keep from root.
int64_t open_files_max() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  rlimit raised = limit;
  raised.rlim_max += 1;
  if (setrlimit(RLIMIT_NOFILE, &raised) != 0) return static_cast<int64_t>(limit.rlim_max);
  setrlimit(RLIMIT_NOFILE, &limit);
  return 0;
}

}  // namespace

taskdir::CgroupMode cgroup_mode_of(const std::string& mountinfo, const std::string& cgroup_root) {
  bool v2_at_root = false;
  bool v2_beside = false;
  std::string_view rest = mountinfo;
  while (!rest.empty()) {
    const size_t end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    if (line.find(" - cgroup2 ") == std::string_view::npos) continue;
    if (line.find(" " + cgroup_root + " ") != std::string_view::npos) v2_at_root = true;
    if (line.find(" " + cgroup_root + "/unified ") != std::string_view::npos) v2_beside = true;
  }
  if (v2_at_root) return taskdir::CgroupMode::v2;
  return v2_beside ? taskdir::CgroupMode::hybrid : taskdir::CgroupMode::v1;
}

std::string own_cgroup_procs_of(std::string_view self, const std::string& cgroup_root, taskdir::CgroupMode mode) {
  // Lines of "<hierarchy>:<controllers>:<path>"; version 2 is "0::<path>".
  const std::string_view wanted = mode == taskdir::CgroupMode::v2 ? ":" : "memory:";
  while (!self.empty()) {
    const size_t end = self.find('\n');
    const std::string_view line = self.substr(0, end);
    self = end == std::string_view::npos ? std::string_view() : self.substr(end + 1);
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos || !line.substr(colon + 1).starts_with(wanted)) continue;
    std::string file = cgroup_root;
    if (mode != taskdir::CgroupMode::v2) file += "/memory";
    file += line.substr(colon + 1 + wanted.size());
    if (!file.ends_with('/')) file += '/';
    return file + "cgroup.procs";
  }
  return {};
}

Runtime probe() {
  Runtime runtime;
  std::ifstream file("/proc/self/mountinfo");
  const std::string mountinfo((std::istreambuf_iterator<char>(file)), {});
  runtime.cgroup_mode = cgroup_mode_of(mountinfo, runtime.cgroup_root);
  std::ifstream self("/proc/self/cgroup");
  runtime.own_cgroup_procs = own_cgroup_procs_of(std::string((std::istreambuf_iterator<char>(self)), {}),
                                                 runtime.cgroup_root, runtime.cgroup_mode);
  runtime.open_files_max = open_files_max();
  std::ifstream("/proc/sys/kernel/pid_max") >> runtime.processes_max;
  for (const char* name : {"crun", "runc"}) {
    const std::string path = find_program(name);
    if (path.empty()) continue;
    const std::string version = version_of(path);
    if (version.empty()) continue;
    runtime.path = path;
    runtime.name = name;
    runtime.version = version;
    return runtime;
  }
  runtime.problem = "neither crun nor runc is installed or runs: apt install crun";
  return runtime;
}

}  // namespace berth::runtime
