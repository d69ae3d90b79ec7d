// A request as it arrived, and the way back for its answer. The protocols above know no sockets.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sigv4/sigv4.h"

namespace berth::wire {

// Header names: `lower` is in lower case already. ASCII only, whatever the locale.
bool equal_ignoring_case(std::string_view lower, std::string_view text);

// Empties it and gives its memory back. Assigning an empty string keeps the memory (libstdc++).
inline void release(std::string& text) { std::string().swap(text); }

// Borrowed from the connection's bytes: valid until HttpHandler::handle returns.
struct HttpRequest {
  std::string_view method;
  std::string_view path;
  std::string_view query;  // without '?'
  std::span<const sigv4::Header> headers;
  std::string_view body;
  std::string_view peer;  // the client's address, a literal; empty where it came by a unix socket
  uint16_t peer_port = 0;

  // Of several headers with the name the first; empty where there is none. `lower` in lower case.
  std::string_view header(std::string_view lower) const;
};

std::string_view reason_phrase(int status);  // RFC 9110 §15, of its class where it is not named

// Filled on the I/O thread just before sending; both strings keep their memory from one answer to the next.
struct HttpResponse {
  int status = 200;
  std::string_view content_type;  // static text; empty: none
  std::string_view request_id;    // x-amzn-RequestId; empty: none. Borrowed from the Answer
  std::string headers;            // more header lines, each ending in CRLF
  std::string body;
};

// The status line and the header lines of an answer, with the empty line that ends them. `date` as RFC 9110 writes it.
void append_head(std::string& out, const HttpResponse& response, std::string_view date, bool keep_alive);
// The same for an answer whose length nobody knows yet. An upgrade has its status and headers from `response` alone.
enum class StreamHead { chunked, until_closed, upgrade };
void append_stream_head(std::string& out, const HttpResponse& response, std::string_view date, bool keep_alive,
                        StreamHead kind);

// Something that can be rendered into a response once a connection is ready for it. Made on any thread.
class Answer {
 public:
  virtual ~Answer() = default;
  virtual void render(HttpResponse& response) = 0;  // on the I/O thread
};

// What a body that is text already needs.
class TextAnswer final : public Answer {
 public:
  TextAnswer(int status, std::string_view content_type, std::string body)
      : status_(status), content_type_(content_type), body_(std::move(body)) {}
  void render(HttpResponse& response) override {
    response.status = status_;
    response.content_type = content_type_;
    response.body = body_;
  }

 private:
  int status_;
  std::string_view content_type_;
  std::string body_;
};

class Channel;  // stream.h has this and the next four
class Stream;
class StreamEvents;
class WebSocket;
class WebSocketEvents;

// Takes answers, from any thread.
class ReplySink {
 public:
  virtual ~ReplySink() = default;
  virtual void post(uint64_t connection, std::unique_ptr<Answer> answer) = 0;  // null: given up
  // A stream has begun, or something about it has changed. Sinks that have no streams tell it that its client is gone.
  virtual void post_channel(uint64_t connection, std::shared_ptr<Channel> channel);
};

// The right to answer one request once, from any thread. Destroyed unused it drops the connection, so that a client
// does not wait for ever; callers that can say more do so first.
class Reply {
 public:
  Reply() = default;
  Reply(std::shared_ptr<ReplySink> sink, uint64_t connection) : sink_(std::move(sink)), connection_(connection) {}
  Reply(Reply&&) noexcept = default;
  Reply& operator=(Reply&&) noexcept;
  ~Reply();

  bool pending() const { return sink_ != nullptr; }
  void send(std::unique_ptr<Answer> answer);
  // Instead of send(): an answer that is written piece by piece. `head` has no body and no request id.
  Stream begin(HttpResponse head, std::shared_ptr<StreamEvents> events);
  // Instead of send(): 101, then frames both ways. `accept_key` as websocket::accept_key gives it; `protocol` may be empty.
  WebSocket upgrade(std::string_view accept_key, std::string_view protocol, std::shared_ptr<WebSocketEvents> events);

 private:
  std::shared_ptr<ReplySink> sink_;
  uint64_t connection_ = 0;
};

class HttpHandler {
 public:
  virtual ~HttpHandler() = default;
  virtual void handle(const HttpRequest& request, Reply reply) = 0;  // on the I/O thread; must not wait
  virtual void batch_end() {}  // after all requests that one round of the I/O thread brought
};

}  // namespace berth::wire
