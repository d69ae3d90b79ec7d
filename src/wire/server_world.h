// What the tests of the server share: a handler that echoes, a client on a plain socket, a server on a thread.
#pragma once

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "wire/server.h"

namespace berth::wire {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

class AtomicClock final : public Clock {
 public:
  TimeMs now_ms() const override { return now_; }
  int64_t monotonic_ms() const override { return now_; }
  std::atomic<int64_t> now_ = 1000;
};

// Answers with what it was asked; "/keep" is kept until the test answers, "/drop" dropped, "/big/N" answers N bytes.
class Echo final : public HttpHandler {
 public:
  void handle(const HttpRequest& request, Reply reply) override {
    ++requests;
    if (request.path == "/keep") {
      const std::lock_guard lock(mutex_);
      kept_.push_back(std::move(reply));
      changed_.notify_all();
      return;
    }
    if (request.path == "/drop") return;
    if (request.path == "/peer") {
      reply.send(std::make_unique<TextAnswer>(200, "text/plain",
                                              std::string(request.peer) + ":" + std::to_string(request.peer_port)));
      return;
    }
    if (request.path.starts_with("/big/")) {
      reply.send(std::make_unique<TextAnswer>(200, "text/plain",
                                              std::string(std::stoul(std::string(request.path.substr(5))), 'b')));
      return;
    }
    std::string text = std::string(request.method) + " " + std::string(request.path) + "?" +
                       std::string(request.query) + " " + std::string(request.body);
    reply.send(std::make_unique<TextAnswer>(200, "text/plain", text));
  }
  void batch_end() override { ++batches; }

  Reply take_kept() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !kept_.empty(); });
    Reply reply = std::move(kept_.front());
    kept_.pop_front();
    return reply;
  }

  std::atomic<int> requests = 0, batches = 0;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Reply> kept_;
};

class Client {
 public:
  explicit Client(uint16_t port, int receive_buffer = 0) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (receive_buffer) ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected = ::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  explicit Client(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, path.size());
    connected = ::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  void write(std::string_view text) {
    while (!text.empty()) {
      const ssize_t size = ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL);
      if (size <= 0) return;
      text.remove_prefix(static_cast<size_t>(size));
    }
  }
  uint16_t port() const {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    ::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    return ntohs(address.sin_port);
  }
  void finish() { ::shutdown(fd_.get(), SHUT_WR); }
  // One answer: head and as much body as it says. Empty when the connection ends first.
  std::string read() {
    while (true) {
      const size_t end = buffer_.find("\r\n\r\n");
      if (end != buffer_.npos) {
        const size_t at = buffer_.find("Content-Length: ");
        const size_t length = at < end ? std::stoul(buffer_.substr(at + 16)) : 0;
        if (buffer_.size() >= end + 4 + length) {
          std::string out = buffer_.substr(0, end + 4 + length);
          buffer_.erase(0, out.size());
          return out;
        }
      }
      if (!more()) return "";
    }
  }
  // True when the server closes; bytes that still come are thrown away.
  bool closed() {
    while (more()) {
    }
    return true;
  }
  std::string read_all() {
    while (more()) {
    }
    return buffer_;
  }
  // Exactly so many bytes, or fewer when the connection ends.
  std::string read_bytes(size_t size) {
    while (buffer_.size() < size && more()) {
    }
    std::string out = buffer_.substr(0, size);
    buffer_.erase(0, out.size());
    return out;
  }
  void read_until(std::string_view end) {
    while (buffer_.find(end) == buffer_.npos) {
      if (buffer_.size() > end.size()) buffer_.erase(0, buffer_.size() - end.size());
      if (!more()) return;
    }
  }
  bool connected;

 private:
  bool more() {
    char bytes[16384];
    const ssize_t size = ::recv(fd_.get(), bytes, sizeof bytes, 0);
    if (size <= 0) return false;
    buffer_.append(bytes, static_cast<size_t>(size));
    return true;
  }
  Fd fd_;
  std::string buffer_;
};

inline std::string get(std::string_view path) { return "GET " + std::string(path) + " HTTP/1.1\r\nHost: x\r\n\r\n"; }
inline std::string post(std::string_view body) {
  return "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         std::string(body);
}

class ServerTest : public testing::Test {
 protected:
  void start(ServerOptions options = {}) {
    server_ = *Server::create(clock_, options);
    port_ = *server_->listen_tcp("127.0.0.1", 0, echo_);
    thread_ = std::thread([this] { server_->run(); });
  }
  void TearDown() override {
    if (thread_.joinable()) {
      server_->stop();
      thread_.join();
    }
  }
  void advance_ms(int64_t by) {
    clock_.now_ += by;
    server_->wake();
  }

  AtomicClock clock_;
  Echo echo_;
  std::unique_ptr<Server> server_;
  uint16_t port_ = 0;
  std::thread thread_;
};

}  // namespace berth::wire
