// Makes system calls by number and prints the errno of each: what the filter lets through is told apart from what the
// kernel would refuse anyway by what runs before it (arguments are such that an unfiltered call fails otherwise).
#define _GNU_SOURCE
#include <errno.h>
#include <linux/sched.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static void report(const char* name, long result) { printf("%s %d\n", name, result < 0 ? errno : 0); }

int main(void) {
  report("kexec_load", syscall(SYS_kexec_load, 0, 0, 0, 0xffff0000));
  report("mount", syscall(SYS_mount, 0, 0, 0, 0, 0));
  report("unshare", syscall(SYS_unshare, 0));
  report("setns", syscall(SYS_setns, -1, 0));
  report("bpf", syscall(SYS_bpf, -1, 0, 0));
  report("keyctl", syscall(SYS_keyctl, 0, -3, 0));
  report("userfaultfd", syscall(SYS_userfaultfd, ~0));
  report("io_uring_setup", syscall(SYS_io_uring_setup, 0, 0));
  report("clone_newuser", syscall(SYS_clone, CLONE_NEWUSER | CLONE_SIGHAND, 0, 0, 0, 0));
  report("clone3", syscall(SYS_clone3, 0, 0));
  report("socket_vsock", syscall(SYS_socket, 40, SOCK_STREAM, 0));
  report("init_module", syscall(SYS_init_module, 0, 0, 0));
  report("reboot", syscall(SYS_reboot, 0, 0, 0, 0));
  report("swapon", syscall(SYS_swapon, 0, 0));
  report("kcmp", syscall(SYS_kcmp, getpid(), getpid(), 1, 0, 0));
  report("getpid", syscall(SYS_getpid));
  report("socket_inet", syscall(SYS_socket, AF_INET, SOCK_STREAM, 0));
  report("memfd_create", syscall(SYS_memfd_create, "x", 0));
  return 0;
}
