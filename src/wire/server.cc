#include "wire/server.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <vector>

#include "base/assert.h"
#include "base/log.h"
#include "wire/bind.h"
#include "wire/mailbox.h"

namespace berth::wire {

namespace {

constexpr size_t kReadBytes = 64 * 1024;
constexpr size_t kKeptBufferBytes = 256 * 1024;  // an answer's memory beyond this is given back
constexpr size_t kSparePartsMax = 64;
constexpr int kIdleLooksMax = 16;  // a request may have come in since; some of the oldest are idle in truth
constexpr uint64_t kEventFd = UINT64_MAX;
constexpr uint64_t kListenerBit = uint64_t{1} << 63;

enum class Phase : uint8_t { idle, receiving, handling, sending, draining };
enum class TimerQueue : uint8_t { none, idle, receive, send };
constexpr size_t kTimerQueues = 4;

// What only a connection with a message under way needs.
struct Parts {
  explicit Parts(const MessageLimits& message_limits) : parser(message_limits) {}
  MessageParser parser;
};

struct Connection {
  Fd fd;
  uint32_t generation = 0;
  uint32_t slot = 0;
  HttpHandler* handler = nullptr;
  Phase phase = Phase::idle;
  bool keep_alive = false;
  bool head_only = false;  // HEAD: an answer's body would be read as the next answer
  uint32_t events = 0;     // armed in epoll
  std::unique_ptr<Parts> parts;
  std::string in;     // the message so far, and what came after it
  size_t in_fed = 0;  // of it, seen by the parser
  std::string out;    // what the socket would not take
  size_t out_sent = 0;
  // A queue for each length of time, oldest first.
  TimerQueue queue = TimerQueue::none;
  int64_t deadline_ms = 0;
  Connection* previous = nullptr;
  Connection* following = nullptr;

  uint64_t id() const { return uint64_t{generation} << 32 | slot; }
};

// What the process may have open, of which the rest of the daemon needs its share.
size_t descriptors_max() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return SIZE_MAX;
  return limit.rlim_cur;
}

struct Listener {
  Fd fd;
  HttpHandler* handler;
  bool tcp;
};

class EpollServer final : public Server {
 public:
  EpollServer(const Clock& clock, ServerOptions options, Fd epoll, Fd event)
      : clock_(clock),
        options_(options),
        connections_max_(std::min(options.connections_max, descriptors_max() / 2)),
        epoll_(std::move(epoll)),
        event_(std::move(event)),
        mailbox_(std::make_shared<Mailbox>(event_.get())),
        read_buffer_(new char[kReadBytes]) {}
  ~EpollServer() override {
    mailbox_->close();
    for (const std::string& path : unix_paths_) ::unlink(path.c_str());
  }

  Result<uint16_t> listen_tcp(const std::string& address, uint16_t port, HttpHandler& handler) override;
  Result<void> listen_unix(const std::string& path, HttpHandler& handler) override;
  void run() override;
  void stop() override {
    stop_asked_ = true;
    wake();
  }
  void wake() override {
    const uint64_t one = 1;
    (void)!::write(event_.get(), &one, sizeof one);
  }
  size_t connections() const override { return count_; }

 private:
  Result<void> add_listener(Fd fd, HttpHandler& handler, bool tcp);
  void accept(Listener& listener);
  bool close_longest_idle();
  void pause_accepting(int error);
  void resume_accepting();
  void listen_for(uint32_t events);
  void event(uint64_t id, uint32_t events);
  void readable(Connection& connection);
  void consume(Connection& connection, std::string_view fresh);
  void refuse(Connection& connection, int status);
  void take_answers();
  void send(Connection& connection, const HttpResponse& response);
  void writable(Connection& connection);
  void sent(Connection& connection);
  void drain(Connection& connection);
  void arm(Connection& connection, uint32_t events);
  void set_timer(Connection& connection, TimerQueue queue, int64_t after_ms);
  int next_timeout() const;
  void expire();
  void close(Connection& connection);
  void begin_stop();
  Connection* find(uint64_t id);
  std::unique_ptr<Parts> take_parts();

  const Clock& clock_;
  const ServerOptions options_;
  const size_t connections_max_;
  Fd epoll_;
  Fd event_;
  std::shared_ptr<Mailbox> mailbox_;
  std::vector<Listener> listeners_;
  std::vector<std::string> unix_paths_;
  std::vector<std::unique_ptr<Connection>> slots_;
  std::vector<uint32_t> free_slots_;
  std::vector<std::unique_ptr<Parts>> spare_parts_;
  std::vector<std::unique_ptr<Connection>> dead_;  // closed in this round: events for them may still be in hand
  struct {
    Connection* first = nullptr;
    Connection* last = nullptr;
  } timers_[kTimerQueues];
  std::unique_ptr<char[]> read_buffer_;
  std::vector<Mailbox::Item> answers_;
  HttpResponse response_;
  std::string head_;
  std::string date_;
  std::time_t date_second_ = 0;
  std::vector<HttpHandler*> handlers_;
  std::vector<uint64_t> resume_;  // connections with a pipelined message to look at
  int64_t now_ms_ = 0;
  uint32_t generation_ = 0;
  std::atomic<size_t> count_ = 0;
  std::atomic<bool> stop_asked_ = false;
  bool stopping_ = false;
  int64_t stop_deadline_ms_ = 0;
  int64_t accept_again_ms_ = 0;  // 0: accepting
  bool accept_warned_ = false;
};

Result<void> EpollServer::add_listener(Fd fd, HttpHandler& handler, bool tcp) {
  if (::listen(fd.get(), 1024) != 0) return fail(errno, "listen");
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kListenerBit | listeners_.size();
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd.get(), &event) != 0) return fail(errno, "epoll_ctl");
  listeners_.push_back({std::move(fd), &handler, tcp});
  handlers_.push_back(&handler);
  return {};
}

Result<uint16_t> EpollServer::listen_tcp(const std::string& address, uint16_t port, HttpHandler& handler) {
  auto bound = bind_tcp(address, port);
  if (!bound) return tl::unexpected(bound.error());
  if (auto added = add_listener(std::move(bound->fd), handler, true); !added) return tl::unexpected(added.error());
  return bound->port;
}

Result<void> EpollServer::listen_unix(const std::string& path, HttpHandler& handler) {
  auto bound = bind_unix(path);
  if (!bound) return tl::unexpected(bound.error());
  unix_paths_.push_back(path);
  return add_listener(*std::move(bound), handler, false);
}

void EpollServer::run() {
  epoll_event events[256];
  while (true) {
    now_ms_ = clock_.monotonic_ms();
    expire();
    if (stopping_ && (count_ == 0 || now_ms_ >= stop_deadline_ms_)) break;
    const int timeout = !resume_.empty() || !mailbox_->rest() ? 0 : next_timeout();
    const int count = ::epoll_wait(epoll_.get(), events, 256, timeout);
    mailbox_->woke();
    if (count < 0 && errno != EINTR) BERTH_ASSERT(!"epoll_wait");
    now_ms_ = clock_.monotonic_ms();
    if (stop_asked_ && !stopping_) begin_stop();
    for (int i = 0; i < count; ++i) event(events[i].data.u64, events[i].events);
    std::vector<uint64_t> resume;
    resume.swap(resume_);
    for (const uint64_t id : resume) {
      Connection* connection = find(id);
      if (connection && connection->phase == Phase::idle) consume(*connection, {});
    }
    for (HttpHandler* handler : handlers_) handler->batch_end();
    take_answers();
    dead_.clear();
  }
  for (auto& connection : slots_) {
    if (connection) close(*connection);
  }
  dead_.clear();
  resume_.clear();
}

void EpollServer::begin_stop() {
  stopping_ = true;
  stop_deadline_ms_ = now_ms_ + options_.stop_grace_ms;
  for (Listener& listener : listeners_) listener.fd.reset();
  for (auto& connection : slots_) {
    if (connection && (connection->phase == Phase::idle || connection->phase == Phase::receiving ||
                       connection->phase == Phase::draining)) {
      close(*connection);
    } else if (connection) {
      connection->keep_alive = false;
    }
  }
}

Connection* EpollServer::find(uint64_t id) {
  const size_t slot = static_cast<uint32_t>(id);
  if (slot >= slots_.size() || !slots_[slot] || slots_[slot]->generation != id >> 32) return nullptr;
  return slots_[slot].get();
}

void EpollServer::event(uint64_t id, uint32_t events) {
  if (id == kEventFd) {
    uint64_t value;
    (void)!::read(event_.get(), &value, sizeof value);
    return;
  }
  if (id & kListenerBit) {
    if (!stopping_) accept(listeners_[id & ~kListenerBit]);
    return;
  }
  Connection* connection = find(id);
  if (!connection) return;
  if (events & (EPOLLERR | EPOLLHUP)) return close(*connection);
  if (events & EPOLLOUT) {
    writable(*connection);
    if (!connection->fd) return;
  }
  if (events & (EPOLLIN | EPOLLRDHUP)) readable(*connection);
}

void EpollServer::accept(Listener& listener) {
  for (int i = 0; i < 64; ++i) {
    Fd fd(::accept4(listener.fd.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd) {
      const bool short_of_something = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
      if (!short_of_something) return;
      const int error = errno;
      if (close_longest_idle()) continue;
      return pause_accepting(error);
    }
    accept_warned_ = false;
    if (count_ >= connections_max_ && !close_longest_idle()) {
      static constexpr std::string_view kFull =
          "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
      (void)!::send(fd.get(), kFull.data(), kFull.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      continue;
    }
    if (listener.tcp) {
      const int on = 1;
      ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    uint32_t slot;
    if (free_slots_.empty()) {
      slot = static_cast<uint32_t>(slots_.size());
      slots_.emplace_back();
    } else {
      slot = free_slots_.back();
      free_slots_.pop_back();
    }
    auto connection = std::make_unique<Connection>();
    connection->fd = std::move(fd);
    connection->slot = slot;
    connection->generation = ++generation_ & 0x7fffffff;  // the top bit marks listeners
    connection->handler = listener.handler;
    connection->events = EPOLLIN | EPOLLRDHUP;
    epoll_event event{};
    event.events = connection->events;
    event.data.u64 = connection->id();
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, connection->fd.get(), &event) != 0) {
      free_slots_.push_back(slot);
      continue;
    }
    set_timer(*connection, TimerQueue::idle, options_.idle_max_ms);
    slots_[slot] = std::move(connection);
    ++count_;
  }
}

// Makes room for a client that has something to ask: between two requests a server may always close, and clients know
// it. False where all that are open are busy.
bool EpollServer::close_longest_idle() {
  Connection* connection = timers_[static_cast<size_t>(TimerQueue::idle)].first;
  for (int looks = 0; connection && looks < kIdleLooksMax; ++looks, connection = connection->following) {
    char next_request;
    const bool silent = ::recv(connection->fd.get(), &next_request, 1, MSG_PEEK) <= 0;
    if (!silent || !connection->in.empty()) continue;
    close(*connection);
    return true;
  }
  return false;
}

// Listeners are level-triggered: a client that cannot be taken in would keep the loop turning.
void EpollServer::pause_accepting(int error) {
  if (!accept_warned_) log_warning("wire: cannot accept connections: {}", std::strerror(error));
  accept_warned_ = true;
  if (accept_again_ms_ == 0) listen_for(0);
  accept_again_ms_ = now_ms_ + limits::kHttpAcceptPauseMs;
}

void EpollServer::resume_accepting() {
  accept_again_ms_ = 0;
  if (!stopping_) listen_for(EPOLLIN);
}

void EpollServer::listen_for(uint32_t events) {
  for (size_t i = 0; i < listeners_.size(); ++i) {
    epoll_event event{};
    event.events = events;
    event.data.u64 = kListenerBit | i;
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, listeners_[i].fd.get(), &event);
  }
}

void EpollServer::readable(Connection& connection) {
  if (connection.phase == Phase::handling || connection.phase == Phase::sending) {
    // Its next request, or its going away, is looked at after this answer: stop hearing of it until then. A client that
    // has shut down its side may still read what it asked for.
    arm(connection, connection.phase == Phase::sending ? uint32_t{EPOLLOUT} : 0);
    return;
  }
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
      return;
    case MessageParser::State::complete: break;
  }
  connection.phase = Phase::handling;
  connection.keep_alive = parser.keep_alive() && !stopping_;
  set_timer(connection, TimerQueue::none, 0);
  const HttpRequest request = parser.request(buffer.substr(0, used));
  connection.head_only = request.method == "HEAD";
  connection.handler->handle(request, Reply(mailbox_, connection.id()));
  // The views are no longer needed: keep what was pipelined, give the rest back.
  connection.in_fed = 0;
  if (used < buffer.size()) {
    connection.in = std::string(buffer.substr(used));
  } else if (kept) {
    connection.in = std::string();
  }
  parser.next();
  if (spare_parts_.size() < kSparePartsMax) {
    spare_parts_.push_back(std::move(connection.parts));
  } else {
    connection.parts.reset();
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
  response_.status = status;
  response_.content_type = "application/json";
  response_.request_id = {};
  response_.headers.clear();
  response_.body = fmt::format(
      R"({{"__type":"{}","message":"{}"}})",
      status == 413   ? "RequestEntityTooLargeException"
      : status == 431 ? "RequestHeaderFieldsTooLargeException"
                      : "BadRequestException",
      status == 413   ? fmt::format("The request's body is larger than {} bytes.", options_.message.body_bytes_max)
      : status == 431 ? fmt::format("The request's headers are larger than {} bytes or more than {}.",
                                    options_.message.header_bytes_max, options_.message.headers_max)
      : status == 408 ? std::string("The request did not arrive in time.")
      : status == 417 ? std::string("Of what a client may expect only 100-continue is served.")
      : status == 501 ? std::string("The method CONNECT is not served.")
                      : std::string("This is not a well-formed HTTP/1.1 request."));
  connection.phase = Phase::handling;
  send(connection, response_);
}

void EpollServer::take_answers() {
  mailbox_->take(answers_);
  for (Mailbox::Item& item : answers_) {
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
    if (response_.body.capacity() > kKeptBufferBytes) response_.body = std::string();
  }
  answers_.clear();
}

void EpollServer::send(Connection& connection, const HttpResponse& response) {
  if (const std::time_t second = ::time(nullptr); second != date_second_) {
    date_second_ = second;
    std::tm parts{};
    ::gmtime_r(&second, &parts);
    char text[64];
    date_.assign(text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts));
  }
  const std::string_view body = connection.head_only ? std::string_view() : std::string_view(response.body);
  head_.clear();
  append_head(head_, response, date_, connection.keep_alive);

  connection.phase = Phase::sending;
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
  if (connection.phase != Phase::sending) return;
  const ssize_t written = ::send(connection.fd.get(), connection.out.data() + connection.out_sent,
                                 connection.out.size() - connection.out_sent, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (written < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (written < 0) return close(connection);
  connection.out_sent += static_cast<size_t>(written);
  if (connection.out_sent < connection.out.size()) return set_timer(connection, TimerQueue::send, options_.send_max_ms);
  connection.out = std::string();
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
  connection.in = std::string();
  arm(connection, EPOLLIN | EPOLLRDHUP);
  set_timer(connection, TimerQueue::send, options_.send_max_ms);
}

void EpollServer::arm(Connection& connection, uint32_t events) {
  if (connection.events == events) return;
  connection.events = events;
  epoll_event event{};
  event.events = events;
  event.data.u64 = connection.id();
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, connection.fd.get(), &event);
}

// Each queue has one length of time, so appending keeps it in order of deadline.
void EpollServer::set_timer(Connection& connection, TimerQueue queue, int64_t after_ms) {
  if (connection.queue != TimerQueue::none) {
    auto& old = timers_[static_cast<size_t>(connection.queue)];
    (connection.previous ? connection.previous->following : old.first) = connection.following;
    (connection.following ? connection.following->previous : old.last) = connection.previous;
    connection.previous = connection.following = nullptr;
  }
  connection.queue = queue;
  if (queue == TimerQueue::none) return;
  connection.deadline_ms = now_ms_ + after_ms;
  auto& list = timers_[static_cast<size_t>(queue)];
  connection.previous = list.last;
  (list.last ? list.last->following : list.first) = &connection;
  list.last = &connection;
}

int EpollServer::next_timeout() const {
  int64_t at = stopping_ ? stop_deadline_ms_ : accept_again_ms_ != 0 ? accept_again_ms_ : INT64_MAX;
  for (const auto& list : timers_) {
    if (list.first) at = std::min(at, list.first->deadline_ms);
  }
  if (at == INT64_MAX) return -1;
  return static_cast<int>(std::clamp<int64_t>(at - now_ms_, 0, 60'000));
}

void EpollServer::expire() {
  if (accept_again_ms_ != 0 && accept_again_ms_ <= now_ms_) resume_accepting();
  for (auto& list : timers_) {
    while (list.first && list.first->deadline_ms <= now_ms_) {
      Connection& connection = *list.first;
      if (connection.phase == Phase::receiving) {
        refuse(connection, 408);
      } else {
        close(connection);
      }
    }
  }
  dead_.clear();
}

void EpollServer::close(Connection& connection) {
  if (!connection.fd) return;
  set_timer(connection, TimerQueue::none, 0);
  connection.fd.reset();
  free_slots_.push_back(connection.slot);
  dead_.push_back(std::move(slots_[connection.slot]));
  --count_;
  if (accept_again_ms_ != 0) resume_accepting();
}

}  // namespace

Result<std::unique_ptr<Server>> Server::create(const Clock& clock, ServerOptions options) {
  Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return fail(errno, "epoll_create1");
  Fd event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event) return fail(errno, "eventfd");
  epoll_event interest{};
  interest.events = EPOLLIN;
  interest.data.u64 = kEventFd;
  if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, event.get(), &interest) != 0) return fail(errno, "epoll_ctl");
  return std::make_unique<EpollServer>(clock, options, std::move(epoll), std::move(event));
}

}  // namespace berth::wire
