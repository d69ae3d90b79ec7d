// An HTTP/1.1 server on one epoll. All sockets, parsing and rendering live on the thread that calls run(); answers come
// from any thread through Reply and wake it by an eventfd, once for however many have gathered.
//
//   accept ─▶ idle ─▶ receiving ─▶ handling ─▶ sending ─┬▶ idle
//               ▲         │ bad, too large              └▶ draining ─▶ closed   (after "Connection: close")
//               │         └──────▶ sending an error
//               └ one time limit each for idle, receiving, sending and draining; handling has none
//
//   handling ─┬▶ streaming ─▶ idle or draining     an answer that is written piece by piece
//             └▶ websocket ─▶ draining
//
// A connection has one request at a time; what a client pipelines waits in the connection's buffer. Idle connections
// hold no buffers. What all of them hold of requests that are not yet authenticated has one bound: over it, those that
// hold most for longest are answered 503 and closed. Waiting instead would let a few clients that never finish keep
// everybody else out; with 503 every SDK tries again.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/result.h"
#include "wire/http.h"
#include "wire/message_parser.h"

namespace berth::wire {

struct ServerOptions {
  MessageLimits message = {};
  // At most half of what the process may have open, whatever is said here. Beyond it the client that has been idle the
  // longest makes room; 503 where none is idle.
  size_t connections_max = limits::kHttpConnectionsMax;
  size_t unauthenticated_bytes_max = limits::kHttpUnauthenticatedBytesMax;
  int64_t idle_max_ms = limits::kHttpIdleMaxMs;
  int64_t receive_max_ms = limits::kHttpReceiveMaxMs;
  int64_t send_max_ms = limits::kHttpSendMaxMs;
  int64_t websocket_ping_ms = 30'000;  // a WebSocket that is silent for so long is asked; silent again, given up
  int64_t stop_grace_ms = 3000;        // what stop() gives requests that are being handled
};

class Server {
 public:
  // The clock is borrowed; only its monotonic side is asked.
  static Result<std::unique_ptr<Server>> create(const Clock& clock, ServerOptions options = {});
  virtual ~Server() = default;

  // Handlers are borrowed, and outlive the server. Port 0: any; the port is returned. `address` is an IPv4 or IPv6 literal.
  virtual Result<uint16_t> listen_tcp(const std::string& address, uint16_t port, HttpHandler& handler) = 0;
  // Mode 0600. A socket that nobody listens on any more is replaced; one that answers is an error.
  virtual Result<void> listen_unix(const std::string& path, HttpHandler& handler) = 0;

  // A bound stream socket that somebody else made, in a network namespace of its own perhaps; it may listen already. Any
  // thread, also while the server runs. The number is for stop_listening().
  virtual Result<uint64_t> listen_on(Fd socket, HttpHandler& handler) = 0;
  // Any thread; takes effect in the next round. Connections that it brought go on.
  virtual void stop_listening(uint64_t listener) = 0;

  virtual void run() = 0;   // until stop()
  virtual void stop() = 0;  // any thread: no new connections; requests being handled get stop_grace_ms
  virtual void wake() = 0;  // any thread: look at the clock again (tests move theirs by hand)

  virtual size_t connections() const = 0;            // any thread; for tests and health
  virtual size_t unauthenticated_bytes() const = 0;  // any thread; for tests and health
};

}  // namespace berth::wire
