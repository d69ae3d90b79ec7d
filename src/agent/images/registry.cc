#include "agent/images/registry.h"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <thread>
#include <vector>

#include "base/fd.h"

namespace berth::images {
namespace {

using Clock = std::chrono::steady_clock;

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  int family = 0;
  std::string text;
};

std::string describe(const addrinfo& info) {
  char host[NI_MAXHOST], port[NI_MAXSERV];
  if (::getnameinfo(info.ai_addr, info.ai_addrlen, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return "?";
  }
  return info.ai_family == AF_INET6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

struct Lookup {
  std::mutex mutex;
  std::condition_variable done_condition;
  bool done = false;
  std::string error;
  std::vector<Address> addresses;
};

// getaddrinfo(3) takes no deadline, and name servers that are away take many seconds: it runs on a thread which is left
// to itself when the deadline passes.
Result<std::vector<Address>> look_up(const RegistryAddress& where, Clock::time_point deadline) {
  auto lookup = std::make_shared<Lookup>();
  std::thread([lookup, where] {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG;
    addrinfo* found = nullptr;
    const int error = ::getaddrinfo(where.host.c_str(), std::to_string(where.port).c_str(), &hints, &found);
    const std::lock_guard lock(lookup->mutex);
    if (error != 0) lookup->error = error == EAI_NONAME ? "no such host" : ::gai_strerror(error);
    for (const addrinfo* at = found; error == 0 && at; at = at->ai_next) {
      Address address;
      std::memcpy(&address.storage, at->ai_addr, at->ai_addrlen);
      address.size = at->ai_addrlen;
      address.family = at->ai_family;
      address.text = describe(*at);
      lookup->addresses.push_back(std::move(address));
    }
    if (error == 0) ::freeaddrinfo(found);
    lookup->done = true;
    lookup->done_condition.notify_all();
  }).detach();
  std::unique_lock lock(lookup->mutex);
  if (!lookup->done_condition.wait_until(lock, deadline, [&] { return lookup->done; })) {
    return fail(fmt::format("lookup {}: i/o timeout", where.host));
  }
  if (!lookup->error.empty()) return fail(fmt::format("lookup {}: {}", where.host, lookup->error));
  return lookup->addresses;
}

int left_ms(Clock::time_point deadline) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return left > 0 ? static_cast<int>(left) : 0;
}

// Connects and says something in plain HTTP: a registry without TLS answers it, one with TLS complains of it or hangs
// up. What keeps silent even then (a firewall, a dead proxy) is no registry.
Result<void> ask(const Address& address, const std::string& host, Clock::time_point deadline) {
  const Fd fd(::socket(address.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return fail(errno, "dial tcp " + address.text);
  const auto* to = reinterpret_cast<const sockaddr*>(&address.storage);
  if (::connect(fd.get(), to, address.size) != 0 && errno != EINPROGRESS)
    return fail(errno, "dial tcp " + address.text);
  pollfd wait{fd.get(), POLLOUT, 0};
  if (::poll(&wait, 1, left_ms(deadline)) <= 0) return fail(fmt::format("dial tcp {}: i/o timeout", address.text));
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return fail(error, "dial tcp " + address.text);
  const std::string request = fmt::format("GET /v2/ HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", host);
  if (::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0)
    return fail(errno, "write tcp " + address.text);
  wait.events = POLLIN;
  if (::poll(&wait, 1, left_ms(deadline)) <= 0) {
    return fail(fmt::format("{} ({}) accepts the connection and says nothing: i/o timeout", host, address.text));
  }
  return {};
}

std::string variable(const char* upper, const char* lower) {
  for (const char* name : {upper, lower}) {
    if (const char* value = std::getenv(name); value && *value) return value;
  }
  return {};
}

bool goes_direct(const std::string& host) {
  if (host == "localhost" || host.starts_with("127.")) return true;
  std::string_view list;
  const std::string value = variable("NO_PROXY", "no_proxy");
  for (list = value; !list.empty();) {
    std::string_view one = list.substr(0, list.find(','));
    list.remove_prefix(one.size() < list.size() ? one.size() + 1 : one.size());
    while (!one.empty() && one.front() == ' ') one.remove_prefix(1);
    if (one == "*" || one == host) return true;
    if (one.starts_with('.')) one.remove_prefix(1);
    if (!one.empty() && host.size() > one.size() && host.ends_with(one) && host[host.size() - one.size() - 1] == '.') {
      return true;
    }
  }
  return false;
}

// "http://user:secret@proxy:3128/" → proxy, 3128
std::optional<RegistryAddress> proxy_for(const std::string& host) {
  std::string proxy = variable("HTTPS_PROXY", "https_proxy");
  if (proxy.empty() || goes_direct(host)) return std::nullopt;
  int port = proxy.starts_with("https://") ? 443 : 80;
  if (const size_t scheme = proxy.find("://"); scheme != proxy.npos) proxy.erase(0, scheme + 3);
  proxy = proxy.substr(0, proxy.find('/'));
  if (const size_t at = proxy.rfind('@'); at != proxy.npos) proxy.erase(0, at + 1);
  if (const size_t colon = proxy.rfind(':'); colon != proxy.npos) {
    port = std::atoi(proxy.c_str() + colon + 1);
    proxy.resize(colon);
  }
  return RegistryAddress{proxy, port};
}

}  // namespace

Result<void> check_registry_answers(const ImageName& name, int timeout_ms) {
  const auto deadline = Clock::now() + std::chrono::milliseconds(timeout_ms);
  const RegistryAddress registry = registry_address(name);
  auto addresses = look_up(proxy_for(registry.host).value_or(registry), deadline);
  if (!addresses) return tl::unexpected(addresses.error());
  Result<void> last = fail("lookup " + registry.host + ": no address");
  for (const Address& address : *addresses) {
    last = ask(address, registry.host, deadline);
    if (last) return last;
  }
  return last;
}

bool on_loopback(const ImageName& name) {
  const std::string host = registry_address(name).host;
  return host == "localhost" || host.starts_with("127.");
}

std::string cannot_pull(const ImageName& name, int retries, const std::string& cause) {
  const std::string retried =
      fmt::format("CannotPullContainerError: pull image manifest has been retried {} time(s): ", retries);
  // skopeo's "no image found in manifest list for architecture …", of images that were built on another kind of
  // machine.
  if (cause.find("no image found in ") != cause.npos)
    return retried + "image Manifest does not contain descriptor matching platform 'linux/amd64'";
  return fmt::format("{}failed to resolve ref {}: {}", retried, name.canonical(), cause);
}

}  // namespace berth::images
