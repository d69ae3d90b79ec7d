// Connections whose answer is a stream, and WebSockets.
//
//   handling ─ begin_stream ─▶ streaming ─ flush … ─ end ─▶ idle or draining
//                         └──▶ websocket ─ flush, take_frames … ─ close ─▶ draining
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>

#include "base/assert.h"
#include "wire/epoll_server.h"

namespace berth::wire {

using websocket::FrameReader;
using websocket::Opcode;

// The producer has begun, has written, has ended or hears again.
void EpollServer::channel_changed(uint64_t id, const std::shared_ptr<Channel>& channel) {
  Connection* connection = find(id);
  if (!connection) return channel->lose();
  if (!channel->begun && connection->phase == Phase::handling) begin_stream(*connection, channel);
  if (!connection->streaming || connection->streaming->channel != channel) return;  // of an answer that is over
  if (connection->phase == Phase::websocket && !channel->paused() && !take_frames(*connection)) return;
  flush(*connection);
}

void EpollServer::begin_stream(Connection& connection, const std::shared_ptr<Channel>& channel) {
  channel->begun = true;
  connection.streaming = std::make_unique<Streaming>(channel);
  // A client whose machine is gone says nothing; where nothing is sent to it, only this finds out.
  const int on = 1;
  ::setsockopt(connection.fd.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  const bool is_websocket = channel->kind == Channel::Kind::websocket;
  connection.phase = is_websocket ? Phase::websocket : Phase::streaming;
  connection.streaming->chunked = !is_websocket && !connection.http_1_0;
  if (connection.http_1_0) connection.keep_alive = false;
  connection.streaming->without_body = connection.head_only;
  append_stream_head(connection.out, channel->head, date(), connection.keep_alive,
                     is_websocket                    ? StreamHead::upgrade
                     : connection.streaming->chunked ? StreamHead::chunked
                                                     : StreamHead::until_closed);
  if (is_websocket) set_timer(connection, TimerQueue::ping, options_.websocket_ping_ms);
}

// Sends what waits, as far as the client takes it.
void EpollServer::flush(Connection& connection) {
  Streaming& streaming = *connection.streaming;
  while (true) {
    if (connection.out_sent < connection.out.size()) {
      const ssize_t written = ::send(connection.fd.get(), connection.out.data() + connection.out_sent,
                                     connection.out.size() - connection.out_sent, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (written < 0 && errno != EAGAIN && errno != EINTR) return close(connection);
      if (written > 0) connection.out_sent += static_cast<size_t>(written);
      if (connection.out_sent < connection.out.size()) {
        if (written > 0 || connection.queue != TimerQueue::send)
          set_timer(connection, TimerQueue::send, options_.send_max_ms);
        return listen_to_stream(connection);
      }
    }
    connection.out.clear();
    connection.out_sent = 0;
    if (streaming.done) return end_stream(connection);
    const Channel::Taken taken = streaming.channel->take(streaming.piece);
    if (taken.producing == Channel::Producing::given_up) return close(connection);
    streaming.done = taken.producing == Channel::Producing::ended;
    append_piece(connection, streaming.piece);
    if (taken.was_full) streaming.channel->events()->writable();
    if (connection.out.empty() && !streaming.done) break;
  }
  if (connection.out.capacity() > limits::kStreamBufferBytesMax) release(connection.out);
  if (connection.phase == Phase::websocket)
    set_timer(connection, TimerQueue::ping, options_.websocket_ping_ms);
  else
    set_timer(connection, TimerQueue::none, 0);
  listen_to_stream(connection);
}

void EpollServer::append_piece(Connection& connection, std::string_view piece) {
  const Streaming& streaming = *connection.streaming;
  if (streaming.without_body) return;
  if (!streaming.chunked) {
    connection.out += piece;
    return;
  }
  if (!piece.empty()) fmt::format_to(std::back_inserter(connection.out), "{:x}\r\n{}\r\n", piece.size(), piece);
  if (streaming.done) connection.out += "0\r\n\r\n";
}

void EpollServer::end_stream(Connection& connection) {
  const bool is_websocket = connection.phase == Phase::websocket;
  connection.streaming->channel->lose();
  connection.streaming.reset();
  release(connection.out);
  if (is_websocket) return drain(connection);
  sent(connection);
}

// What epoll is to tell: that there is room, that a frame has come, that the client has gone. What the client of a stream
// sends after its request stays with the kernel.
void EpollServer::listen_to_stream(Connection& connection) {
  uint32_t events = connection.out_sent < connection.out.size() ? uint32_t{EPOLLOUT} : 0;
  if (connection.phase == Phase::streaming)
    events |= EPOLLRDHUP;
  else if (!connection.streaming->channel->paused() && connection.out.size() <= limits::kStreamBufferBytesMax)
    events |= EPOLLIN;
  arm(connection, events);
}

void EpollServer::websocket_readable(Connection& connection) {
  const ssize_t size = ::recv(connection.fd.get(), read_buffer_.get(), kReadBytes, 0);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size <= 0) return close(connection);
  connection.streaming->pinged = false;
  connection.in.append(read_buffer_.get(), static_cast<size_t>(size));
  if (take_frames(connection)) flush(connection);
}

// False where the connection is closed.
bool EpollServer::take_frames(Connection& connection) {
  Streaming& streaming = *connection.streaming;
  size_t at = 0;
  while (at < connection.in.size() && !streaming.done && !streaming.channel->paused()) {
    size_t used = 0;
    FrameReader& frames = streaming.frames;
    const FrameReader::Step step = frames.next(std::string_view(connection.in).substr(at), used);
    at += used;
    switch (step) {
      case FrameReader::Step::more:
      case FrameReader::Step::pong: break;
      case FrameReader::Step::ping: append_frame(connection.out, Opcode::pong, frames.payload()); break;
      case FrameReader::Step::message:
        static_cast<WebSocketEvents&>(*streaming.channel->events())
            .message(frames.is_text(), std::move(frames.payload()));
        break;
      case FrameReader::Step::close:
      case FrameReader::Step::broken:
        websocket::append_close(connection.out, frames.close_code(), "");
        streaming.done = true;
    }
    // A client that pings and does not read the answers.
    if (connection.out.size() > 2 * limits::kStreamBufferBytesMax) {
      close(connection);
      return false;
    }
  }
  if (at == connection.in.size())
    release(connection.in);
  else
    connection.in.erase(0, at);
  return true;
}

// Silent for long: alive where it answers before the next time.
void EpollServer::ping(Connection& connection) {
  if (std::exchange(connection.streaming->pinged, true)) return close(connection);
  append_frame(connection.out, Opcode::ping, "");
  flush(connection);
}

}  // namespace berth::wire
