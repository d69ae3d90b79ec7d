#include "wire/bind.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>

namespace berth::wire {

Result<BoundTcp> bind_tcp(const std::string& address, uint16_t port) {
  sockaddr_storage storage{};
  socklen_t length = 0;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
  if (::inet_pton(AF_INET, address.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    length = sizeof *v4;
  } else if (::inet_pton(AF_INET6, address.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    length = sizeof *v6;
  } else {
    return fail(fmt::format("listen on {}: not an IPv4 or IPv6 address", address));
  }
  const std::string what = fmt::format("listen on {}:{}", address, port);
  Fd fd(::socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return fail(errno, what);
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&storage), length) != 0) return fail(errno, what);
  if (::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&storage), &length) != 0) return fail(errno, what);
  const uint16_t bound = ntohs(storage.ss_family == AF_INET ? v4->sin_port : v6->sin6_port);
  return BoundTcp{std::move(fd), bound};
}

Result<Fd> bind_unix(const std::string& path) {
  const std::string what = "listen on " + path;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return fail(ENAMETOOLONG, what);
  path.copy(address.sun_path, path.size());
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return fail(errno, what);
  const auto* raw = reinterpret_cast<const sockaddr*>(&address);
  // fchmod before bind gives the socket's file its mode from its first moment.
  ::fchmod(fd.get(), 0600);
  if (::bind(fd.get(), raw, sizeof address) != 0) {
    if (errno != EADDRINUSE) return fail(errno, what);
    const Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (::connect(probe.get(), raw, sizeof address) == 0 || errno != ECONNREFUSED) return fail(EADDRINUSE, what);
    ::unlink(path.c_str());
    if (::bind(fd.get(), raw, sizeof address) != 0) return fail(errno, what);
  }
  if (::chmod(path.c_str(), 0600) != 0) return fail(errno, what);
  return fd;
}

}  // namespace berth::wire
