// Answers that are written piece by piece, and WebSockets. A producer on any thread writes; what the client does not take
// waits in a buffer with a bound; at the bound the producer is told to stop, and told again when it may go on.
//
//   producer ── write() ──▶ Channel (bounded) ── I/O thread ──▶ client
//            ◀─ writable(), gone(), message() ─────┘
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "wire/http.h"

namespace berth::wire {

// What the I/O thread tells a producer. Must not wait.
class StreamEvents {
 public:
  virtual ~StreamEvents() = default;
  virtual void writable() {}  // after a write() that was `full`
  // Once, when the client left or was given up before the producer ended the stream. Nothing is called afterwards.
  virtual void gone() = 0;
};

class WebSocketEvents : public StreamEvents {
 public:
  virtual void message(bool is_text, std::string payload) = 0;
};

enum class Wrote {
  taken,  // go on
  full,   // nothing was taken: wait for writable(), write it again
  gone,   // nobody reads it any more
};

// Shared by a producer and the I/O thread. Once the connection is gone it only says so.
class Channel {
 public:
  enum class Kind { chunked, websocket };
  enum class Producing { open, ended, given_up };

  Channel(Kind is, std::shared_ptr<StreamEvents> tells) : kind(is), events_(std::move(tells)) {}

  const Kind kind;
  HttpResponse head;   // its body is empty; set before it is handed over
  bool begun = false;  // the I/O thread's: what comes later about it is not the beginning of another answer

  // The producer's side: any thread.
  Wrote write(std::string_view bytes, bool& wake);
  bool finish(Producing how);  // false where it had ended already
  void pause(bool on);         // WebSockets: messages are left with the client

  // The I/O thread's side.
  struct Taken {
    bool was_full = false;
    Producing producing = Producing::open;
  };
  Taken take(std::string& out);  // all that waits; replaces `out`
  bool paused() const;
  void lose();  // the connection is gone
  const std::shared_ptr<StreamEvents>& events() const { return events_; }

 private:
  mutable std::mutex mutex_;
  std::string waiting_;
  bool full_ = false;
  bool gone_ = false;
  bool paused_ = false;
  Producing producing_ = Producing::open;
  std::shared_ptr<StreamEvents> events_;  // the I/O thread's
};

// The producer's handle; one thread at a time. Destroyed without end() it cuts the connection, so that the client sees that
// something is missing.
class Stream {
 public:
  Stream() = default;
  Stream(std::shared_ptr<ReplySink> sink, uint64_t connection, std::shared_ptr<Channel> channel)
      : sink_(std::move(sink)), connection_(connection), channel_(std::move(channel)) {}
  Stream(Stream&&) noexcept = default;
  Stream& operator=(Stream&&) noexcept;
  ~Stream();

  // A piece larger than the bound is taken where nothing waits before it.
  Wrote write(std::string_view bytes);
  void end();

 protected:
  void wake() { sink_->post_channel(connection_, channel_); }
  void give_up();

  std::shared_ptr<ReplySink> sink_;
  uint64_t connection_ = 0;
  std::shared_ptr<Channel> channel_;
};

class WebSocket : private Stream {
 public:
  using Stream::Stream;

  Wrote send(bool is_text, std::string_view payload);
  void close(uint16_t code, std::string_view reason);
  // While it is on, no message() comes, and the client has to wait.
  void pause(bool on);
};

}  // namespace berth::wire
