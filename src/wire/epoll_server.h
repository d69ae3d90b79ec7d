// The server's state: its connections, their buffers and time limits. server.cc has the loop, the listeners and the time
// limits, connection.cc what a connection reads and sends, stream_connection.cc the same for streams. Only these include it.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <ctime>
#include <mutex>
#include <vector>

#include "wire/mailbox.h"
#include "wire/server.h"
#include "wire/stream.h"
#include "wire/websocket.h"

namespace berth::wire {

inline constexpr size_t kReadBytes = 64 * 1024;

enum class Phase : uint8_t { idle, receiving, handling, sending, draining, streaming, websocket };
enum class TimerQueue : uint8_t { none, idle, receive, send, ping };
constexpr size_t kTimerQueues = 5;

// What only a connection with a message under way needs.
struct Parts {
  explicit Parts(const MessageLimits& message_limits) : parser(message_limits) {}
  MessageParser parser;
};

// What only a stream or a WebSocket needs.
struct Streaming {
  explicit Streaming(std::shared_ptr<Channel> of) : channel(std::move(of)) {}
  const std::shared_ptr<Channel> channel;
  websocket::FrameReader frames{limits::kWebSocketMessageBytesMax};
  std::string piece;
  bool chunked = false;
  bool without_body = false;
  bool done = false;    // `out` has the last of it
  bool pinged = false;  // nothing has come since
};

struct Connection {
  Fd fd;
  uint32_t generation = 0;
  uint32_t slot = 0;
  HttpHandler* handler = nullptr;
  std::string peer;
  uint16_t peer_port = 0;
  Phase phase = Phase::idle;
  bool keep_alive = false;
  bool http_1_0 = false;
  bool head_only = false;  // HEAD: an answer's body would be read as the next answer
  uint32_t events = 0;     // armed in epoll
  std::unique_ptr<Parts> parts;
  std::unique_ptr<Streaming> streaming;
  std::string in;        // the message so far, and what came after it
  size_t in_fed = 0;     // of it, seen by the parser
  size_t counted = 0;    // of unauthenticated_bytes_
  int64_t began_ms = 0;  // the message under way
  std::string out;       // what the socket would not take
  size_t out_sent = 0;
  // A queue for each length of time, oldest first.
  TimerQueue queue = TimerQueue::none;
  int64_t deadline_ms = 0;
  Connection* previous = nullptr;
  Connection* following = nullptr;

  uint64_t id() const { return uint64_t{generation} << 32 | slot; }
};

struct Listener {
  Fd fd;  // none: it listens no more
  HttpHandler* handler;
  bool tcp;
};

class EpollServer final : public Server {
 public:
  EpollServer(const Clock& clock, ServerOptions options, Fd epoll, Fd event);
  ~EpollServer() override;

  Result<uint16_t> listen_tcp(const std::string& address, uint16_t port, HttpHandler& handler) override;
  Result<void> listen_unix(const std::string& path, HttpHandler& handler) override;
  Result<uint64_t> listen_on(Fd socket, HttpHandler& handler) override;
  void stop_listening(uint64_t listener) override;
  void run() override;
  void stop() override {
    stop_asked_ = true;
    wake();
  }
  void wake() override;
  size_t connections() const override { return count_; }
  size_t unauthenticated_bytes() const override { return unauthenticated_bytes_; }

 private:
  Result<uint64_t> add_listener(Fd fd, HttpHandler& handler, bool tcp);
  void change_listeners();
  void accept(Listener& listener);
  bool close_longest_idle();
  void pause_accepting(int error);
  void resume_accepting();
  void listen_for(uint32_t events);
  void event(uint64_t id, uint32_t events);
  void readable(Connection& connection);
  void consume(Connection& connection, std::string_view fresh);
  void refuse(Connection& connection, int status);
  void count_bytes(Connection& connection);
  void keep_bytes_bounded();
  void take_answers();
  void send(Connection& connection, const HttpResponse& response);
  void writable(Connection& connection);
  void channel_changed(uint64_t id, const std::shared_ptr<Channel>& channel);
  void begin_stream(Connection& connection, const std::shared_ptr<Channel>& channel);
  void flush(Connection& connection);
  void append_piece(Connection& connection, std::string_view piece);
  void end_stream(Connection& connection);
  void listen_to_stream(Connection& connection);
  void websocket_readable(Connection& connection);
  bool take_frames(Connection& connection);
  void ping(Connection& connection);
  const std::string& date();
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
  std::vector<Listener> listeners_;  // the I/O thread's, by their numbers
  struct {
    std::mutex mutex;
    uint64_t count = 0;  // of all that there ever were
    std::vector<Listener> added;
    std::vector<uint64_t> ended;
  } changes_;
  std::atomic<bool> listeners_changed_ = false;
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
  std::atomic<size_t> unauthenticated_bytes_ = 0;
  std::atomic<bool> stop_asked_ = false;
  bool stopping_ = false;
  int64_t stop_deadline_ms_ = 0;
  int64_t accept_again_ms_ = 0;  // 0: accepting
  bool accept_warned_ = false;
};

}  // namespace berth::wire
