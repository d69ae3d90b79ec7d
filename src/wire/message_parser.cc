#include "wire/message_parser.h"

#include "base/assert.h"

namespace berth::wire {
namespace {

// Of a message in chunks, how many bytes may arrive for each byte of its body: a client that writes 8 bytes a chunk is
// still heard.
constexpr size_t kFramingFactor = 2;

MessageParser& self(http_parser* parser) { return *static_cast<MessageParser*>(parser->data); }

}  // namespace

MessageParser::MessageParser(const MessageLimits& message_limits) : limits_(message_limits) { next(); }

void MessageParser::next() {
  http_parser_init(&parser_, HTTP_REQUEST);
  parser_.data = this;
  state_ = State::receiving;
  status_ = 0;
  started_ = headers_complete_ = in_value_ = in_trailer_ = keep_alive_ = wants_continue_ = body_scattered_ = false;
  target_ = body_ = {};
  headers_.clear();
  release(body_text_);
}

const http_parser_settings& MessageParser::settings() {
  static const http_parser_settings settings = [] {
    http_parser_settings made;
    http_parser_settings_init(&made);
    made.on_url = on_url;
    made.on_header_field = on_header_field;
    made.on_header_value = on_header_value;
    made.on_headers_complete = on_headers_complete;
    made.on_body = on_body;
    made.on_message_complete = on_message_complete;
    return made;
  }();
  return settings;
}

size_t MessageParser::feed(std::string_view buffer, size_t fed) {
  BERTH_ASSERT(state_ == State::receiving && fed <= buffer.size());
  if (fed == buffer.size()) return fed;
  base_ = buffer.data();
  started_ = true;
  const size_t used = http_parser_execute(&parser_, &settings(), buffer.data() + fed, buffer.size() - fed);
  base_ = nullptr;
  if (state_ == State::broken) return buffer.size();
  if (state_ == State::complete) return fed + used;
  if (HTTP_PARSER_ERRNO(&parser_) != HPE_OK) {
    fail(HTTP_PARSER_ERRNO(&parser_) == HPE_HEADER_OVERFLOW ? 431 : 400);
    return buffer.size();
  }
  if (!headers_complete_ && buffer.size() > limits_.header_bytes_max) fail(431);
  // Chunks' extensions and trailers count as no body, and would fill the caller's buffer without an end.
  if (headers_complete_ && buffer.size() > limits_.header_bytes_max + kFramingFactor * limits_.body_bytes_max)
    fail(413);
  return buffer.size();
}

int MessageParser::fail(int status) {
  state_ = State::broken;
  status_ = status;
  return -1;  // 1 and 2 mean something else after the headers
}

void MessageParser::extend(Range& range, const char* at, size_t size) {
  if (range.size == 0) range.offset = static_cast<size_t>(at - base_);
  // Parts of one value are neighbours in the buffer, but for folded lines, whose break then belongs to the value.
  range.size = static_cast<size_t>(at - base_) + size - range.offset;
}

int MessageParser::on_url(http_parser* parser, const char* at, size_t size) {
  MessageParser& me = self(parser);
  me.extend(me.target_, at, size);
  return me.target_.size > me.limits_.header_bytes_max ? me.fail(431) : 0;
}

int MessageParser::on_header_field(http_parser* parser, const char* at, size_t size) {
  MessageParser& me = self(parser);
  if (me.headers_complete_) return 0;  // a trailer: read over
  if (me.headers_.empty() || me.in_value_) {
    if (me.headers_.size() >= me.limits_.headers_max) return me.fail(431);
    me.headers_.emplace_back();
    me.in_value_ = false;
  }
  me.extend(me.headers_.back().name, at, size);
  return 0;
}

int MessageParser::on_header_value(http_parser* parser, const char* at, size_t size) {
  MessageParser& me = self(parser);
  if (me.headers_complete_) return 0;
  me.in_value_ = true;
  me.extend(me.headers_.back().value, at, size);
  return 0;
}

int MessageParser::on_headers_complete(http_parser* parser) {
  MessageParser& me = self(parser);
  me.headers_complete_ = true;
  size_t bytes = me.target_.size;
  bool has_length = false;
  for (const HeaderRange& header : me.headers_) {
    bytes += header.name.size + header.value.size + 4;
    const std::string_view name(me.base_ + header.name.offset, header.name.size);
    const std::string_view value(me.base_ + header.value.offset, header.value.size);
    if (equal_ignoring_case("expect", name)) {
      if (!equal_ignoring_case("100-continue", value)) return me.fail(417);
      me.wants_continue_ = true;
    }
    has_length |= equal_ignoring_case("content-length", name);
  }
  if (bytes > me.limits_.header_bytes_max) return me.fail(431);
  if (has_length && parser->content_length != UINT64_MAX && parser->content_length > me.limits_.body_bytes_max)
    return me.fail(413);
  if (parser->method == HTTP_CONNECT) return me.fail(501);
  parser->upgrade = 0;  // an offer to speak another protocol may be left unanswered
  if (parser->content_length == 0) me.wants_continue_ = false;
  me.body_scattered_ = (parser->flags & F_CHUNKED) != 0;
  return 0;
}

int MessageParser::on_body(http_parser* parser, const char* at, size_t size) {
  MessageParser& me = self(parser);
  me.wants_continue_ = false;  // it did not wait
  if (me.body_scattered_) {
    if (me.body_text_.size() + size > me.limits_.body_bytes_max) return me.fail(413);
    me.body_text_.append(at, size);
  } else {
    me.extend(me.body_, at, size);
    if (me.body_.size > me.limits_.body_bytes_max) return me.fail(413);
  }
  return 0;
}

int MessageParser::on_message_complete(http_parser* parser) {
  MessageParser& me = self(parser);
  me.state_ = State::complete;
  me.keep_alive_ = http_should_keep_alive(parser) != 0;
  http_parser_pause(parser, 1);
  return 0;
}

bool MessageParser::takes_continue() {
  return state_ == State::receiving && headers_complete_ && std::exchange(wants_continue_, false);
}

HttpRequest MessageParser::request(std::string_view buffer) {
  BERTH_ASSERT(state_ == State::complete);
  const auto view = [&](const Range& range) { return buffer.substr(range.offset, range.size); };
  views_.clear();
  for (const HeaderRange& header : headers_) views_.push_back({view(header.name), view(header.value)});
  HttpRequest request;
  request.method = http_method_str(static_cast<http_method>(parser_.method));
  const std::string_view target = view(target_);
  const size_t question = target.find('?');
  request.path = target.substr(0, question);
  if (question != target.npos) request.query = target.substr(question + 1);
  request.headers = views_;
  request.body = body_scattered_ ? std::string_view(body_text_) : view(body_);
  return request;
}

}  // namespace berth::wire
