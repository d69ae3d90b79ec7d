// What a connection reads and sends.
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>

#include "base/assert.h"
#include "wire/epoll_server.h"

namespace berth::wire {
namespace {

constexpr size_t kKeptBufferBytes = 256 * 1024;  // an answer's memory beyond this is given back
constexpr size_t kSparePartsMax = 64;

}  // namespace

void EpollServer::readable(Connection& connection) {
  if (connection.phase == Phase::handling || connection.phase == Phase::sending) {
    // Its next request, or its going away, is looked at after this answer: stop hearing of it until then. A client that
    // has shut down its side may still read what it asked for.
    arm(connection, connection.phase == Phase::sending ? uint32_t{EPOLLOUT} : 0);
    return;
  }
  if (connection.phase == Phase::streaming) return close(connection);  // it has shut down its side
  if (connection.phase == Phase::websocket) return websocket_readable(connection);
  // What is pipelined comes first: the end of the stream, behind it, must not take its answer.
  if (connection.phase == Phase::idle && !connection.in.empty()) return;
  const ssize_t size = ::recv(connection.fd.get(), read_buffer_.get(), kReadBytes, 0);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size <= 0) return close(connection);
  if (connection.phase == Phase::draining) return;  // thrown away
  consume(connection, {read_buffer_.get(), static_cast<size_t>(size)});
}

// Feeds what came before and `fresh` to the parser, until a message is complete.
void EpollServer::consume(Connection& connection, std::string_view fresh) {
  if (!connection.in.empty()) {
    connection.in.append(fresh);
    fresh = {};
  }
  const bool kept = !connection.in.empty();
  const std::string_view buffer = kept ? std::string_view(connection.in) : fresh;
  if (buffer.empty()) return;
  if (!connection.parts) connection.parts = take_parts();
  if (connection.phase == Phase::idle) {
    connection.phase = Phase::receiving;
    connection.began_ms = now_ms_;
    set_timer(connection, TimerQueue::receive, options_.receive_max_ms);
  }
  MessageParser& parser = connection.parts->parser;
  const size_t used = parser.feed(buffer, connection.in_fed);
  switch (parser.state()) {
    case MessageParser::State::broken: refuse(connection, parser.status()); return;
    case MessageParser::State::receiving:
      connection.in_fed = used;
      if (!kept) connection.in.assign(buffer);
      if (parser.takes_continue()) {
        static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
        (void)!::send(connection.fd.get(), kContinue.data(), kContinue.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      }
      count_bytes(connection);
      return keep_bytes_bounded();
    case MessageParser::State::complete: break;
  }
  connection.phase = Phase::handling;
  count_bytes(connection);
  connection.keep_alive = parser.keep_alive() && !stopping_;
  connection.http_1_0 = parser.is_http_1_0();
  set_timer(connection, TimerQueue::none, 0);
  HttpRequest request = parser.request(buffer.substr(0, used));
  request.peer = connection.peer;
  request.peer_port = connection.peer_port;
  connection.head_only = request.method == "HEAD";
  connection.handler->handle(request, Reply(mailbox_, connection.id()));
  // The views are no longer needed: keep what was pipelined, give the rest back.
  connection.in_fed = 0;
  if (used < buffer.size()) {
    std::string(buffer.substr(used)).swap(connection.in);
  } else if (kept) {
    release(connection.in);
  }
  parser.next();
  if (spare_parts_.size() < kSparePartsMax) {
    spare_parts_.push_back(std::move(connection.parts));
  } else {
    connection.parts.reset();
  }
}

// What a connection holds of a request that is not complete; nothing while one of its requests, which was complete, is
// being handled.
void EpollServer::count_bytes(Connection& connection) {
  size_t held = 0;
  const bool unauthenticated = connection.phase != Phase::handling && connection.phase != Phase::streaming &&
                               connection.phase != Phase::websocket;
  if (connection.fd && unauthenticated) {
    held = connection.in.empty() ? 0 : connection.in.capacity();
    if (connection.parts) held += connection.parts->parser.bytes_held();
  }
  unauthenticated_bytes_ += held - connection.counted;
  connection.counted = held;
}

// A client that stalls gathers age, one that is quick does not: so stallers make room for the others, whatever the size.
void EpollServer::keep_bytes_bounded() {
  while (unauthenticated_bytes_ > options_.unauthenticated_bytes_max) {
    Connection* most = nullptr;
    double most_weight = 0;
    for (const auto& connection : slots_) {
      if (!connection || connection->counted == 0) continue;
      const double weight =
          static_cast<double>(connection->counted) * static_cast<double>(now_ms_ - connection->began_ms + 1);
      if (weight > most_weight) {
        most = connection.get();
        most_weight = weight;
      }
    }
    BERTH_ASSERT(most);
    if (most->phase != Phase::receiving) {
      close(*most);
      continue;
    }
    refuse(*most, 503);
  }
}

std::unique_ptr<Parts> EpollServer::take_parts() {
  if (spare_parts_.empty()) return std::make_unique<Parts>(options_.message);
  auto parts = std::move(spare_parts_.back());
  spare_parts_.pop_back();
  return parts;
}

// An error below the API: no operation is known, so no protocol to say it in.
void EpollServer::refuse(Connection& connection, int status) {
  connection.keep_alive = false;
  release(connection.in);
  connection.parts.reset();
  response_.status = status;
  response_.content_type = "application/json";
  response_.request_id = {};
  response_.headers.clear();
  response_.body = fmt::format(
      R"({{"__type":"{}","message":"{}"}})",
      status == 413   ? "RequestEntityTooLargeException"
      : status == 431 ? "RequestHeaderFieldsTooLargeException"
      : status == 503 ? "ServiceUnavailable"
                      : "BadRequestException",
      status == 413   ? fmt::format("The request's body is larger than {} bytes.", options_.message.body_bytes_max)
      : status == 431 ? fmt::format("The request's headers are larger than {} bytes or more than {}.",
                                    options_.message.header_bytes_max, options_.message.headers_max)
      : status == 408 ? std::string("The request did not arrive in time.")
      : status == 417 ? std::string("Of what a client may expect only 100-continue is served.")
      : status == 503 ? std::string("Too much of other requests is still arriving; try again.")
      : status == 501 ? std::string("The method CONNECT is not served.")
                      : std::string("This is not a well-formed HTTP/1.1 request."));
  connection.phase = Phase::handling;
  send(connection, response_);
}

void EpollServer::take_answers() {
  mailbox_->take(answers_);
  for (Mailbox::Item& item : answers_) {
    if (item.channel) {
      channel_changed(item.connection, item.channel);
      continue;
    }
    Connection* connection = find(item.connection);
    if (!connection || connection->phase != Phase::handling) continue;
    if (!item.answer) {
      close(*connection);
      continue;
    }
    response_.status = 200;
    response_.content_type = response_.request_id = {};
    response_.headers.clear();
    response_.body.clear();
    item.answer->render(response_);
    send(*connection, response_);
    if (response_.body.capacity() > kKeptBufferBytes) release(response_.body);
  }
  answers_.clear();
}

const std::string& EpollServer::date() {
  if (const std::time_t second = ::time(nullptr); second != date_second_) {
    date_second_ = second;
    std::tm parts{};
    ::gmtime_r(&second, &parts);
    char text[64];
    date_.assign(text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts));
  }
  return date_;
}

void EpollServer::send(Connection& connection, const HttpResponse& response) {
  const std::string_view body = connection.head_only ? std::string_view() : std::string_view(response.body);
  head_.clear();
  append_head(head_, response, date(), connection.keep_alive);

  connection.phase = Phase::sending;
  connection.began_ms = now_ms_;
  count_bytes(connection);
  iovec parts[2] = {{head_.data(), head_.size()}, {const_cast<char*>(body.data()), body.size()}};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = body.empty() ? 1 : 2;
  const ssize_t written = ::sendmsg(connection.fd.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (written < 0 && errno != EAGAIN && errno != EINTR) return close(connection);
  const size_t done = written < 0 ? 0 : static_cast<size_t>(written);
  if (done == head_.size() + body.size()) return sent(connection);
  connection.out.clear();
  connection.out_sent = 0;
  if (done < head_.size()) connection.out.append(head_, done, std::string::npos);
  connection.out.append(body.substr(done > head_.size() ? done - head_.size() : 0));
  arm(connection, EPOLLOUT);
  set_timer(connection, TimerQueue::send, options_.send_max_ms);
}

void EpollServer::writable(Connection& connection) {
  if (connection.streaming) return flush(connection);
  if (connection.phase != Phase::sending) return;
  const ssize_t written = ::send(connection.fd.get(), connection.out.data() + connection.out_sent,
                                 connection.out.size() - connection.out_sent, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (written < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (written < 0) return close(connection);
  connection.out_sent += static_cast<size_t>(written);
  if (connection.out_sent < connection.out.size()) return set_timer(connection, TimerQueue::send, options_.send_max_ms);
  release(connection.out);
  connection.out_sent = 0;
  sent(connection);
}

void EpollServer::sent(Connection& connection) {
  if (!connection.keep_alive) return drain(connection);
  connection.phase = Phase::idle;
  arm(connection, EPOLLIN | EPOLLRDHUP);
  set_timer(connection, TimerQueue::idle, options_.idle_max_ms);
  if (!connection.in.empty()) resume_.push_back(connection.id());
}

// Closing at once, with bytes of the client's unread, would reset the connection and could take the answer with it.
void EpollServer::drain(Connection& connection) {
  ::shutdown(connection.fd.get(), SHUT_WR);
  connection.phase = Phase::draining;
  release(connection.in);
  count_bytes(connection);
  arm(connection, EPOLLIN | EPOLLRDHUP);
  set_timer(connection, TimerQueue::send, options_.send_max_ms);
}

}  // namespace berth::wire
