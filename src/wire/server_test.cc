#include "wire/server.h"

#include <poll.h>
#include <sys/stat.h>

#include "wire/admin.h"
#include "wire/bind.h"
#include "wire/server_world.h"

namespace berth::wire {
namespace {

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

TEST_F(ServerTest, SocketsMayBeHandedInWhileItRuns) {
  start();
  auto bound = bind_tcp("127.0.0.1", 0);
  ASSERT_TRUE(bound);
  const uint16_t port = bound->port;
  Echo other;
  const auto number = server_->listen_on(std::move(bound->fd), other);
  ASSERT_TRUE(number);
  Client client(port);
  client.write(get("/peer"));
  EXPECT_THAT(client.read(), EndsWith("127.0.0.1:" + std::to_string(client.port())));
  EXPECT_EQ(other.requests, 1);
  EXPECT_EQ(echo_.requests, 0);

  server_->stop_listening(*number);
  for (int i = 0; i < 2; ++i) {  // a connection goes on; the second request comes in a later round
    client.write(get("/still"));
    EXPECT_THAT(client.read(), EndsWith("GET /still? "));
  }
  EXPECT_FALSE(Client(port).connected);
  TearDown();  // the server ends before the handler that it borrows
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

TEST_F(ServerTest, LargeAnswersToSlowReaders) {
  start();
  Client client(port_, 4096);
  client.write(get("/big/5000000") + get("/next"));
  const std::string answer = client.read();
  EXPECT_EQ(answer.size() - answer.find("\r\n\r\n") - 4, 5'000'000u);
  EXPECT_THAT(client.read(), EndsWith("GET /next? "));
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
