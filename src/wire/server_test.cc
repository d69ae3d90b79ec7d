#include "wire/server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "wire/admin.h"

namespace berth::wire {
namespace {

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

std::string get(std::string_view path) { return "GET " + std::string(path) + " HTTP/1.1\r\nHost: x\r\n\r\n"; }
std::string post(std::string_view body) {
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

TEST_F(ServerTest, KeepsConnections) {
  start();
  Client client(port_);
  for (int i = 0; i < 3; ++i) {
    client.write(post("hello"));
    const std::string answer = client.read();
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_THAT(answer, HasSubstr("Content-Type: text/plain\r\n"));
    EXPECT_THAT(answer, HasSubstr("\r\nDate: "));
    EXPECT_THAT(answer, EndsWith("\r\n\r\nPOST /? hello"));
  }
  client.write("GET /a?b=c HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const std::string last = client.read();
  EXPECT_THAT(last, HasSubstr("Connection: close\r\n"));
  EXPECT_THAT(last, EndsWith("GET /a?b=c "));
  EXPECT_TRUE(client.closed());
}

TEST_F(ServerTest, AnOldClientIsNotKept) {
  start();
  Client client(port_);
  client.write("GET /a HTTP/1.0\r\n\r\n");
  EXPECT_THAT(client.read(), EndsWith("GET /a? "));
  EXPECT_TRUE(client.closed());
}

TEST_F(ServerTest, AnAnswerToHeadHasNoBody) {
  start();
  Client client(port_);
  client.write("HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n" + get("/next"));
  client.finish();
  const std::string all = client.read_all();
  EXPECT_THAT(all, HasSubstr("Content-Length: 9\r\n"));
  EXPECT_THAT(all, testing::Not(HasSubstr("HEAD /a?")));
  EXPECT_THAT(all, EndsWith("GET /next? "));
}

TEST_F(ServerTest, PipelinedRequestsAreAnsweredInOrder) {
  start();
  Client client(port_);
  std::string all;
  for (int i = 0; i < 50; ++i) all += post(std::to_string(i));
  client.write(all);
  for (int i = 0; i < 50; ++i) EXPECT_THAT(client.read(), EndsWith("POST /? " + std::to_string(i)));
}

TEST_F(ServerTest, APipelinedRequestWaitsForTheAnswerBeforeIt) {
  start();
  Client client(port_);
  client.write(get("/keep"));
  Reply reply = echo_.take_kept();
  client.write(get("/second"));
  EXPECT_EQ(echo_.requests, 1);
  reply.send(std::make_unique<TextAnswer>(200, "", "first"));
  EXPECT_THAT(client.read(), EndsWith("first"));
  EXPECT_THAT(client.read(), EndsWith("GET /second? "));
}

TEST_F(ServerTest, OneByteAtATime) {
  start();
  Client client(port_);
  for (const char c : post("slow")) client.write({&c, 1});
  EXPECT_THAT(client.read(), EndsWith("POST /? slow"));
}

TEST_F(ServerTest, ChunkedBodies) {
  start();
  Client client(port_);
  client.write("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
  client.write("6;x=y\r\n world\r\n0\r\nTrailer: x\r\n\r\n" + get("/next"));
  EXPECT_THAT(client.read(), EndsWith("POST /? hello world"));
  EXPECT_THAT(client.read(), EndsWith("GET /next? "));
}

TEST_F(ServerTest, Expects100Continue) {
  start();
  Client client(port_);
  client.write("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(client.read(), "HTTP/1.1 100 Continue\r\n\r\n");
  client.write("hi");
  EXPECT_THAT(client.read(), EndsWith("POST /? hi"));
  client.write("POST / HTTP/1.1\r\nHost: x\r\nExpect: magic\r\nContent-Length: 2\r\n\r\n");
  EXPECT_THAT(client.read(), StartsWith("HTTP/1.1 417 "));
}

TEST_F(ServerTest, BodiesHaveALimit) {
  start({.message = {.body_bytes_max = 1000}});
  {
    Client client(port_);
    client.write(post(std::string(1000, 'x')));
    EXPECT_THAT(client.read(), StartsWith("HTTP/1.1 200 "));
    client.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n");
    const std::string answer = client.read();
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 413 "));
    EXPECT_THAT(answer, HasSubstr("RequestEntityTooLargeException"));
    client.finish();
    EXPECT_TRUE(client.closed());
  }
  Client client(port_);
  client.write("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + std::string(1001, 'x') +
               "\r\n");
  EXPECT_THAT(client.read(), StartsWith("HTTP/1.1 413 "));
}

TEST_F(ServerTest, WhatIsAroundChunksHasALimit) {
  start({.message = {.header_bytes_max = 500, .body_bytes_max = 1000}});
  const std::string head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const std::string& endless : {"1;" + std::string(400, 'e') + "\r\nx\r\n", std::string("1\r\nx\r\n")}) {
    Client client(port_);
    client.write(head);
    for (int i = 0; i < 600; ++i) client.write(endless);
    EXPECT_THAT(client.read(), StartsWith("HTTP/1.1 413 "));
  }
  EXPECT_EQ(echo_.requests, 0);
}

TEST_F(ServerTest, TheDefaultLimitsHold) {
  start();
  Client client(port_);
  client.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(limits::kHttpBodyBytesMax + 1) +
               "\r\n\r\n");
  EXPECT_THAT(client.read(), StartsWith("HTTP/1.1 413 "));
  Client other(port_);
  other.write("POST / HTTP/1.1\r\nX: " + std::string(limits::kHttpHeaderBytesMax, 'x') + "\r\n\r\n");
  EXPECT_THAT(other.read(), StartsWith("HTTP/1.1 431 "));
}

TEST_F(ServerTest, HeadersHaveALimit) {
  start({.message = {.header_bytes_max = 500, .headers_max = 5}});
  {
    Client client(port_);
    client.write("GET / HTTP/1.1\r\nX: " + std::string(600, 'x'));  // without an end
    EXPECT_THAT(client.read(), StartsWith("HTTP/1.1 431 "));
  }
  {
    Client client(port_);
    client.write("GET /" + std::string(600, 'x'));
    EXPECT_THAT(client.read(), StartsWith("HTTP/1.1 431 "));
  }
  Client client(port_);
  client.write("GET / HTTP/1.1\r\na: 1\r\nb: 1\r\nc: 1\r\nd: 1\r\ne: 1\r\nf: 1\r\n\r\n");
  EXPECT_THAT(client.read(), StartsWith("HTTP/1.1 431 "));
}

TEST_F(ServerTest, WhatIsNotHttpIsRefused) {
  start();
  for (const char* text :
       {"\x16\x03\x01\x02\n", "GET\r\n\r\n", "GET / HTTP/9.9x\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "CONNECT x:1 HTTP/1.1\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"}) {
    Client client(port_);
    client.write(text);
    EXPECT_THAT(client.read(), testing::AnyOf(StartsWith("HTTP/1.1 400 "), StartsWith("HTTP/1.1 501 "))) << text;
  }
  EXPECT_EQ(echo_.requests, 0);
}

TEST_F(ServerTest, AnOfferToUpgradeIsLeftUnanswered) {
  start();
  Client client(port_);
  client.write("GET /a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n");
  EXPECT_THAT(client.read(), EndsWith("GET /a? "));
}

TEST_F(ServerTest, SlowRequestsAreGivenUp) {
  start({.receive_max_ms = 5000});
  Client client(port_);
  client.write("POST / HTTP/1.1\r\nHo");
  Client other(port_);  // answered after the first one's bytes were read
  other.write(get("/"));
  other.read();
  advance_ms(4999);
  client.write("st: x\r\n");
  other.write(get("/"));
  other.read();
  advance_ms(1);
  EXPECT_THAT(client.read(), StartsWith("HTTP/1.1 408 "));
}

TEST_F(ServerTest, IdleConnectionsAreClosed) {
  start({.idle_max_ms = 5000});
  Client client(port_);
  client.write(get("/"));
  client.read();
  advance_ms(5000);
  EXPECT_TRUE(client.closed());
  while (server_->connections() > 0) std::this_thread::yield();
}

TEST_F(ServerTest, AHandlerMayTakeItsTime) {
  start({.idle_max_ms = 10, .receive_max_ms = 10, .send_max_ms = 10});
  Client client(port_);
  client.write(get("/keep"));
  Reply reply = echo_.take_kept();
  advance_ms(3'600'000);
  std::thread([reply = std::move(reply)]() mutable {
    reply.send(std::make_unique<TextAnswer>(200, "", "late"));
  }).join();
  EXPECT_THAT(client.read(), EndsWith("late"));
}

TEST_F(ServerTest, ConnectionsHaveALimit) {
  start({.connections_max = 2});
  Client first(port_), second(port_);
  first.write(get("/"));
  second.write(get("/"));
  first.read();
  second.read();
  Client third(port_);
  EXPECT_THAT(third.read(), StartsWith("HTTP/1.1 503 "));
  EXPECT_TRUE(third.closed());
  first.write(get("/still"));
  EXPECT_THAT(first.read(), EndsWith("GET /still? "));
}

TEST_F(ServerTest, ThousandsOfIdleConnections) {
  start();
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 400; ++i) {
    clients.push_back(std::make_unique<Client>(port_));
    ASSERT_TRUE(clients.back()->connected);
  }
  for (auto& client : clients) client->write(get("/x"));
  for (auto& client : clients) EXPECT_THAT(client->read(), EndsWith("GET /x? "));
  EXPECT_EQ(server_->connections(), clients.size());
  EXPECT_LE(echo_.batches, 2 * 400 + 10);
}

TEST_F(ServerTest, LargeAnswersToSlowReaders) {
  start();
  Client client(port_, 4096);
  client.write(get("/big/5000000") + get("/next"));
  const std::string answer = client.read();
  EXPECT_EQ(answer.size() - answer.find("\r\n\r\n") - 4, 5'000'000u);
  EXPECT_THAT(client.read(), EndsWith("GET /next? "));
}

TEST_F(ServerTest, ReadersThatStopAreGivenUp) {
  start({.send_max_ms = 5000});
  Client client(port_, 4096);
  client.write(get("/big/50000000"));
  while (echo_.requests == 0) std::this_thread::yield();
  Client other(port_);
  other.write(get("/"));
  other.read();  // the big answer's first part has been sent
  advance_ms(5000);
  while (server_->connections() > 1) std::this_thread::yield();
}

TEST_F(ServerTest, ADroppedReplyEndsTheConnection) {
  start();
  Client client(port_);
  client.write(get("/drop"));
  EXPECT_EQ(client.read(), "");
}

TEST_F(ServerTest, AClientThatLeavesIsNoHarm) {
  start();
  {
    Client client(port_);
    client.write(get("/keep"));
  }
  Reply reply = echo_.take_kept();
  reply.send(std::make_unique<TextAnswer>(200, "", "nobody"));
  while (server_->connections() > 0) std::this_thread::yield();
}

TEST_F(ServerTest, AHalfClosedClientGetsItsAnswer) {
  start();
  Client client(port_);
  client.write(get("/keep"));
  client.finish();
  Reply reply = echo_.take_kept();
  reply.send(std::make_unique<TextAnswer>(200, "", "bye"));
  EXPECT_THAT(client.read(), EndsWith("bye"));
  EXPECT_TRUE(client.closed());
}

TEST_F(ServerTest, AHalfClosedClientGetsAllThatItPipelined) {
  start();
  Client client(port_);
  client.write(get("/first") + get("/second") + get("/third"));
  client.finish();
  for (const char* path : {"/first", "/second", "/third"})
    EXPECT_THAT(client.read(), EndsWith("GET " + std::string(path) + "? "));
  EXPECT_TRUE(client.closed());
}

TEST_F(ServerTest, StopWaitsForWhatIsBeingHandled) {
  start();
  Client idle(port_), busy(port_);
  idle.write(get("/"));
  idle.read();
  busy.write(get("/keep"));
  Reply reply = echo_.take_kept();
  server_->stop();
  EXPECT_TRUE(idle.closed());
  reply.send(std::make_unique<TextAnswer>(200, "", "done"));
  const std::string answer = busy.read();
  EXPECT_THAT(answer, HasSubstr("Connection: close"));
  EXPECT_THAT(answer, EndsWith("done"));
  busy.finish();
  thread_.join();
  EXPECT_FALSE(Client(port_).connected);
}

TEST_F(ServerTest, StopDoesNotWaitForEver) {
  start({.stop_grace_ms = 1000});
  Client busy(port_);
  busy.write(get("/keep"));
  Reply reply = echo_.take_kept();
  server_->stop();
  while (Client(port_).connected) std::this_thread::yield();
  advance_ms(1000);
  thread_.join();
  server_.reset();
  reply.send(std::make_unique<TextAnswer>(200, "", "too late"));  // to nobody, and no harm
}

TEST_F(ServerTest, APortInUseIsAnError) {
  start();
  auto other = *Server::create(clock_);
  const auto port = other->listen_tcp("127.0.0.1", port_, echo_);
  ASSERT_FALSE(port);
  EXPECT_EQ(port.error().errno_value, EADDRINUSE);
  EXPECT_THAT(port.error().context, HasSubstr("127.0.0.1:" + std::to_string(port_)));
  EXPECT_FALSE(other->listen_tcp("localhost", 0, echo_));
}

class AdminTest : public ServerTest {
 protected:
  void SetUp() override {
    path_ = testing::TempDir() + "berth-wire-" + std::to_string(::getpid()) + ".sock";
    ::unlink(path_.c_str());
  }
  void TearDown() override {
    ServerTest::TearDown();
    server_.reset();
    ::unlink(path_.c_str());
  }
  std::string path_;
  AdminEndpoint admin_;
};

TEST_F(AdminTest, RoutesByMethodAndPath) {
  admin_.on("GET", "/tasks", [](auto call) { call->respond(200, "[]"); });
  admin_.on("POST", "/images/*", [](auto call) { call->respond(200, call->path + call->query + call->body); });
  admin_.on("POST", "/lost", [](auto) {});
  server_ = *Server::create(clock_);
  ASSERT_TRUE(server_->listen_unix(path_, admin_));
  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  thread_ = std::thread([this] { server_->run(); });

  Client client(path_);
  client.write(get("/tasks"));
  EXPECT_THAT(client.read(), EndsWith("\r\n\r\n[]"));
  client.write("POST /images/load?name=x HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi");
  EXPECT_THAT(client.read(), EndsWith("/images/loadname=xhi"));
  client.write(get("/images/load"));
  EXPECT_THAT(client.read(), StartsWith("HTTP/1.1 405 "));
  client.write(get("/nothing"));
  EXPECT_THAT(client.read(), EndsWith(R"({"message":"there is no /nothing"})"));
  client.write("POST /lost HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
  EXPECT_THAT(client.read(), StartsWith("HTTP/1.1 500 "));
}

TEST_F(AdminTest, ReplacesASocketThatNobodyListensOn) {
  {
    const Fd stale(::socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, path_.size());
    ASSERT_EQ(::bind(stale.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  server_ = *Server::create(clock_);
  ASSERT_TRUE(server_->listen_unix(path_, admin_));
  auto second = *Server::create(clock_);
  const auto listening = second->listen_unix(path_, admin_);
  ASSERT_FALSE(listening);
  EXPECT_EQ(listening.error().errno_value, EADDRINUSE);
}

}  // namespace
}  // namespace berth::wire
