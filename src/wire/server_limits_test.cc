// What the server refuses, gives up and does without.
#include <malloc.h>
#include <poll.h>
#include <sys/resource.h>

#include "wire/server_world.h"

namespace berth::wire {
namespace {

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

// In use, not what the allocator keeps for later.
size_t allocated_bytes() {
  const struct mallinfo2 info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

TEST_F(ServerTest, WhatIsNotAuthenticatedHasOneLimitForAllConnections) {
  start({.unauthenticated_bytes_max = 1024 * 1024});
  const size_t before = allocated_bytes();
  const std::string head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n";
  const std::string chunked = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n61a80\r\n";
  const std::string most(400'000, 'x');
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 100; ++i) {
    clients.push_back(std::make_unique<Client>(port_));
    clients.back()->write(i % 2 == 0 ? head : chunked);
    clients.back()->write(most);
  }
  // The bodies were 40 MB; every client but the last few was sent away.
  EXPECT_THAT(clients.front()->read(), StartsWith("HTTP/1.1 503 "));
  Client small(port_);
  small.write(get("/small"));
  EXPECT_THAT(small.read(), EndsWith("GET /small? "));
  EXPECT_LE(server_->unauthenticated_bytes(), 1024u * 1024u);
  EXPECT_LT(allocated_bytes(), before + 16 * 1024 * 1024);
}

TEST_F(ServerTest, WhoStallsMakesRoomForWhoIsQuick) {
  start({.unauthenticated_bytes_max = 600'000});
  Client stalling(port_);
  stalling.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n" + std::string(100'000, 's'));
  while (server_->unauthenticated_bytes() < 100'000) std::this_thread::yield();
  advance_ms(1000);
  Client quick(port_);
  const std::string body(500'000, 'q');  // five times what the other holds
  quick.write(post(body));
  EXPECT_THAT(quick.read(), EndsWith("POST /? " + body));
  EXPECT_THAT(stalling.read(), StartsWith("HTTP/1.1 503 "));
  EXPECT_EQ(server_->unauthenticated_bytes(), 0u);
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
  first.write(get("/keep"));
  Reply first_reply = echo_.take_kept();
  second.write(get("/keep"));
  Reply second_reply = echo_.take_kept();
  Client third(port_);
  EXPECT_THAT(third.read(), StartsWith("HTTP/1.1 503 "));
  EXPECT_TRUE(third.closed());
  first_reply.send(std::make_unique<TextAnswer>(200, "", "first"));
  EXPECT_THAT(first.read(), EndsWith("first"));
}

TEST_F(ServerTest, IdleConnectionsMakeRoom) {
  start({.connections_max = 2});
  Client first(port_), second(port_);
  first.write(get("/"));
  first.read();
  second.write(get("/"));
  second.read();
  Client third(port_);
  third.write(get("/third"));
  EXPECT_THAT(third.read(), EndsWith("GET /third? "));
  EXPECT_TRUE(first.closed());  // idle for longer than the second
  second.write(get("/still"));
  EXPECT_THAT(second.read(), EndsWith("GET /still? "));
}

// The process's limit of open files, until the end of the scope.
class OpenFiles {
 public:
  explicit OpenFiles(rlim_t max) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit lowered{max, before_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &lowered);
  }
  ~OpenFiles() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_;
};

TEST_F(ServerTest, HalfOfTheOpenFilesAreLeftToOthers) {
  {
    const OpenFiles few(64);
    start();
  }
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 40; ++i) {
    clients.push_back(std::make_unique<Client>(port_));
    clients.back()->write(get("/" + std::to_string(i)));
    EXPECT_THAT(clients.back()->read(), EndsWith("GET /" + std::to_string(i) + "? "));
  }
  EXPECT_EQ(server_->connections(), 32u);
}

// Every descriptor that the limit leaves free; `any` is what they are copies of.
std::vector<Fd> all_descriptors(const OpenFiles&, const Fd& any) {
  std::vector<Fd> taken;
  while (true) {
    Fd fd(::dup(any.get()));
    if (!fd) return taken;
    taken.push_back(std::move(fd));
  }
}

// With a socket that was made while there were descriptors. Tells by its value, not by an assertion of its own: without a
// descriptor to spare the sanitizer cannot look at the objects that gtest makes for those, and calls them invalid.
bool ask(const Fd& socket, uint16_t port, const std::string& request) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return ::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
         ::send(socket.get(), request.data(), request.size(), 0) == static_cast<ssize_t>(request.size());
}

TEST_F(ServerTest, WithoutAFreeDescriptorClientsWaitAndNothingTurns) {
  start();
  Client busy(port_);
  busy.write(get("/keep"));
  Reply reply = echo_.take_kept();
  const Fd waiting(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const OpenFiles few(256);
  std::vector<Fd> taken = all_descriptors(few, waiting);
  ASSERT_TRUE(ask(waiting, port_, get("/w")));
  // The listener is asked once, and again after the pause; a loop that turns would be past any number by then.
  pollfd answer{waiting.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&answer, 1, 50), 0);
  EXPECT_LE(echo_.batches, 20);
  taken.clear();
  advance_ms(limits::kHttpAcceptPauseMs);
  EXPECT_EQ(::poll(&answer, 1, 10'000), 1);
  reply.send(std::make_unique<TextAnswer>(200, "", "late"));
  EXPECT_THAT(busy.read(), EndsWith("late"));
}

TEST_F(ServerTest, WithoutAFreeDescriptorAnIdleConnectionMakesRoom) {
  start();
  Client idle(port_);
  idle.write(get("/"));
  idle.read();
  const Fd next(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const OpenFiles few(256);
  std::vector<Fd> taken = all_descriptors(few, next);
  ASSERT_TRUE(ask(next, port_, get("/n")));
  pollfd answer{next.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&answer, 1, 10'000), 1);
  EXPECT_TRUE(idle.closed());
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

}  // namespace
}  // namespace berth::wire
