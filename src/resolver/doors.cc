#include "resolver/doors.h"

#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "base/limits.h"

namespace berth::resolver {
namespace {

constexpr size_t kBatch = 32;
constexpr int kRoundsMax = 8;  // of one socket, before others have their turn
constexpr size_t kQueryBytesMax = 2048;

// One for the process: a round answers what it read before the next begins.
struct Batch {
  std::array<std::array<char, kQueryBytesMax>, kBatch> in;
  std::array<std::array<char, kUdpBytesMax>, kBatch> out;
  std::array<sockaddr_in, kBatch> peers;
  std::array<iovec, kBatch> in_vectors, out_vectors;
  std::array<mmsghdr, kBatch> received, sent;
};
Batch batch;

sockaddr_in socket_address(uint32_t address) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(53);
  out.sin_addr.s_addr = htonl(address);
  return out;
}

}  // namespace

int add_loopback_address(uint32_t address) {
  const Fd any(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq link{};
  link.ifr_name[0] = 'l', link.ifr_name[1] = 'o';
  if (!any || ioctl(any.get(), SIOCGIFFLAGS, &link) != 0) return errno;
  if ((link.ifr_flags & IFF_UP) == 0) {
    link.ifr_flags |= IFF_UP;
    if (ioctl(any.get(), SIOCSIFFLAGS, &link) != 0) return errno;
  }
  if (ioctl(any.get(), SIOCGIFINDEX, &link) != 0) return errno;
  const Fd route(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  struct {
    nlmsghdr header;
    ifaddrmsg body;
    rtattr attribute;
    uint32_t address;
  } request{};
  request.header = {sizeof request, RTM_NEWADDR, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_ACK, 1, 0};
  request.body = {AF_INET, 32, 0, RT_SCOPE_HOST, static_cast<uint32_t>(link.ifr_ifindex)};
  request.attribute = {RTA_LENGTH(4), IFA_LOCAL};
  request.address = htonl(address);
  struct {
    nlmsghdr header;
    nlmsgerr error;
    char rest[256];
  } reply{};
  if (!route || send(route.get(), &request, sizeof request, 0) < 0) return errno;
  if (recv(route.get(), &reply, sizeof reply, 0) < 0) return errno;
  const int error = reply.header.nlmsg_type == NLMSG_ERROR ? -reply.error.error : EPROTO;
  return error == EEXIST ? 0 : error;
}

Fd make_socket(int kind, uint32_t address) {
  Fd fd(socket(AF_INET, kind | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fd;
  const int on = 1;
  if (kind == SOCK_STREAM) (void)setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const int bytes = 1 << 20;  // a burst of all tasks of a VPC
  if (kind == SOCK_DGRAM) (void)setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
  const sockaddr_in at = socket_address(address);
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0 ||
      (kind == SOCK_STREAM && ::listen(fd.get(), 128) != 0)) {
    const int why = errno;
    fd.reset();
    errno = why;
  }
  return fd;
}

void UdpDoor::ready(uint32_t) {
  for (int round = 0; round < kRoundsMax; ++round) {
    for (size_t i = 0; i < kBatch; ++i) {
      batch.in_vectors[i] = {batch.in[i].data(), kQueryBytesMax};
      batch.received[i] = {};
      batch.received[i].msg_hdr = {&batch.peers[i], sizeof(sockaddr_in), &batch.in_vectors[i], 1, nullptr, 0, 0};
    }
    const int count = recvmmsg(fd_.get(), batch.received.data(), kBatch, MSG_DONTWAIT, nullptr);
    if (count <= 0) return;
    unsigned answers = 0;
    for (int i = 0; i < count; ++i) {
      const sockaddr_in peer = batch.peers[i];
      const auto later = [this, peer]() -> Server::Reply {
        return [weak = weak_from_this(), peer](std::string_view answer) {
          const auto self = weak.lock();
          if (self && !answer.empty())
            (void)sendto(self->fd_.get(), answer.data(), answer.size(), MSG_DONTWAIT,
                         reinterpret_cast<const sockaddr*>(&peer), sizeof peer);
        };
      };
      const size_t size = server_.handle(vpc_, {batch.in[i].data(), batch.received[i].msg_len}, false,
                                         batch.out[answers].data(), kUdpBytesMax, later);
      if (size == 0) continue;
      batch.out_vectors[answers] = {batch.out[answers].data(), size};
      batch.sent[answers] = {};
      batch.sent[answers].msg_hdr = {
          &batch.peers[i], sizeof(sockaddr_in), &batch.out_vectors[answers], 1, nullptr, 0, 0};
      ++answers;
    }
    // What a full socket does not take is lost, as packets are; an unreachable client must not stop the others' answers.
    for (unsigned done = 0; done < answers;) {
      const int sent = sendmmsg(fd_.get(), &batch.sent[done], answers - done, MSG_DONTWAIT);
      done += sent > 0 ? static_cast<unsigned>(sent) : 1;
    }
    if (static_cast<size_t>(count) < kBatch) return;
  }
}

void TcpDoor::ready(uint32_t) {
  Fd fd(accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd || server_.tcp_clients_.size() >= limits::kDnsTcpClientsMax) return;  // closed: the client may try again
  auto client = std::make_shared<TcpClient>(server_, vpc_, std::move(fd));
  server_.tcp_clients_[client.get()] = client;
  server_.reactor_.add(client->fd(), EPOLLIN, client.get());
}

TcpClient::TcpClient(Server& server, std::string vpc, Fd fd)
    : server_(server), vpc_(std::move(vpc)), fd_(std::move(fd)) {
  rest();
}

// The time to be idle begins anew.
void TcpClient::rest() {
  if (idle_) server_.reactor_.cancel(*idle_);
  idle_ = server_.reactor_.after_ms(limits::kDnsTcpIdleMaxMs, [this] {
    idle_.reset();
    close();
  });
}

void TcpClient::close() {
  if (!fd_) return;
  const auto self = shared_from_this();
  if (idle_) server_.reactor_.cancel(*idle_);
  idle_.reset();
  server_.reactor_.remove(fd_.get(), self);
  fd_.reset();
  server_.tcp_clients_.erase(this);
}

void TcpClient::ready(uint32_t events) {
  if ((events & (EPOLLERR | EPOLLHUP)) != 0) return close();
  if ((events & EPOLLIN) != 0) {
    std::array<char, 4096> buffer;
    const ssize_t size = recv(fd_.get(), buffer.data(), buffer.size(), 0);
    if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR)) return close();
    if (size > 0) in_.append(buffer.data(), static_cast<size_t>(size));
    rest();
  }
  work();
}

void TcpClient::work() {
  static std::array<char, kTcpBytesMax> answer;
  while (fd_ && !waiting_ && in_.size() >= 2) {
    const size_t size = static_cast<unsigned char>(in_[0]) << 8 | static_cast<unsigned char>(in_[1]);
    if (in_.size() < 2 + size) break;
    const std::string message = in_.substr(2, size);
    in_.erase(0, 2 + size);
    waiting_ = true;
    const auto later = [this]() -> Server::Reply {
      return [weak = weak_from_this()](std::string_view late) {
        const auto self = weak.lock();
        if (!self || !self->fd_) return;
        self->waiting_ = false;
        if (late.empty()) return self->close();
        self->send_answer(late);
        self->work();
      };
    };
    bool deferred = false;
    const auto noted = [&]() -> Server::Reply {
      deferred = true;
      return later();
    };
    const size_t written = server_.handle(vpc_, message, true, answer.data(), answer.size(), noted);
    if (written == 0 && !deferred) return close();
    if (written == 0) break;
    waiting_ = false;
    send_answer({answer.data(), written});
  }
  if (fd_ && !flush()) return close();
  if (!fd_) return;
  // While it waits, its next questions stay with the kernel.
  const uint32_t events = (waiting_ || !out_.empty() ? 0U : EPOLLIN) | (out_.empty() ? 0U : EPOLLOUT);
  server_.reactor_.change(fd_.get(), events, this);
}

void TcpClient::send_answer(std::string_view answer) {
  out_ += static_cast<char>(answer.size() >> 8);
  out_ += static_cast<char>(answer.size());
  out_ += answer;
}

bool TcpClient::flush() {
  while (!out_.empty()) {
    const ssize_t sent = send(fd_.get(), out_.data(), out_.size(), MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN || errno == EINTR;
    out_.erase(0, static_cast<size_t>(sent));
  }
  return true;
}

}  // namespace berth::resolver
