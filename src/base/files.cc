#include "base/files.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/fd.h"

namespace berth {
namespace {

// 0 or an errno. A full disk first takes a part: only the next call says why there is not more.
int write_all(int fd, const std::string& bytes) {
  for (size_t at = 0; at < bytes.size();) {
    const ssize_t put = ::write(fd, bytes.data() + at, bytes.size() - at);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return errno;
    at += static_cast<size_t>(put);
  }
  return 0;
}

Result<void> sync_directory_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const Fd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) return fail(errno, "write directory " + directory);
  return {};
}

}  // namespace

Result<void> replace_file(const std::string& path, const std::string& bytes, Durable durable, mode_t mode) {
  const std::string aside = path + ".new";
  ::unlink(aside.c_str());  // left by a crash, and perhaps of another mode
  const Fd fd(::open(aside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (!fd) return fail(errno, "create " + aside);
  int error = write_all(fd.get(), bytes);
  if (error == 0 && durable == Durable::yes && ::fsync(fd.get()) != 0) error = errno;
  if (error == 0 && ::rename(aside.c_str(), path.c_str()) != 0) error = errno;
  if (error != 0) {
    ::unlink(aside.c_str());
    return fail(error, "write " + path);
  }
  return durable == Durable::yes ? sync_directory_of(path) : Result<void>{};
}

Result<std::string> read_file(const std::string& path, size_t bytes_max, int flags) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | flags));
  if (!fd) return fail(errno, "open " + path);
  std::string text;
  char buffer[4096];
  for (;;) {
    const ssize_t got = ::read(fd.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(errno, "read " + path);
    if (got == 0) return text;
    text.append(buffer, static_cast<size_t>(got));
    if (text.size() > bytes_max) return fail(EFBIG, "read " + path);
  }
}

}  // namespace berth
