#include "agent/images/unpack/confine.h"

#include <linux/capability.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

namespace berth::unpack {
namespace {

// A compressor's largest window (zstd's 128 MiB), libarchive, and the program itself.
constexpr rlim_t kAddressSpaceMax = rlim_t{1} << 30;

Result<void> drop_capabilities() {
  uint64_t kept = 0;
  // SYS_ADMIN is what writing trusted.overlay.opaque takes; the list of system calls leaves it little else.
  for (int capability : {CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID, CAP_MKNOD, CAP_SETFCAP, CAP_SYS_ADMIN}) {
    kept |= uint64_t{1} << capability;
  }
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  for (int half = 0; half < 2; ++half) {
    data[half].effective = data[half].permitted = static_cast<uint32_t>(kept >> (32 * half));
  }
  if (::syscall(SYS_capset, &header, data) != 0) return fail(errno, "drop capabilities");
  return {};
}

Result<void> limit_system_calls() {
  const std::unique_ptr<void, void (*)(void*)> filter(seccomp_init(SCMP_ACT_KILL_PROCESS), seccomp_release);
  if (!filter) return fail("prepare the list of system calls");
  for (int call : {
           // memory, signals, time, the end
           SCMP_SYS(brk),
           SCMP_SYS(mmap),
           SCMP_SYS(munmap),
           SCMP_SYS(mremap),
           SCMP_SYS(mprotect),
           SCMP_SYS(madvise),
           SCMP_SYS(futex),
           SCMP_SYS(rt_sigaction),
           SCMP_SYS(rt_sigprocmask),
           SCMP_SYS(rt_sigreturn),
           SCMP_SYS(clock_gettime),
           SCMP_SYS(gettimeofday),
           SCMP_SYS(time),
           SCMP_SYS(getrandom),
           SCMP_SYS(getpid),
           SCMP_SYS(gettid),
           SCMP_SYS(tgkill),
           SCMP_SYS(exit),
           SCMP_SYS(exit_group),
           SCMP_SYS(sched_yield),
           // files
           SCMP_SYS(read),
           SCMP_SYS(readv),
           SCMP_SYS(write),
           SCMP_SYS(writev),
           SCMP_SYS(pwrite64),
           SCMP_SYS(lseek),
           SCMP_SYS(open),
           SCMP_SYS(openat),
           SCMP_SYS(close),
           SCMP_SYS(getdents64),
           SCMP_SYS(fcntl),
           SCMP_SYS(fstat),
           SCMP_SYS(stat),
           SCMP_SYS(lstat),
           SCMP_SYS(newfstatat),
           SCMP_SYS(statx),
           SCMP_SYS(mkdir),
           SCMP_SYS(mkdirat),
           SCMP_SYS(rmdir),
           SCMP_SYS(unlink),
           SCMP_SYS(unlinkat),
           SCMP_SYS(link),
           SCMP_SYS(linkat),
           SCMP_SYS(symlink),
           SCMP_SYS(symlinkat),
           SCMP_SYS(chown),
           SCMP_SYS(lchown),
           SCMP_SYS(fchown),
           SCMP_SYS(fchownat),
           SCMP_SYS(chmod),
           SCMP_SYS(fchmod),
           SCMP_SYS(fchmodat),
           SCMP_SYS(utimensat),
           SCMP_SYS(ftruncate),
           SCMP_SYS(setxattr),
           SCMP_SYS(lsetxattr),
           SCMP_SYS(fsetxattr),
           SCMP_SYS(lremovexattr),
           SCMP_SYS(syncfs),
       }) {
    // Negative numbers are calls that this architecture does not have.
    if (seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, call, 0) < 0) return fail("list the system calls");
  }
  const auto allow_node = [&](mode_t type) {
    const scmp_datum_t mask = S_IFMT;
    int failed = seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, SCMP_SYS(mknod), 2,
                                  SCMP_A1(SCMP_CMP_MASKED_EQ, mask, type), SCMP_A2(SCMP_CMP_EQ, 0));
    failed |= seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, SCMP_SYS(mknodat), 2,
                               SCMP_A2(SCMP_CMP_MASKED_EQ, mask, type), SCMP_A3(SCMP_CMP_EQ, 0));
    return failed == 0;
  };
  if (!allow_node(S_IFIFO) || !allow_node(S_IFCHR)) return fail("list the system calls");
  if (const int error = seccomp_load(filter.get()); error < 0) return fail(-error, "limit the system calls");
  return {};
}

}  // namespace

Result<void> confine(int directory_fd) {
  if (::unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC) != 0) return fail(errno, "make namespaces");
  if (::fchdir(directory_fd) != 0 || ::chroot(".") != 0) return fail(errno, "enter the layer's directory");
  if (::syscall(SYS_close_range, 3u, ~0u, 0u) != 0) return fail(errno, "close descriptors");
  ::umask(0);
#ifndef __SANITIZE_ADDRESS__
  const rlimit memory{kAddressSpaceMax, kAddressSpaceMax};
  if (::setrlimit(RLIMIT_AS, &memory) != 0) return fail(errno, "limit memory");
#endif
  const rlimit none{0, 0};
  if (::setrlimit(RLIMIT_CORE, &none) != 0) return fail(errno, "limit core dumps");
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail(errno, "renounce privileges");
  if (auto dropped = drop_capabilities(); !dropped) return dropped;
#ifdef __SANITIZE_ADDRESS__
  return {};  // the sanitizers' own system calls are not in the list
#else
  return limit_system_calls();
#endif
}

}  // namespace berth::unpack
