#include "agent/network/namespaces.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>

#include "base/assert.h"

namespace berth::network {

Result<Fd> current_namespace() {
  Fd fd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!fd) return fail(errno, "open /proc/thread-self/ns/net");
  return fd;
}

Result<void> enter_namespace(const Fd& namespace_fd) {
  if (::setns(namespace_fd.get(), CLONE_NEWNET) != 0) return fail(errno, "enter network namespace");
  return {};
}

bool is_namespace(const std::string& path) {
  struct statfs info {};
  return ::statfs(path.c_str(), &info) == 0 && info.f_type == NSFS_MAGIC;
}

Result<Fd> open_namespace(const std::string& path) {
  if (!is_namespace(path)) return fail(ENOENT, "network namespace " + path);
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail(errno, "open " + path);
  return fd;
}

Result<Fd> create_namespace(const std::string& path) {
  const Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0400));
  if (!file) return fail(errno, "create " + path);
  if (::unshare(CLONE_NEWNET) != 0) return fail(errno, "make a network namespace");
  if (::mount("/proc/thread-self/ns/net", path.c_str(), nullptr, MS_BIND, nullptr) != 0) {
    return fail(errno, "bind a network namespace to " + path);
  }
  return current_namespace();
}

Result<void> drop_namespace(const std::string& path) {
  // Until it says that nothing is mounted there: interrupted work may have bound twice.
  while (::umount2(path.c_str(), MNT_DETACH) == 0) {
  }
  if (errno != EINVAL && errno != ENOENT) return fail(errno, "unmount " + path);
  // Copies of the mount in other processes' mount namespaces go with the file (the kernel's detach_mounts).
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return fail(errno, "remove " + path);
  return {};
}

Result<void> write_sysctl(std::string_view name, std::string_view value) {
  const std::string path = "/proc/sys/" + std::string(name);
  const Fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd) return fail(errno, "open " + path);
  if (::write(fd.get(), value.data(), value.size()) < 0) return fail(errno, "write " + path);
  return {};
}

Result<std::string> read_sysctl(std::string_view name) {
  const std::string path = "/proc/sys/" + std::string(name);
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail(errno, "open " + path);
  char text[64];
  const ssize_t size = ::read(fd.get(), text, sizeof text);
  if (size < 0) return fail(errno, "read " + path);
  std::string value(text, static_cast<size_t>(size));
  while (!value.empty() && value.back() == '\n') value.pop_back();
  return value;
}

NamespaceGuard::~NamespaceGuard() {
  // Left in a task's namespace, this thread would keep it alive and work on the wrong network ever after.
  BERTH_ASSERT(enter_namespace(home_).has_value());
}

}  // namespace berth::network
