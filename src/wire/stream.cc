#include "wire/stream.h"

#include "base/assert.h"
#include "base/limits.h"
#include "wire/websocket.h"

namespace berth::wire {

Wrote Channel::write(std::string_view bytes, bool& wake) {
  const std::lock_guard lock(mutex_);
  wake = false;
  if (gone_) return Wrote::gone;
  BERTH_ASSERT(producing_ == Producing::open);
  if (!waiting_.empty() && waiting_.size() + bytes.size() > limits::kStreamBufferBytesMax) {
    full_ = true;
    return Wrote::full;
  }
  wake = waiting_.empty() && !bytes.empty();
  waiting_ += bytes;
  return Wrote::taken;
}

bool Channel::finish(Producing how) {
  const std::lock_guard lock(mutex_);
  if (producing_ != Producing::open) return false;
  producing_ = how;
  return true;
}

void Channel::pause(bool on) {
  const std::lock_guard lock(mutex_);
  paused_ = on;
}

bool Channel::paused() const {
  const std::lock_guard lock(mutex_);
  return paused_;
}

auto Channel::take(std::string& out) -> Taken {
  out.clear();
  const std::lock_guard lock(mutex_);
  out.swap(waiting_);
  return {std::exchange(full_, false), producing_};
}

void Channel::lose() {
  std::shared_ptr<StreamEvents> told;
  {
    const std::lock_guard lock(mutex_);
    gone_ = true;
    release(waiting_);
    if (producing_ == Producing::open) told = std::move(events_);
    events_.reset();
  }
  if (told) told->gone();
}

void ReplySink::post_channel(uint64_t, std::shared_ptr<Channel> channel) { channel->lose(); }

Stream Reply::begin(HttpResponse head, std::shared_ptr<StreamEvents> events) {
  BERTH_ASSERT(sink_ != nullptr && head.body.empty());
  auto channel = std::make_shared<Channel>(Channel::Kind::chunked, std::move(events));
  channel->head = std::move(head);
  sink_->post_channel(connection_, channel);
  return Stream(std::exchange(sink_, nullptr), connection_, std::move(channel));
}

WebSocket Reply::upgrade(std::string_view accept_key, std::string_view protocol,
                         std::shared_ptr<WebSocketEvents> events) {
  BERTH_ASSERT(sink_ != nullptr);
  auto channel = std::make_shared<Channel>(Channel::Kind::websocket, std::move(events));
  channel->head.status = 101;
  std::string& headers = channel->head.headers;
  headers.append("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ")
      .append(accept_key)
      .append("\r\n");
  if (!protocol.empty()) headers.append("Sec-WebSocket-Protocol: ").append(protocol).append("\r\n");
  sink_->post_channel(connection_, channel);
  return WebSocket(std::exchange(sink_, nullptr), connection_, std::move(channel));
}

Stream& Stream::operator=(Stream&& other) noexcept {
  if (this == &other) return *this;
  give_up();
  sink_ = std::move(other.sink_);
  connection_ = other.connection_;
  channel_ = std::move(other.channel_);
  return *this;
}

Stream::~Stream() { give_up(); }

void Stream::give_up() {
  if (channel_ && channel_->finish(Channel::Producing::given_up)) wake();
}

Wrote Stream::write(std::string_view bytes) {
  bool must_wake = false;
  const Wrote wrote = channel_->write(bytes, must_wake);
  if (must_wake) wake();
  return wrote;
}

void Stream::end() {
  if (channel_->finish(Channel::Producing::ended)) wake();
}

Wrote WebSocket::send(bool is_text, std::string_view payload) {
  std::string frame;
  frame.reserve(payload.size() + 10);
  append_frame(frame, is_text ? websocket::Opcode::text : websocket::Opcode::binary, payload);
  return write(frame);
}

void WebSocket::close(uint16_t code, std::string_view reason) {
  std::string frame;
  websocket::append_close(frame, code, reason);
  // Full or gone: the connection then ends without a reason.
  if (write(frame) == Wrote::full) return give_up();
  end();
}

void WebSocket::pause(bool on) {
  channel_->pause(on);
  if (!on) wake();
}

}  // namespace berth::wire
