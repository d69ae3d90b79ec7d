// The resolver's process: sockets in every VPC, the daemon's frames, questions that go outside. One thread, one epoll.
//
//   VPC namespaces: UDP and TCP 53 at each address ──▶ answer() ──▶ answered at once
//   host's namespace: the daemon's socket                     └──▶ Forwarder: the servers of /etc/resolv.conf
//
// What the daemon has told stays answered when the daemon is gone; a new one tells all anew, and until it has said the last of
// it, the old is answered.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/random.h"
#include "resolver/answer.h"
#include "resolver/directory.h"
#include "resolver/forwarder.h"
#include "resolver/reactor.h"
#include "resolver/zones/zones.h"

namespace berth::resolver {

class UdpDoor;  // one address in one VPC
class TcpDoor;
class TcpClient;
class Control;  // the daemon's connection

class Server {
 public:
  struct Options {
    std::string socket_path;  // "fd:3": a socket that listens already
    std::vector<std::string> resolv_confs = {"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"};
  };
  // Fails where the socket cannot be made; `problem` says why.
  static std::unique_ptr<Server> open(Options options, std::string* problem);
  ~Server();
  [[noreturn]] void run();

 private:
  friend class UdpDoor;
  friend class TcpDoor;
  friend class TcpClient;
  friend class Control;
  explicit Server(Options options);

  using Reply = std::function<void(std::string_view)>;
  // Bytes written to `out`; 0 where nothing is answered, or later, by what `later` gives.
  size_t handle(const std::string& vpc, std::string_view message, bool tcp, char* out, size_t size,
                const std::function<Reply()>& later);
  void forward(const Query& query, bool tcp, const Reply& reply);
  void chase(const Query& query, Outcome outcome, bool tcp, bool ask_tcp, const Reply& reply);

  bool listen_for_daemon(std::string* problem);
  void accept_daemons(Fd fd);
  void frame(const Frame& frame);
  void tell(const Frame& frame);
  void apply(const Change& change);
  void listen(const std::string& vpc, const Listener& listener);
  std::string open_doors(const std::string& vpc);
  void close_doors(const std::string& vpc);
  void refresh_doors();

  struct Listening {
    Listener listener;
    uint64_t namespace_inode = 0;
    std::vector<std::shared_ptr<UdpDoor>> udp;
    std::vector<std::shared_ptr<TcpDoor>> tcp;
  };

  const Options options_;
  Reactor reactor_;
  Prng random_;
  Fd host_namespace_;
  std::unique_ptr<Forwarder> forwarder_;
  std::unique_ptr<Directory> directory_ = std::make_unique<Directory>();
  std::unique_ptr<Directory> coming_;  // while a snapshot arrives
  std::map<std::string, Listening> listening_;
  std::shared_ptr<Source> daemon_listener_;
  std::shared_ptr<Control> control_;
  std::map<const TcpClient*, std::shared_ptr<TcpClient>> tcp_clients_;
};

}  // namespace berth::resolver
