#include "wire/server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/assert.h"
#include "base/log.h"
#include "wire/bind.h"
#include "wire/epoll_server.h"

namespace berth::wire {
namespace {

constexpr int kIdleLooksMax = 16;  // a request may have come in since; some of the oldest are idle in truth
constexpr uint64_t kEventFd = UINT64_MAX;
constexpr uint64_t kListenerBit = uint64_t{1} << 63;

// What the process may have open, of which the rest of the daemon needs its share.
size_t descriptors_max() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return SIZE_MAX;
  return limit.rlim_cur;
}

void name_peer(Connection& connection, const sockaddr_storage& peer) {
  char text[INET6_ADDRSTRLEN] = {};
  if (peer.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(peer);
    ::inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
    connection.peer_port = ntohs(v4.sin_port);
  } else if (peer.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(peer);
    ::inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    connection.peer_port = ntohs(v6.sin6_port);
  }
  connection.peer = text;
}

}  // namespace

EpollServer::EpollServer(const Clock& clock, ServerOptions options, Fd epoll, Fd event)
    : clock_(clock),
      options_(options),
      connections_max_(std::min(options.connections_max, descriptors_max() / 2)),
      epoll_(std::move(epoll)),
      event_(std::move(event)),
      mailbox_(std::make_shared<Mailbox>(event_.get())),
      read_buffer_(new char[kReadBytes]) {}

EpollServer::~EpollServer() {
  mailbox_->close();
  for (const std::string& path : unix_paths_) ::unlink(path.c_str());
}

void EpollServer::wake() {
  const uint64_t one = 1;
  (void)!::write(event_.get(), &one, sizeof one);
}

// Any thread: the I/O thread takes it in at its next round. Until then clients wait in the socket's queue.
Result<uint64_t> EpollServer::add_listener(Fd fd, HttpHandler& handler, bool tcp) {
  if (::listen(fd.get(), 1024) != 0) return fail(errno, "listen");
  uint64_t number;
  {
    const std::lock_guard lock(changes_.mutex);
    number = changes_.count++;
    changes_.added.push_back({std::move(fd), &handler, tcp});
  }
  listeners_changed_ = true;
  wake();
  return number;
}

void EpollServer::change_listeners() {
  std::vector<Listener> added;
  std::vector<uint64_t> ended;
  {
    const std::lock_guard lock(changes_.mutex);
    added.swap(changes_.added);
    ended.swap(changes_.ended);
  }
  for (Listener& listener : added) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = kListenerBit | listeners_.size();
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, listener.fd.get(), &event) != 0)
      log_warning("wire: cannot watch a listening socket: {}", std::strerror(errno));
    if (std::find(handlers_.begin(), handlers_.end(), listener.handler) == handlers_.end())
      handlers_.push_back(listener.handler);
    listeners_.push_back(std::move(listener));
  }
  for (const uint64_t number : ended) {
    if (number < listeners_.size()) listeners_[number].fd.reset();
  }
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
  if (auto added = add_listener(*std::move(bound), handler, false); !added) return tl::unexpected(added.error());
  unix_paths_.push_back(path);
  return {};
}

Result<uint64_t> EpollServer::listen_on(Fd socket, HttpHandler& handler) {
  int family = 0;
  socklen_t size = sizeof family;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_DOMAIN, &family, &size) != 0) return fail(errno, "listen");
  // accept() on it must not wait for a client that went away meanwhile.
  if (::fcntl(socket.get(), F_SETFL, ::fcntl(socket.get(), F_GETFL) | O_NONBLOCK) != 0) return fail(errno, "listen");
  return add_listener(std::move(socket), handler, family != AF_UNIX);
}

void EpollServer::stop_listening(uint64_t listener) {
  {
    const std::lock_guard lock(changes_.mutex);
    changes_.ended.push_back(listener);
  }
  listeners_changed_ = true;
  wake();
}

void EpollServer::run() {
  epoll_event events[256];
  while (true) {
    now_ms_ = clock_.monotonic_ms();
    // After the last round has read the event descriptor: who sets these writes to it afterwards, so none is missed.
    if (stop_asked_ && !stopping_) begin_stop();
    if (listeners_changed_.exchange(false)) change_listeners();
    expire();
    if (stopping_ && (count_ == 0 || now_ms_ >= stop_deadline_ms_)) break;
    const int timeout = !resume_.empty() || !mailbox_->rest() ? 0 : next_timeout();
    const int count = ::epoll_wait(epoll_.get(), events, 256, timeout);
    mailbox_->woke();
    if (count < 0 && errno != EINTR) BERTH_ASSERT(!"epoll_wait");
    now_ms_ = clock_.monotonic_ms();
    for (int i = 0; i < count; ++i) event(events[i].data.u64, events[i].events);
    std::vector<uint64_t> resume;
    resume.swap(resume_);
    for (const uint64_t id : resume) {
      Connection* connection = find(id);
      if (connection && connection->phase == Phase::idle) consume(*connection, {});
    }
    for (HttpHandler* handler : handlers_) handler->batch_end();
    take_answers();
    keep_bytes_bounded();
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
                       connection->phase == Phase::draining || connection->streaming)) {
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
    Listener& listener = listeners_[id & ~kListenerBit];
    if (!stopping_ && listener.fd) accept(listener);
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
    sockaddr_storage peer{};
    socklen_t peer_size = sizeof peer;
    Fd fd(::accept4(listener.fd.get(), reinterpret_cast<sockaddr*>(&peer), &peer_size, SOCK_NONBLOCK | SOCK_CLOEXEC));
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
    if (listener.tcp) name_peer(*connection, peer);
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
    if (listeners_[i].fd) ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, listeners_[i].fd.get(), &event);
  }
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
      } else if (connection.queue == TimerQueue::ping) {
        ping(connection);
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
  count_bytes(connection);
  if (connection.streaming) connection.streaming->channel->lose();
  free_slots_.push_back(connection.slot);
  dead_.push_back(std::move(slots_[connection.slot]));
  --count_;
  if (accept_again_ms_ != 0) resume_accepting();
}

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
