#include "agent/supervise/files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/fd.h"

namespace berth::agent {

Result<void> write_file_atomically(const std::string& directory, const std::string& name, const std::string& bytes) {
  const std::string path = directory + "/" + name;
  const std::string aside = path + ".new";
  const Fd fd(open(aside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd) return fail(errno, "open " + aside);
  for (size_t at = 0; at < bytes.size();) {
    const ssize_t put = write(fd.get(), bytes.data() + at, bytes.size() - at);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return fail(errno, "write " + aside);
    at += static_cast<size_t>(put);
  }
  if (rename(aside.c_str(), path.c_str()) != 0) return fail(errno, "rename " + aside);
  return {};
}

Result<std::string> read_small_file(const std::string& path, size_t bytes_max) {
  const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return fail(errno, "open " + path);
  std::string text;
  char buffer[4096];
  for (;;) {
    const ssize_t got = read(fd.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(errno, "read " + path);
    if (got == 0) return text;
    text.append(buffer, static_cast<size_t>(got));
    if (text.size() > bytes_max) return fail(path + " is too long");
  }
}

bool is_locked(const std::string& path) {
  const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return fd && flock(fd.get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

}  // namespace berth::agent
