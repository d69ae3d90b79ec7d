// HTTP/1.1 requests out of a stream of bytes, over http_parser. No sockets, so that a fuzzer can drive it.
//
// Feeding stops after each complete message: the caller takes it, then feeds the rest. Parts of a message are kept as
// offsets into the caller's buffer, which therefore holds a message from its first byte and may move between calls.
#pragma once

#include <http_parser.h>

#include <string>
#include <vector>

#include "base/limits.h"
#include "wire/http.h"

namespace berth::wire {

struct MessageLimits {
  size_t header_bytes_max = limits::kHttpHeaderBytesMax;
  size_t body_bytes_max = limits::kHttpBodyBytesMax;
  size_t headers_max = limits::kHttpHeadersMax;
};

class MessageParser {
 public:
  enum class State {
    receiving,  // more bytes are needed
    complete,   // take request(), then next()
    broken,     // answer status() and close
  };

  explicit MessageParser(const MessageLimits& message_limits);
  MessageParser(const MessageParser&) = delete;
  MessageParser& operator=(const MessageParser&) = delete;

  // `buffer` holds the message from its first byte; bytes before `fed` have been fed already. Returns how many bytes from
  // the start of the buffer are used up: those of this message, all of the buffer while receiving.
  size_t feed(std::string_view buffer, size_t fed);

  State state() const { return state_; }
  int status() const { return status_; }           // 400, 413, 431, 501
  bool keep_alive() const { return keep_alive_; }  // once complete
  bool takes_continue();                           // true once, when the client waits for 100 Continue
  bool is_http_1_0() const { return parser_.http_major == 1 && parser_.http_minor == 0; }
  bool started() const { return started_; }                    // a byte of the message has come
  size_t bytes_held() const { return body_text_.capacity(); }  // beside the caller's buffer

  // The complete message. Borrows the buffer and this.
  HttpRequest request(std::string_view buffer);
  void next();  // begins with the next message

 private:
  struct Range {
    size_t offset = 0, size = 0;
  };
  struct HeaderRange {
    Range name, value;
  };

  static int on_url(http_parser* parser, const char* at, size_t size);
  static int on_header_field(http_parser* parser, const char* at, size_t size);
  static int on_header_value(http_parser* parser, const char* at, size_t size);
  static int on_headers_complete(http_parser* parser);
  static int on_body(http_parser* parser, const char* at, size_t size);
  static int on_message_complete(http_parser* parser);
  static const http_parser_settings& settings();

  int fail(int status);
  void extend(Range& range, const char* at, size_t size);

  const MessageLimits& limits_;
  http_parser parser_;
  State state_ = State::receiving;
  int status_ = 0;
  bool started_ = false;
  bool headers_complete_ = false;
  bool in_value_ = false;
  bool in_trailer_ = false;
  bool keep_alive_ = false;
  bool wants_continue_ = false;
  const char* base_ = nullptr;  // the buffer, during feed()
  Range target_;
  std::vector<HeaderRange> headers_;
  Range body_;
  bool body_scattered_ = false;  // chunked: gathered in body_text_
  std::string body_text_;
  std::vector<sigv4::Header> views_;
};

}  // namespace berth::wire
