#include "agent/network/netlink.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/assert.h"

namespace berth::network {

void NetlinkBatch::append(const void* data, size_t size) {
  const size_t at = buffer_.size();
  buffer_.resize(at + NLMSG_ALIGN(size));
  if (size > 0) std::memcpy(buffer_.data() + at, data, size);
}

void NetlinkBatch::begin(uint16_t type, uint16_t flags, std::string what) {
  finish();
  message_ = buffer_.size();
  const nlmsghdr header{0, type, static_cast<uint16_t>(flags | NLM_F_REQUEST), 0, 0};
  append(&header, sizeof header);
  what_.push_back(std::move(what));
}

void NetlinkBatch::finish() {
  if (buffer_.empty()) return;
  reinterpret_cast<nlmsghdr*>(buffer_.data() + message_)->nlmsg_len = static_cast<uint32_t>(buffer_.size() - message_);
}

void NetlinkBatch::attribute(uint16_t type, const void* data, size_t size) {
  BERTH_ASSERT(size <= UINT16_MAX - NLA_HDRLEN);
  const nlattr header{static_cast<uint16_t>(NLA_HDRLEN + size), type};
  append(&header, sizeof header);
  append(data, size);
}

void NetlinkBatch::attribute_be32(uint16_t type, uint32_t value) {
  const uint32_t big = htonl(value);
  attribute(type, &big, sizeof big);
}

void NetlinkBatch::attribute_text(uint16_t type, std::string_view text) {
  const std::string zero_ended(text);
  attribute(type, zero_ended.c_str(), zero_ended.size() + 1);
}

size_t NetlinkBatch::nest(uint16_t type) {
  const size_t begin = buffer_.size();
  const nlattr header{0, static_cast<uint16_t>(type | NLA_F_NESTED)};
  append(&header, sizeof header);
  return begin;
}

void NetlinkBatch::unnest(size_t begin) {
  const size_t size = buffer_.size() - begin;
  BERTH_ASSERT(size <= UINT16_MAX);
  reinterpret_cast<nlattr*>(buffer_.data() + begin)->nla_len = static_cast<uint16_t>(size);
}

Attributes::Attributes(const char* data, size_t size) : data_(data, size) {}

void Attributes::each(std::string_view nest, const std::function<void(uint16_t, std::string_view)>& visit) {
  while (nest.size() >= sizeof(nlattr)) {
    nlattr header;
    std::memcpy(&header, nest.data(), sizeof header);
    if (header.nla_len < NLA_HDRLEN || header.nla_len > nest.size()) return;
    visit(header.nla_type & NLA_TYPE_MASK, nest.substr(NLA_HDRLEN, header.nla_len - NLA_HDRLEN));
    nest.remove_prefix(std::min<size_t>(NLA_ALIGN(header.nla_len), nest.size()));
  }
}

std::string_view Attributes::get(uint16_t type) const {
  std::string_view found;
  each(data_, [&](uint16_t seen, std::string_view value) {
    if (seen == type) found = value;
  });
  return found;
}

uint32_t Attributes::u32(uint16_t type) const {
  const std::string_view value = get(type);
  uint32_t number = 0;
  if (value.size() == sizeof number) std::memcpy(&number, value.data(), sizeof number);
  return number;
}

std::string_view Attributes::text(uint16_t type) const {
  const std::string_view value = get(type);
  return value.substr(0, value.find('\0'));
}

namespace {
// Dumps come in pieces of at most 32 KiB (NLMSG_GOODSIZE and the kernel's cap); acknowledgements are small.
constexpr size_t kReceiveBytes = 32 * 1024;
// The kernel answers within the call that sends; a silence means a lost acknowledgement (ENOBUFS), never a slow one.
constexpr timeval kReceiveTimeout{5, 0};
}  // namespace

Result<NetlinkSocket> NetlinkSocket::open(int protocol) {
  Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  if (!fd) return fail(errno, "netlink socket");
  const int on = 1;
  // Acknowledgements without a copy of the request; dumps filtered by the kernel where asked.
  ::setsockopt(fd.get(), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
  ::setsockopt(fd.get(), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &kReceiveTimeout, sizeof kReceiveTimeout);
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  socklen_t size = sizeof address;
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
    return fail(errno, "netlink bind");
  return NetlinkSocket(std::move(fd), address.nl_pid);
}

Result<void> NetlinkSocket::subscribe(unsigned group, bool on) {
  const int option = on ? NETLINK_ADD_MEMBERSHIP : NETLINK_DROP_MEMBERSHIP;
  if (::setsockopt(fd_.get(), SOL_NETLINK, option, &group, sizeof group) != 0) return fail(errno, "netlink membership");
  return {};
}

Result<bool> NetlinkSocket::wait_for_notification(int timeout_ms) {
  pollfd wanted{fd_.get(), POLLIN, 0};
  const int ready = ::poll(&wanted, 1, timeout_ms);
  if (ready < 0 && errno != EINTR) return fail(errno, "netlink poll");
  if (ready == 0) return false;
  // ENOBUFS says that some were lost, which is news as well; the next receive goes on.
  char ignored[256];
  while (::recv(fd_.get(), ignored, sizeof ignored, MSG_DONTWAIT | MSG_TRUNC) >= 0 || errno == ENOBUFS) {
  }
  return true;
}

Result<void> NetlinkSocket::send(NetlinkBatch& batch, std::initializer_list<int> tolerated) {
  batch.finish();
  const uint32_t first = sequence_;
  size_t expected = 0;
  for (size_t at = 0; at < batch.buffer_.size();) {
    auto* header = reinterpret_cast<nlmsghdr*>(batch.buffer_.data() + at);
    header->nlmsg_seq = sequence_++;
    if (header->nlmsg_flags & NLM_F_ACK) ++expected;
    at += NLMSG_ALIGN(header->nlmsg_len);
  }
  if (::send(fd_.get(), batch.buffer_.data(), batch.buffer_.size(), 0) < 0) return fail(errno, "netlink send");

  Result<void> outcome;
  alignas(nlmsghdr) std::array<char, kReceiveBytes> reply;
  while (expected > 0) {
    const ssize_t size = ::recv(fd_.get(), reply.data(), reply.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return fail(errno, "netlink receive");
    size_t left = static_cast<size_t>(size);
    for (auto* header = reinterpret_cast<nlmsghdr*>(reply.data()); NLMSG_OK(header, left);
         header = NLMSG_NEXT(header, left)) {
      if (header->nlmsg_type != NLMSG_ERROR || header->nlmsg_seq < first || header->nlmsg_pid != port_) continue;
      const int error = -reinterpret_cast<nlmsgerr*>(NLMSG_DATA(header))->error;
      const uint32_t index = header->nlmsg_seq - first;
      const bool acknowledged = index < batch.what_.size() && !batch.what_[index].empty();
      if (error != 0 && outcome && std::find(tolerated.begin(), tolerated.end(), error) == tolerated.end()) {
        outcome = fail(error, acknowledged ? batch.what_[index] : "netlink transaction");
      }
      // A transaction that the kernel refuses as a whole is answered once, for its opening marker.
      if (!acknowledged) return outcome;
      --expected;
    }
  }
  return outcome;
}

Result<void> NetlinkSocket::query(NetlinkBatch& batch,
                                  const std::function<void(const nlmsghdr&, std::string_view)>& visit) {
  batch.finish();
  auto* request = reinterpret_cast<nlmsghdr*>(batch.buffer_.data());
  const bool dump = (request->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
  if (dump) request->nlmsg_flags &= static_cast<uint16_t>(~NLM_F_ACK);  // it ends with NLMSG_DONE
  const uint32_t sequence = request->nlmsg_seq = sequence_++;
  if (::send(fd_.get(), batch.buffer_.data(), batch.buffer_.size(), 0) < 0) return fail(errno, "netlink send");
  std::vector<char> reply(kReceiveBytes);
  while (true) {
    const ssize_t size = ::recv(fd_.get(), reply.data(), reply.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return fail(errno, "netlink receive");
    size_t left = static_cast<size_t>(size);
    for (auto* header = reinterpret_cast<nlmsghdr*>(reply.data()); NLMSG_OK(header, left);
         header = NLMSG_NEXT(header, left)) {
      if (header->nlmsg_seq != sequence || header->nlmsg_pid != port_) continue;
      if (header->nlmsg_type == NLMSG_DONE) return {};
      if (header->nlmsg_type == NLMSG_ERROR) {
        const int error = -reinterpret_cast<nlmsgerr*>(NLMSG_DATA(header))->error;
        if (error != 0) return fail(error, batch.what_[0]);
        return {};
      }
      visit(*header, {reinterpret_cast<char*>(NLMSG_DATA(header)), header->nlmsg_len - NLMSG_HDRLEN});
    }
  }
}

}  // namespace berth::network
