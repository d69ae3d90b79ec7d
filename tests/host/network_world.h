// A small world for the network's tests, made of namespaces: a "host" with an uplink, an "internet" behind it. Root only.
// The test's process enters a mount namespace of its own as well, so nothing stays when it dies.
//
//   tasks ── VPC ── host ──uplink 198.51.100.2/24 ══ 198.51.100.1── internet (also 203.0.113.1)
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>

#include "agent/network/network.h"
#include "base/fd.h"

namespace berth::network {

class World {
 public:
  // Null, with the reason on standard error, where the rights are missing.
  static std::unique_ptr<World> make();
  ~World();

  const Fd& host() const { return host_; }
  const Fd& internet() const { return internet_; }
  std::string directory() const { return directory_; }
  std::string run_root() const { return directory_ + "/run"; }
  std::string state(const std::string& name) const;  // makes it
  std::string resolv_conf() const { return directory_ + "/resolv.conf"; }
  NetworkOptions options(const std::string& state_name) const;

  // Runs on a thread of its own inside the namespace.
  void in(const Fd& namespace_fd, const std::function<void()>& work) const;
  void in(const std::string& netns_path, const std::function<void()>& work) const;
  std::string shell(const Fd& namespace_fd, const std::string& command) const;  // its output

 private:
  World() = default;
  std::string directory_;
  Fd host_;
  Fd internet_;
};

// What came of a connection or a question, told quickly or not at all.
enum class Outcome { answered, refused, unreachable, prohibited, silent };
std::ostream& operator<<(std::ostream& out, Outcome outcome);

struct Probe {
  Outcome outcome;
  int64_t took_us;
  std::string answer;  // what the other side said
};
Probe tcp_probe(const std::string& address, int port, int timeout_ms = 1000, int source_port = 0);
Probe udp_probe(const std::string& address, int port, int timeout_ms = 1000, int source_port = 0);
// One echo request; whether its reply came within a third of a second.
bool ping_probe(const std::string& address);
// From an address that is the sender's own, or that it only pretends to have (on its loopback).
bool send_datagram(const std::string& from, const std::string& to, int port);

// Answers every TCP connection and UDP datagram on `port` with the peer's address. A server with several addresses must
// name one, for its datagrams to come from it.
class Echo {
 public:
  Echo(const World& world, const Fd& namespace_fd, int port, const std::string& address = "0.0.0.0");
  Echo(const World& world, const std::string& netns_path, int port);
  ~Echo();

 private:
  class Server;
  std::unique_ptr<Server> server_;
};

}  // namespace berth::network
