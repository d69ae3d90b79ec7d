#include "agent/runtime/sealed_program.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

namespace berth::runtime {
namespace {

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U  // Linux 6.3
#endif

Fd memory_file(const char* name) {
  Fd fd(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC));
  // Older kernels know no MFD_EXEC: there every memory file can be executed.
  if (!fd) fd.reset(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  return fd;
}

Fd sealed_copy(int source, off_t bytes) {
  Fd copy = memory_file("oci-runtime");
  if (!copy) return {};
  for (off_t done = 0; done < bytes;) {
    const ssize_t sent = sendfile(copy.get(), source, nullptr, static_cast<size_t>(bytes - done));
    if (sent <= 0) return {};
    done += sent;
  }
  if (fcntl(copy.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0) return {};
  return copy;
}

}  // namespace

int SealedProgram::fd(const std::string& path) {
  struct stat now = {};
  if (stat(path.c_str(), &now) != 0) return -1;
  const Identity identity{now.st_dev, now.st_ino, now.st_size,
                          now.st_ctim.tv_sec * 1'000'000'000 + now.st_ctim.tv_nsec};
  if (path == path_ && identity == identity_) return copy_ ? copy_.get() : -1;
  const Fd source(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  copy_ = source ? sealed_copy(source.get(), now.st_size) : Fd();
  path_ = path;
  identity_ = identity;
  return copy_ ? copy_.get() : -1;
}

}  // namespace berth::runtime
