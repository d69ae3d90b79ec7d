// WebSocket (RFC 6455), the server's side, without sockets: the handshake, frames in and frames out. No extensions.
//
//   FrameReader:  bytes ─▶ unmask ─▶ gather fragments ─▶ message │ ping │ pong │ close │ broken (with the code to close with)
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "wire/http.h"

namespace berth::wire::websocket {

inline constexpr uint16_t kNormal = 1000;
inline constexpr uint16_t kGoingAway = 1001;
inline constexpr uint16_t kProtocolError = 1002;
inline constexpr uint16_t kNotUtf8 = 1007;
inline constexpr uint16_t kTooLarge = 1009;
inline constexpr size_t kControlPayloadMax = 125;

enum class Opcode : uint8_t { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

// Sec-WebSocket-Accept for a request that asks for a WebSocket as it should; nothing where it does not.
std::optional<std::string> accept_key(const HttpRequest& request);

// A whole frame; servers send unmasked ones.
void append_frame(std::string& out, Opcode opcode, std::string_view payload);
// `reason` is cut to what fits.
void append_close(std::string& out, uint16_t code, std::string_view reason);

class FrameReader {
 public:
  enum class Step { more, message, ping, pong, close, broken };

  explicit FrameReader(size_t message_bytes_max) : message_max_(message_bytes_max) {}

  // Takes bytes up to the end of one message or control frame; `used` says how many. Not again after close or broken.
  Step next(std::string_view bytes, size_t& used);

  // After `message`: the message, which may be moved from. After ping and pong: what they carried.
  std::string& payload() { return in_control_ ? control_ : message_; }
  bool is_text() const { return is_text_; }
  // After close: the client's; kNormal where it gave none. After broken: the one to close with.
  uint16_t close_code() const { return close_code_; }

 private:
  Step broken(uint16_t code);
  bool take_head(std::string_view bytes, size_t& used);
  std::optional<Step> begin_frame();
  void take_payload(std::string_view bytes, size_t& used);
  Step end_frame();
  Step end_close();

  const size_t message_max_;
  uint8_t head_[14] = {};
  size_t head_size_ = 0;
  bool in_payload_ = false;
  bool in_control_ = false;
  bool final_ = false;
  Opcode opcode_ = Opcode::text;
  uint64_t left_ = 0;
  size_t mask_at_ = 0;
  uint8_t mask_[4] = {};
  bool gathering_ = false;  // a message's first fragment has come, its last has not
  bool message_done_ = false;
  bool is_text_ = false;
  std::string message_, control_;
  uint16_t close_code_ = kNormal;
};

}  // namespace berth::wire::websocket
