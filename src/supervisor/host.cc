#include "supervisor/host.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "base/fd.h"
#include "taskdir/paths.h"

namespace berth::supervisor {
namespace {

// mount(2) takes one page of options.
constexpr size_t kMountOptionBytesMax = 4095;

void append_escaped(std::string& out, std::string_view path) {
  for (char c : path) {
    if (c == ':' || c == ',' || c == '\\') out += '\\';
    out += c;
  }
}

// The longest directory that all of them lie in: with it as working directory, names are short and many layers fit.
std::string common_parent(const std::vector<std::string>& paths) {
  std::string parent = paths[0].substr(0, paths[0].rfind('/') + 1);
  for (const std::string& path : paths) {
    while (path.compare(0, parent.size(), parent) != 0) {
      const size_t slash = parent.rfind('/', parent.size() - 2);
      parent.resize(slash == std::string::npos ? 0 : slash + 1);
    }
  }
  return parent;
}

// Layers as overlayfs is to be told of them: names below `directory`, the topmost first.
struct Layers {
  std::string directory;
  std::string names;
};

Layers layers_by_their_names(const std::vector<std::string>& paths) {
  Layers layers{common_parent(paths), {}};
  for (const std::string& path : paths) {
    if (!layers.names.empty()) layers.names += ':';
    append_escaped(layers.names, std::string_view(path).substr(layers.directory.size()));
  }
  return layers;
}

// A layer's name is 64 digits long: some sixty fill a page, and an image may have twice as many.
Trouble layers_by_number(const std::string& directory, const std::vector<std::string>& paths, Layers* layers) {
  *layers = {directory, {}};
  if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) return trouble(errno, "mkdir " + directory);
  for (size_t i = 0; i < paths.size(); ++i) {
    const std::string name = std::to_string(i);
    const std::string link = directory + "/" + name;
    if (symlink(paths[i].c_str(), link.c_str()) != 0 && errno != EEXIST) return trouble(errno, "symlink " + link);
    if (!layers->names.empty()) layers->names += ':';
    layers->names += name;
  }
  return {};
}

// "36 35 0:4 net:[4026…] /run/x rw shared:1 - nsfs nsfs rw": the mount point is the fifth word.
std::string_view mount_point_of(std::string_view line) {
  size_t at = 0;
  for (int field = 0; field < 4; ++field) {
    at = line.find(' ', at);
    if (at == std::string_view::npos) return {};
    ++at;
  }
  return line.substr(at, line.find(' ', at) - at);
}

// Below the task's directory, so that it outlives the name that the daemon gave it.
Trouble keep_own_network_namespace(const std::string& task_directory, const std::string& own) {
  if (own.empty()) return {};
  const std::string kept = task_directory + "/" + taskdir::kNetworkNamespaceFile;
  const Fd file(open(kept.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0400));
  if (!file) return trouble(errno, "create " + kept);
  if (mount(own.c_str(), kept.c_str(), nullptr, MS_BIND, nullptr) != 0) return trouble(errno, "bind " + own);
  return {};
}

}  // namespace

void let_go_of_other_network_namespaces(const std::string& task_directory) {
  const std::string kept = task_directory + "/" + taskdir::kNetworkNamespaceFile;
  const std::string text = read_whole_file("/proc/self/mountinfo", 8 * 1024 * 1024);
  std::vector<std::string> detached;
  for (const char* kind : {" - tmpfs berth ", " - nsfs "}) {
    std::string_view rest = text;
    while (!rest.empty()) {
      const size_t end = rest.find('\n');
      const std::string_view line = rest.substr(0, end);
      rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
      if (line.find(kind) == std::string_view::npos) continue;
      const std::string target(mount_point_of(line));
      const std::string parent = target.substr(0, target.rfind('/'));
      if (target == kept || std::find(detached.begin(), detached.end(), parent) != detached.end()) continue;
      if (umount2(target.c_str(), MNT_DETACH) == 0) detached.push_back(target);
    }
  }
}

Trouble trouble(int error, std::string what) {
  what += ": ";
  what += strerror(error);
  return {what};
}

std::string read_whole_file(const char* path, size_t bytes_max) {
  std::string text;
  const Fd fd(open(path, O_RDONLY | O_CLOEXEC));
  if (!fd) return text;
  char buffer[4096];
  ssize_t got;
  while (text.size() < bytes_max && (got = read(fd.get(), buffer, sizeof buffer)) > 0) {
    text.append(buffer, static_cast<size_t>(got));
  }
  return text;
}

Trouble enter_mount_namespace(const std::string& task_directory, const taskdir::Plan& plan) {
  if (unshare(CLONE_NEWNS) != 0) return trouble(errno, "unshare a mount namespace");
  if (mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) return trouble(errno, "make mounts private");
  if (plan.cgroup_mode == taskdir::CgroupMode::hybrid) {
    const std::string unified = plan.cgroup_root + "/unified";
    // EINVAL: it is no mount point, for somebody has unmounted it since the plan was made.
    if (umount2(unified.c_str(), MNT_DETACH) != 0 && errno != EINVAL) return trouble(errno, "unmount " + unified);
  }
  return keep_own_network_namespace(task_directory, plan.network_namespace);
}

void shield_from_oom_killer() {
  const Fd fd(open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
  if (fd) (void)!write(fd.get(), "-999", 4);
}

bool notices(pid_t pid, uint32_t signal) {
  if (signal == SIGKILL) return true;
  const std::string status = read_whole_file(("/proc/" + std::to_string(pid) + "/status").c_str(), 64 * 1024);
  const auto value_of = [&](std::string_view name) {
    const size_t at = status.find("\n" + std::string(name) + ":\t");
    if (at == std::string::npos) return std::string();
    const size_t begin = at + name.size() + 3;
    return status.substr(begin, status.find('\n', begin) - begin);
  };
  const std::string pids = value_of("NSpid");  // outermost namespace first
  if (!pids.ends_with("\t1")) return true;
  const auto has = [&](std::string_view set) {
    return (strtoull(value_of(set).c_str(), nullptr, 16) >> (signal - 1) & 1) != 0;
  };
  return has("SigCgt") || has("SigBlk");
}

Trouble mount_root(const std::string& task_directory, const taskdir::ContainerPlan& container) {
  if (container.lower_directories.empty()) return {};
  const std::string base = task_directory + "/" + taskdir::container_directory(container.name);
  for (const char* name : {"/upper", "/work", "/root"}) {
    if (mkdir((base + name).c_str(), 0755) != 0 && errno != EEXIST) return trouble(errno, "mkdir " + base + name);
  }
  std::string rest = ",upperdir=";
  append_escaped(rest, base + "/upper");
  rest += ",workdir=";
  append_escaped(rest, base + "/work");
  // What a task writes into its root is gone with it, so it need not be synced when it is unmounted.
  rest += ",volatile";
  Layers layers = layers_by_their_names(container.lower_directories);
  constexpr std::string_view kLower = "lowerdir=";
  if (kLower.size() + layers.names.size() + rest.size() > kMountOptionBytesMax) {
    if (Trouble t = layers_by_number(base + "/layers", container.lower_directories, &layers)) return t;
  }
  const std::string options = std::string(kLower) + layers.names + rest;
  if (options.size() > kMountOptionBytesMax) return {"mount overlay: the image has too many layers for one mount"};
  if (chdir(layers.directory.c_str()) != 0) return trouble(errno, "chdir " + layers.directory);
  const int error = mount("overlay", (base + "/root").c_str(), "overlay", MS_NODEV, options.c_str()) == 0 ? 0 : errno;
  (void)!chdir(task_directory.c_str());
  return error == 0 ? Trouble{} : trouble(error, "mount overlay on " + base + "/root");
}

Trouble mount_image_volume(const std::string& task_directory, const taskdir::Plan& plan,
                           const taskdir::VolumePlan& volume) {
  const std::string& container = plan.containers[volume.container].name;
  const std::string root = task_directory + "/" + taskdir::container_directory(container) + "/root";
  const std::string target = task_directory + "/" + taskdir::kVolumesDirectory + "/" + volume.name;
  const Fd root_fd(open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root_fd) return trouble(errno, "open " + root);
  // The image may have links in it that lead anywhere.
  open_how how{};
  how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  const Fd source(static_cast<int>(syscall(SYS_openat2, root_fd.get(), volume.path.c_str(), &how, sizeof how)));
  if (!source && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)) return {};
  if (!source) return trouble(errno, "open " + volume.path + " of container " + container);
  char path[32];
  snprintf(path, sizeof path, "/proc/self/fd/%d", source.get());
  if (mount(path, target.c_str(), nullptr, MS_BIND, nullptr) != 0) return trouble(errno, "bind volume " + volume.name);
  return {};
}

taskdir::Owner self() {
  taskdir::Owner owner;
  owner.boot_id = read_whole_file("/proc/sys/kernel/random/boot_id", 64);
  while (!owner.boot_id.empty() && owner.boot_id.back() == '\n') owner.boot_id.pop_back();
  owner.pid = static_cast<uint32_t>(getpid());
  owner.start_ticks = taskdir::start_ticks_of_stat(read_whole_file("/proc/self/stat", 4096)).value_or(0);
  return owner;
}

int write_file_atomically(int directory, const char* name, const std::string& bytes) {
  const std::string aside = std::string(name) + ".new";
  const Fd fd(openat(directory, aside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd) return errno;
  const ssize_t put = write(fd.get(), bytes.data(), bytes.size());
  if (put != static_cast<ssize_t>(bytes.size())) return put < 0 ? errno : ENOSPC;
  return renameat(directory, aside.c_str(), directory, name) == 0 ? 0 : errno;
}

}  // namespace berth::supervisor
