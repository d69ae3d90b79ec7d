// Where tasks' questions come in: a UDP socket and a TCP listener for each address of each VPC.
#pragma once

#include <netinet/in.h>

#include <memory>
#include <optional>
#include <string>

#include "resolver/server.h"

namespace berth::resolver {

// In the calling thread's network namespace: gives the address to the loopback link, which is brought up. 0 or an errno.
int add_loopback_address(uint32_t address);

class UdpDoor final : public Source, public std::enable_shared_from_this<UdpDoor> {
 public:
  UdpDoor(Server& server, std::string vpc, Fd fd) : server_(server), vpc_(std::move(vpc)), fd_(std::move(fd)) {}
  void ready(uint32_t events) override;
  int fd() const { return fd_.get(); }

 private:
  Server& server_;
  const std::string vpc_;
  const Fd fd_;
};

class TcpDoor final : public Source {
 public:
  TcpDoor(Server& server, std::string vpc, Fd fd) : server_(server), vpc_(std::move(vpc)), fd_(std::move(fd)) {}
  void ready(uint32_t events) override;
  int fd() const { return fd_.get(); }

 private:
  Server& server_;
  const std::string vpc_;
  const Fd fd_;
};

// One question at a time; the next one is read when the last is answered.
class TcpClient final : public Source, public std::enable_shared_from_this<TcpClient> {
 public:
  TcpClient(Server& server, std::string vpc, Fd fd);
  void ready(uint32_t events) override;
  void close();
  int fd() const { return fd_.get(); }
  const std::string& vpc() const { return vpc_; }

 private:
  void work();
  void send_answer(std::string_view answer);
  bool flush();
  void rest();

  Server& server_;
  const std::string vpc_;
  Fd fd_;
  std::string in_, out_;
  bool waiting_ = false;
  std::optional<Reactor::Timer> idle_;
};

// A socket in the calling thread's namespace; not open where it cannot be, errno says why.
Fd make_socket(int kind, uint32_t address);

}  // namespace berth::resolver
