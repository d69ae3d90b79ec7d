// The kernel's network configuration by raw netlink: messages built in place, many sent at once, each acknowledged.
//
// Thread: a socket belongs to the network namespace in which its thread was when it opened it, for ever; use is by one
// thread at a time.
#pragma once

#include <linux/netlink.h>

#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace berth::network {

// One or more netlink messages, one behind the other.
class NetlinkBatch {
 public:
  // Begins a message: its type, flags beside NLM_F_REQUEST, and the family's header (ifinfomsg, rtmsg, …).
  template <class Header>
  void message(uint16_t type, uint16_t flags, const Header& header, std::string what) {
    begin(type, flags | NLM_F_ACK, std::move(what));
    append(&header, sizeof header);
  }
  // A message that the kernel does not acknowledge: the beginning and the end of a transaction of nfnetlink.
  template <class Header>
  void marker(uint16_t type, const Header& header) {
    begin(type, 0, {});
    append(&header, sizeof header);
  }
  void attribute(uint16_t type, const void* data, size_t size);
  void attribute_u32(uint16_t type, uint32_t value) { attribute(type, &value, sizeof value); }
  void attribute_be32(uint16_t type, uint32_t value);
  void attribute_text(uint16_t type, std::string_view text);  // with its closing zero
  size_t nest(uint16_t type);                                 // returns what unnest() takes
  void unnest(size_t begin);
  void append(const void* data, size_t size);  // raw, padded; a header inside a nest

  bool empty() const { return buffer_.empty(); }
  void clear() { buffer_.clear(), what_.clear(); }

 private:
  friend class NetlinkSocket;
  void begin(uint16_t type, uint16_t flags, std::string what);
  void finish();

  std::vector<char> buffer_;
  size_t message_ = 0;             // offset of the message being built
  std::vector<std::string> what_;  // one for each message, for errors
};

// A received message's attributes, by type; views into what was received, for as long as the callback lasts.
class Attributes {
 public:
  Attributes(const char* data, size_t size);
  std::string_view get(uint16_t type) const;   // empty where absent
  uint32_t u32(uint16_t type) const;           // 0 where absent
  std::string_view text(uint16_t type) const;  // without its closing zero
  static void each(std::string_view nest, const std::function<void(uint16_t, std::string_view)>& visit);

 private:
  std::string_view data_;
};

class NetlinkSocket {
 public:
  static Result<NetlinkSocket> open(int protocol);  // NETLINK_ROUTE, NETLINK_NETFILTER

  // Sends all messages in one call and reads every acknowledgement. The first failure is returned, named by its `what`;
  // an errno in `tolerated` is no failure. rtnetlink goes on after a failure; a batch of nfnetlink has then changed nothing.
  Result<void> send(NetlinkBatch& batch, std::initializer_list<int> tolerated = {});
  // Sends one message and visits what it yields (a dump, or the one answer of a get).
  Result<void> query(NetlinkBatch& batch, const std::function<void(const nlmsghdr&, std::string_view)>& visit);

  // Notifications of one multicast group (RTNLGRP_LINK), for as long as somebody waits for one; queries may go on beside.
  Result<void> subscribe(unsigned group, bool on);
  // Waits for any notification and forgets it, and all that have come with it. False at the time-out.
  Result<bool> wait_for_notification(int timeout_ms);

 private:
  NetlinkSocket(Fd fd, uint32_t port) : fd_(std::move(fd)), port_(port) {}
  Fd fd_;
  uint32_t port_;  // answers to us bear it, notifications that of whoever caused them
  uint32_t sequence_ = 1;
};

}  // namespace berth::network
