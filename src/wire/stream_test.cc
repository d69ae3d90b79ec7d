// Answers that are written piece by piece, and WebSockets, over real sockets.
#include "wire/stream.h"

#include "wire/client_frame.h"
#include "wire/server_world.h"

namespace berth::wire {
namespace {

using websocket::client_frame;
using websocket::FrameReader;
using websocket::Opcode;

// What the I/O thread has told a producer, to be waited for.
class Told final : public WebSocketEvents {
 public:
  void writable() override { note("writable"); }
  void gone() override { note("gone"); }
  void message(bool is_text, std::string payload) override { note((is_text ? "text " : "binary ") + payload); }

  void wait_for(const std::string& what) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return std::find(told_.begin(), told_.end(), what) != told_.end(); });
  }
  size_t count(const std::string& what) {
    const std::lock_guard lock(mutex_);
    return static_cast<size_t>(std::count(told_.begin(), told_.end(), what));
  }

 private:
  void note(std::string what) {
    const std::lock_guard lock(mutex_);
    told_.push_back(std::move(what));
    changed_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> told_;
};

class StreamTest : public ServerTest {
 protected:
  Stream begin(Client& client, std::string_view request = "GET /keep HTTP/1.1\r\nHost: x\r\n\r\n") {
    client.write(request);
    HttpResponse head;
    head.content_type = "text/plain";
    return echo_.take_kept().begin(std::move(head), told_);
  }
  WebSocket begin_websocket(Client& client, std::string_view more = {}) {
    client.write("GET /keep HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n" +
                 std::string(more));
    WebSocket socket = echo_.take_kept().upgrade("the key", "", told_);
    EXPECT_THAT(client.read(), StartsWith("HTTP/1.1 101 Switching Protocols\r\n"));
    return socket;
  }
  // What one write may have where nothing waits before it; Linux keeps 4 MiB for a socket at most.
  const std::string more_than_the_kernel_takes_ = std::string(16 * 1024 * 1024, 'm');
  std::shared_ptr<Told> told_ = std::make_shared<Told>();
};

TEST_F(StreamTest, PiecesComeAsTheyAreWritten) {
  start();
  Client client(port_);
  Stream stream = begin(client);
  EXPECT_THAT(client.read(), HasSubstr("Transfer-Encoding: chunked\r\n"));
  EXPECT_EQ(stream.write("hello"), Wrote::taken);
  EXPECT_EQ(client.read_bytes(10), "5\r\nhello\r\n");
  EXPECT_EQ(stream.write("again"), Wrote::taken);
  EXPECT_EQ(client.read_bytes(10), "5\r\nagain\r\n");
  stream.end();
  EXPECT_EQ(client.read_bytes(5), "0\r\n\r\n");
  client.write(get("/next"));  // the connection is kept
  EXPECT_THAT(client.read(), EndsWith("GET /next? "));
  EXPECT_EQ(told_->count("gone"), 0u);
}

TEST_F(StreamTest, AnOldClientGetsItUntilTheConnectionEnds) {
  start();
  Client client(port_);
  Stream stream = begin(client, "GET /keep HTTP/1.0\r\n\r\n");
  stream.write("hello");
  stream.end();
  EXPECT_THAT(client.read_all(), EndsWith("Connection: close\r\n\r\nhello"));
}

TEST_F(StreamTest, ASlowReaderStopsTheProducer) {
  start();
  Client client(port_);
  Stream stream = begin(client);
  EXPECT_EQ(stream.write(more_than_the_kernel_takes_), Wrote::taken);
  const std::string piece(16 * 1024, 'p');
  size_t taken = 0;
  while (stream.write(piece) == Wrote::taken) ++taken;
  EXPECT_LE(taken, limits::kStreamBufferBytesMax / piece.size() * 2 + 1);
  EXPECT_EQ(told_->count("writable"), 0u);
  std::thread reader([&] { client.read_until("the end"); });
  told_->wait_for("writable");
  while (stream.write("the end") == Wrote::full) std::this_thread::yield();
  reader.join();
}

TEST_F(StreamTest, AReaderThatStopsIsGivenUp) {
  start({.send_max_ms = 5000});
  Client client(port_);
  Stream stream = begin(client);
  EXPECT_EQ(stream.write(more_than_the_kernel_takes_), Wrote::taken);
  Client other(port_);  // answered after the stream was written as far as it goes
  other.write(get("/"));
  other.read();
  advance_ms(5000);
  told_->wait_for("gone");
  EXPECT_EQ(stream.write("more"), Wrote::gone);
}

TEST_F(StreamTest, AReaderThatGoesAwayIsTold) {
  start();
  Stream stream;
  {
    Client client(port_);
    stream = begin(client);
    stream.write("hello");
    client.read_bytes(1);
  }
  told_->wait_for("gone");
  EXPECT_EQ(stream.write("more"), Wrote::gone);
  stream.end();
  EXPECT_EQ(told_->count("gone"), 1u);
}

TEST_F(StreamTest, AProducerThatIsLostCutsTheConnection) {
  start();
  Client client(port_);
  { const Stream stream = begin(client); }
  EXPECT_THAT(client.read_all(), testing::Not(HasSubstr("0\r\n\r\n")));
  EXPECT_EQ(told_->count("gone"), 0u);
}

TEST_F(StreamTest, AStopEndsStreamsAtOnce) {
  start();
  Client client(port_);
  Stream stream = begin(client);
  client.read();
  server_->stop();
  told_->wait_for("gone");
  EXPECT_TRUE(client.closed());
}

TEST_F(StreamTest, WebSocketsEcho) {
  start();
  Client client(port_);
  WebSocket socket = begin_websocket(client, client_frame(Opcode::text, "early"));
  told_->wait_for("text early");
  client.write(client_frame(Opcode::text, "one ", false) + client_frame(Opcode::ping, "p") +
               client_frame(Opcode::continuation, "message"));
  EXPECT_EQ(client.read_bytes(3), "\x8a\x01p");
  told_->wait_for("text one message");
  EXPECT_EQ(socket.send(true, "echo"), Wrote::taken);
  EXPECT_EQ(client.read_bytes(6),
            "\x81\x04"
            "echo");
  client.write(client_frame(Opcode::close, "\x03\xe8"));
  EXPECT_EQ(client.read_bytes(4), "\x88\x02\x03\xe8");
  told_->wait_for("gone");
  EXPECT_EQ(socket.send(true, "late"), Wrote::gone);
}

TEST_F(StreamTest, WebSocketsAreClosedByTheHandler) {
  start();
  Client client(port_);
  WebSocket socket = begin_websocket(client);
  socket.send(false, "last");
  socket.close(websocket::kGoingAway, "bye");
  EXPECT_EQ(client.read_bytes(6),
            "\x82\x04"
            "last");
  EXPECT_EQ(client.read_bytes(7),
            "\x88\x05\x03\xe9"
            "bye");
  client.finish();
  EXPECT_TRUE(client.closed());
  EXPECT_EQ(told_->count("gone"), 0u);
}

TEST_F(StreamTest, WhatBreaksTheProtocolEndsAWebSocket) {
  start();
  Client client(port_);
  WebSocket socket = begin_websocket(client);
  client.write(client_frame(Opcode::binary, std::string(limits::kWebSocketMessageBytesMax + 1, 'x')).substr(0, 100));
  EXPECT_EQ(client.read_bytes(4), "\x88\x02\x03\xf1");  // 1009
  told_->wait_for("gone");
}

TEST_F(StreamTest, APausedHandlerLetsTheClientWait) {
  start();
  Client client(port_);
  WebSocket socket = begin_websocket(client);
  socket.pause(true);
  client.write(client_frame(Opcode::text, "first"));
  Client other(port_);
  other.write(get("/"));
  other.read();
  EXPECT_EQ(told_->count("text first"), 0u);
  socket.pause(false);
  told_->wait_for("text first");
}

TEST_F(StreamTest, ASilentWebSocketIsAsked) {
  start({.websocket_ping_ms = 1000});
  Client client(port_);
  WebSocket socket = begin_websocket(client);
  advance_ms(1000);
  EXPECT_EQ(client.read_bytes(2), std::string("\x89\0", 2));
  client.write(client_frame(Opcode::pong, "") + client_frame(Opcode::text, "alive"));
  told_->wait_for("text alive");
  advance_ms(1000);
  EXPECT_EQ(client.read_bytes(2), std::string("\x89\0", 2));
  advance_ms(1000);  // this time without an answer
  told_->wait_for("gone");
}

}  // namespace
}  // namespace berth::wire
