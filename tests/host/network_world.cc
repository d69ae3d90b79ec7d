#include "network_world.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <thread>

#include "agent/network/links.h"
#include "agent/network/namespaces.h"
#include "base/assert.h"

namespace berth::network {
namespace {

sockaddr_in endpoint(const std::string& address, int port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(static_cast<uint16_t>(port));
  inet_pton(AF_INET, address.c_str(), &out.sin_addr);
  return out;
}

Fd new_namespace() {
  Fd made;
  std::thread([&] {
    BERTH_ASSERT(::unshare(CLONE_NEWNET) == 0);
    made = std::move(*current_namespace());
  }).join();
  return made;
}

Outcome outcome_of(int error) {
  switch (error) {
    case ECONNREFUSED: return Outcome::refused;
    case EACCES:
    case EPERM: return Outcome::prohibited;
    case EHOSTUNREACH:
    case ENETUNREACH: return Outcome::unreachable;
    default: return Outcome::silent;
  }
}

class Stopwatch {
 public:
  int64_t us() const {
    return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

Probe probe(int kind, const std::string& address, int port, int timeout_ms, int source_port) {
  const Stopwatch watch;
  const Fd fd(::socket(AF_INET, kind | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (source_port != 0) {
    const int on = 1;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const sockaddr_in own = endpoint("0.0.0.0", source_port);
    BERTH_ASSERT(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own) == 0);
  }
  const sockaddr_in to = endpoint(address, port);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0 && errno != EINPROGRESS) {
    return {outcome_of(errno), watch.us(), {}};
  }
  if (kind == SOCK_DGRAM) (void)!::send(fd.get(), "who", 3, 0);
  pollfd wait{fd.get(), POLLIN, 0};
  if (::poll(&wait, 1, timeout_ms) <= 0) return {Outcome::silent, watch.us(), {}};
  char answer[64];
  const ssize_t size = ::recv(fd.get(), answer, sizeof answer, 0);
  if (size < 0) return {outcome_of(errno), watch.us(), {}};
  return {Outcome::answered, watch.us(), std::string(answer, static_cast<size_t>(size))};
}

}  // namespace

std::unique_ptr<World> World::make() {
  if (::geteuid() != 0) {
    std::cerr << "these tests make namespaces and need root\n";
    return nullptr;
  }
  std::unique_ptr<World> world(new World);
  char directory[] = "/tmp/berth-network-test-XXXXXX";
  BERTH_ASSERT(::mkdtemp(directory) != nullptr);
  world->directory_ = directory;
  static const bool private_mounts = [] {
    return ::unshare(CLONE_NEWNS) == 0 && ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
  }();
  BERTH_ASSERT(private_mounts);
  std::filesystem::create_directory(world->run_root());
  std::ofstream(world->resolv_conf()) << "nameserver 203.0.113.1\n";
  world->host_ = new_namespace();
  world->internet_ = new_namespace();
  // New namespaces inherit some settings from the machine: not these.
  world->shell(world->host_,
               "sysctl -w net.ipv4.ip_forward=0 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0");
  world->shell(world->host_, fmt::format("ip link add uplink type veth peer name wire netns /proc/{}/fd/{} && "
                                         "ip link set lo up && ip addr add 198.51.100.2/24 dev uplink && "
                                         "ip link set uplink up && ip route add default via 198.51.100.1",
                                         ::getpid(), world->internet_.get()));
  world->shell(world->internet_,
               "ip link set lo up && ip addr add 198.51.100.1/24 dev wire && "
               "ip addr add 203.0.113.1/32 dev lo && ip link set wire up");
  return world;
}

World::~World() {
  // Lazily: a bound namespace may be in use by a process that is still going.
  std::string mounts = shell(host_, "grep -o '" + directory_ + "[^ ]*' /proc/self/mounts | sort -r");
  for (size_t at = 0; at < mounts.size();) {
    const size_t end = mounts.find('\n', at);
    ::umount2(mounts.substr(at, end - at).c_str(), MNT_DETACH);
    at = end + 1;
  }
  std::error_code error;
  std::filesystem::remove_all(directory_, error);
}

std::string World::state(const std::string& name) const {
  std::filesystem::create_directories(directory_ + "/" + name);
  return directory_ + "/" + name;
}

NetworkOptions World::options(const std::string& state_name) const {
  return {state(state_name), run_root(), {resolv_conf()}};
}

void World::in(const Fd& namespace_fd, const std::function<void()>& work) const {
  std::thread([&] {
    BERTH_ASSERT(enter_namespace(namespace_fd).has_value());
    work();
  }).join();
}

void World::in(const std::string& netns_path, const std::function<void()>& work) const {
  auto namespace_fd = open_namespace(netns_path);
  BERTH_ASSERT(namespace_fd.has_value());
  in(*namespace_fd, work);
}

std::string World::shell(const Fd& namespace_fd, const std::string& command) const {
  std::string output;
  in(namespace_fd, [&] {
    FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
    char buffer[4096];
    size_t size;
    while ((size = std::fread(buffer, 1, sizeof buffer, pipe)) > 0) output.append(buffer, size);
    ::pclose(pipe);
  });
  return output;
}

std::ostream& operator<<(std::ostream& out, Outcome outcome) {
  constexpr const char* kNames[] = {"answered", "refused", "unreachable", "prohibited", "silent"};
  return out << kNames[static_cast<int>(outcome)];
}

Probe tcp_probe(const std::string& address, int port, int timeout_ms, int source_port) {
  return probe(SOCK_STREAM, address, port, timeout_ms, source_port);
}
Probe udp_probe(const std::string& address, int port, int timeout_ms, int source_port) {
  return probe(SOCK_DGRAM, address, port, timeout_ms, source_port);
}

bool ping_probe(const std::string& address) {
  // 0 to 2147483647: everybody's group may.
  { std::ofstream("/proc/sys/net/ipv4/ping_group_range") << "0 2147483647"; }
  const Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP));
  const sockaddr_in to = endpoint(address, 0);
  icmphdr echo{};
  echo.type = ICMP_ECHO;
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0 ||
      ::send(fd.get(), &echo, sizeof echo, 0) < 0) {
    return false;
  }
  pollfd wait{fd.get(), POLLIN, 0};
  char answer[64];
  return ::poll(&wait, 1, 300) > 0 && ::recv(fd.get(), answer, sizeof answer, 0) > 0;
}

bool send_datagram(const std::string& from, const std::string& to, int port) {
  const Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const sockaddr_in source = endpoint(from, 0), destination = endpoint(to, port);
  return ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&source), sizeof source) == 0 &&
         ::sendto(fd.get(), "x", 1, 0, reinterpret_cast<const sockaddr*>(&destination), sizeof destination) == 1;
}

class Echo::Server {
 public:
  Server(const World& world, const Fd& namespace_fd, int port, const std::string& address) {
    world.in(namespace_fd, [&] {
      tcp_ = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      udp_ = Fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    });
    const sockaddr_in any = endpoint(address, port);
    const int on = 1;
    ::setsockopt(tcp_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    for (const Fd* fd : {&tcp_, &udp_}) {
      BERTH_ASSERT(::bind(fd->get(), reinterpret_cast<const sockaddr*>(&any), sizeof any) == 0);
    }
    BERTH_ASSERT(::listen(tcp_.get(), 16) == 0);
    BERTH_ASSERT(::pipe2(stop_, O_CLOEXEC) == 0);
    thread_ = std::thread([this] { serve(); });
  }
  ~Server() {
    ::close(stop_[1]);
    thread_.join();
    ::close(stop_[0]);
  }

 private:
  static std::string name(const sockaddr_in& peer) {
    char text[INET_ADDRSTRLEN];
    return inet_ntop(AF_INET, &peer.sin_addr, text, sizeof text);
  }
  void serve() {
    while (true) {
      pollfd wait[] = {{stop_[0], POLLIN, 0}, {tcp_.get(), POLLIN, 0}, {udp_.get(), POLLIN, 0}};
      ::poll(wait, 3, -1);
      if (wait[0].revents != 0) return;
      sockaddr_in peer{};
      socklen_t size = sizeof peer;
      if (wait[1].revents != 0) {
        const Fd connection(::accept(tcp_.get(), reinterpret_cast<sockaddr*>(&peer), &size));
        const std::string text = name(peer);
        (void)!::write(connection.get(), text.data(), text.size());
      }
      size = sizeof peer;
      if (wait[2].revents != 0) {
        char question[64];
        ::recvfrom(udp_.get(), question, sizeof question, 0, reinterpret_cast<sockaddr*>(&peer), &size);
        const std::string text = name(peer);
        ::sendto(udp_.get(), text.data(), text.size(), 0, reinterpret_cast<sockaddr*>(&peer), size);
      }
    }
  }

  Fd tcp_;
  Fd udp_;
  int stop_[2];
  std::thread thread_;
};

Echo::Echo(const World& world, const Fd& namespace_fd, int port, const std::string& address)
    : server_(std::make_unique<Server>(world, namespace_fd, port, address)) {}
Echo::Echo(const World& world, const std::string& netns_path, int port) {
  auto namespace_fd = open_namespace(netns_path);
  BERTH_ASSERT(namespace_fd.has_value());
  server_ = std::make_unique<Server>(world, *namespace_fd, port, "0.0.0.0");
}
Echo::~Echo() = default;

}  // namespace berth::network
