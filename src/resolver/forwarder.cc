#include "resolver/forwarder.h"

#include <arpa/inet.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <optional>

#include "base/files.h"
#include "base/limits.h"
#include "resolver/wire/message.h"

namespace berth::resolver {
namespace {

constexpr size_t kResolvConfBytesMax = 1 << 20;
constexpr size_t kServersMax = 3;  // as resolvers in containers read (MAXNS of resolv.h)
constexpr int64_t kLookIntervalMs = 1000;
constexpr size_t kReadBytes = 4096;

}  // namespace

class Forwarder::Exchange final : public Source {
 public:
  Exchange(Forwarder& owner, std::string question, std::string asked, bool tcp, Done done)
      : owner_(owner), question_(std::move(question)), asked_(std::move(asked)), tcp_(tcp), done_(std::move(done)) {}

  void ready(uint32_t events) override {
    const auto self = owner_.running_.at(this);
    const bool usable = tcp_ ? ready_tcp(events) : ready_udp();
    if (!usable) owner_.next_try(self);
  }

  // A socket to the server with the question on its way; false where the server cannot be reached at all.
  bool begin(const Address& server, uint16_t id) {
    id_ = id;
    question_[0] = static_cast<char>(id >> 8);
    question_[1] = static_cast<char>(id);
    in_.clear();
    sent_ = false;
    const int kind = tcp_ ? SOCK_STREAM : SOCK_DGRAM;
    fd_.reset(socket(server.any.sa_family, kind | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const socklen_t size = server.any.sa_family == AF_INET ? sizeof server.four : sizeof server.six;
    if (!fd_ || (connect(fd_.get(), &server.any, size) != 0 && errno != EINPROGRESS)) return false;
    if (!tcp_ && send(fd_.get(), question_.data(), question_.size(), MSG_NOSIGNAL) < 0) return false;
    owner_.reactor_.add(fd_.get(), tcp_ ? EPOLLOUT : EPOLLIN, this);
    return true;
  }

  void leave(std::shared_ptr<Source> self) {
    if (timer_) owner_.reactor_.cancel(*timer_);
    timer_.reset();
    if (fd_) owner_.reactor_.remove(fd_.get(), std::move(self));
    fd_.reset();
  }

  size_t tries = 0;
  std::optional<Reactor::Timer> timer_;
  const Done& done() const { return done_; }

 private:
  bool ready_udp() {
    std::array<char, kUdpBytesMax> buffer;
    const ssize_t size = recv(fd_.get(), buffer.data(), buffer.size(), 0);
    if (size < 0) return errno == EAGAIN || errno == EINTR;  // refused: the server is not there
    const std::string_view bytes(buffer.data(), static_cast<size_t>(size));
    if (answers_question(bytes, id_, asked_)) owner_.finish(owner_.running_.at(this), bytes);
    return true;
  }

  bool ready_tcp(uint32_t events) {
    if ((events & EPOLLERR) != 0) return false;
    if (!sent_) {
      const char length[2] = {static_cast<char>(question_.size() >> 8), static_cast<char>(question_.size())};
      const std::string bytes = std::string(length, 2) + question_;
      // A fresh connection takes some hundred bytes whole.
      if (send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(bytes.size())) return false;
      sent_ = true;
      owner_.reactor_.change(fd_.get(), EPOLLIN, this);
      return true;
    }
    std::array<char, kReadBytes> buffer;
    const ssize_t size = recv(fd_.get(), buffer.data(), buffer.size(), 0);
    if (size <= 0) return size < 0 && (errno == EAGAIN || errno == EINTR);
    in_.append(buffer.data(), static_cast<size_t>(size));
    if (in_.size() < 2) return true;
    const size_t whole = static_cast<unsigned char>(in_[0]) << 8 | static_cast<unsigned char>(in_[1]);
    if (in_.size() < 2 + whole) return true;
    const std::string answer = in_.substr(2, whole);
    if (!answers_question(answer, id_, asked_)) return false;
    owner_.finish(owner_.running_.at(this), answer);
    return true;
  }

  Forwarder& owner_;
  std::string question_;
  const std::string asked_;
  const bool tcp_;
  const Done done_;
  Fd fd_;
  uint16_t id_ = 0;
  std::string in_;
  bool sent_ = false;
};

Forwarder::Forwarder(Reactor& reactor, Random& random, std::vector<std::string> resolv_confs)
    : reactor_(reactor), random_(random), resolv_confs_(std::move(resolv_confs)) {}
Forwarder::~Forwarder() = default;

void Forwarder::ask(std::string question, std::string asked, bool tcp, Done done) {
  if (running_.size() >= limits::kDnsForwardsMax || question.size() < kHeaderBytes) return done({});
  read_servers();
  auto exchange = std::make_shared<Exchange>(*this, std::move(question), std::move(asked), tcp, std::move(done));
  running_[exchange.get()] = exchange;
  next_try(exchange);
}

void Forwarder::next_try(const std::shared_ptr<Exchange>& exchange) {
  exchange->leave(exchange);
  while (!servers_.empty() && exchange->tries < limits::kDnsForwardTriesMax) {
    const Address& server = servers_[exchange->tries++ % servers_.size()];
    if (!exchange->begin(server, static_cast<uint16_t>(random_.next()))) continue;
    exchange->timer_ = reactor_.after_ms(limits::kDnsForwardTryMaxMs, [this, exchange] {
      exchange->timer_.reset();
      next_try(exchange);
    });
    return;
  }
  finish(exchange, {});
}

void Forwarder::finish(const std::shared_ptr<Exchange>& exchange, std::string_view answer) {
  exchange->leave(exchange);
  running_.erase(exchange.get());
  exchange->done()(answer);
}

// A laptop changes networks without asking: looked at when there is something to ask, once a second at most.
void Forwarder::read_servers() {
  const int64_t now_ms = Reactor::now_ms();
  if (now_ms - looked_ms_ < kLookIntervalMs) return;
  looked_ms_ = now_ms;
  std::vector<std::pair<int64_t, int64_t>> seen;
  for (const std::string& path : resolv_confs_) {
    struct stat status {};
    if (stat(path.c_str(), &status) == 0)
      seen.emplace_back(status.st_mtim.tv_sec, status.st_mtim.tv_nsec ^ static_cast<int64_t>(status.st_ino));
    else
      seen.emplace_back(-1, 0);
  }
  if (seen == seen_) return;
  seen_ = std::move(seen);
  servers_.clear();
  for (size_t file = 0; file < resolv_confs_.size() && servers_.empty(); ++file) {
    const auto text = read_file(resolv_confs_[file], kResolvConfBytesMax);
    if (!text) continue;
    for (size_t at = 0; at < text->size() && servers_.size() < kServersMax;) {
      const size_t end = std::min(text->find('\n', at), text->size());
      char word[64] = {};
      Address server{};
      if (sscanf(text->substr(at, end - at).c_str(), " nameserver %63s", word) == 1) {
        if (inet_pton(AF_INET, word, &server.four.sin_addr) == 1) {
          server.four.sin_family = AF_INET;
          server.four.sin_port = htons(53);
          servers_.push_back(server);
        } else if (inet_pton(AF_INET6, word, &server.six.sin6_addr) == 1) {
          server.six.sin6_family = AF_INET6;
          server.six.sin6_port = htons(53);
          servers_.push_back(server);
        }
      }
      at = end + 1;
    }
  }
}

}  // namespace berth::resolver
