// Sockets with their addresses, ready to listen. Non-blocking, closed on exec.
#pragma once

#include <cstdint>
#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace berth::wire {

struct BoundTcp {
  Fd fd;
  uint16_t port = 0;  // the one that it got, where 0 was asked for
};
// `address` is an IPv4 or IPv6 literal.
Result<BoundTcp> bind_tcp(const std::string& address, uint16_t port);
// Mode 0600. A socket that nobody listens on any more is replaced; one that answers is an error.
Result<Fd> bind_unix(const std::string& path);

}  // namespace berth::wire
