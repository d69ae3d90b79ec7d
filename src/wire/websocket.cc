#include "wire/websocket.h"

#include <nettle/base64.h>
#include <nettle/sha1.h>

#include <algorithm>

#include "base/assert.h"
#include "base/json.h"

namespace berth::wire::websocket {
namespace {

bool is_control(Opcode opcode) { return static_cast<uint8_t>(opcode) >= 8; }

// A header that is a list of words: "keep-alive, Upgrade".
bool has_word(std::string_view list, std::string_view lower) {
  while (!list.empty()) {
    std::string_view word = list.substr(0, list.find(','));
    list.remove_prefix(std::min(word.size() + 1, list.size()));
    while (word.starts_with(' ') || word.starts_with('\t')) word.remove_prefix(1);
    while (word.ends_with(' ') || word.ends_with('\t')) word.remove_suffix(1);
    if (equal_ignoring_case(lower, word)) return true;
  }
  return false;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const size_t length = json::utf8_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

bool may_be_sent(uint16_t code) {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

}  // namespace

std::optional<std::string> accept_key(const HttpRequest& request) {
  const std::string_view key = request.header("sec-websocket-key");
  if (request.method != "GET" || !has_word(request.header("upgrade"), "websocket") ||
      !has_word(request.header("connection"), "upgrade") || request.header("sec-websocket-version") != "13" ||
      key.size() != 24 || !key.ends_with("=="))
    return std::nullopt;
  constexpr std::string_view kMagic = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";  // RFC 6455 §1.3
  sha1_ctx context;
  sha1_init(&context);
  sha1_update(&context, key.size(), reinterpret_cast<const uint8_t*>(key.data()));
  sha1_update(&context, kMagic.size(), reinterpret_cast<const uint8_t*>(kMagic.data()));
  uint8_t digest[SHA1_DIGEST_SIZE];
  sha1_digest(&context, sizeof digest, digest);
  std::string out(BASE64_ENCODE_RAW_LENGTH(sizeof digest), '\0');
  base64_encode_raw(out.data(), sizeof digest, digest);
  return out;
}

void append_frame(std::string& out, Opcode opcode, std::string_view payload) {
  BERTH_ASSERT(!is_control(opcode) || payload.size() <= kControlPayloadMax);
  out += static_cast<char>(0x80 | static_cast<uint8_t>(opcode));
  const uint64_t size = payload.size();
  int size_bytes = 0;
  if (size <= 125) {
    out += static_cast<char>(size);
  } else if (size <= 0xffff) {
    out += static_cast<char>(126);
    size_bytes = 2;
  } else {
    out += static_cast<char>(127);
    size_bytes = 8;
  }
  for (int shift = 8 * (size_bytes - 1); shift >= 0; shift -= 8) out += static_cast<char>(size >> shift & 0xff);
  out += payload;
}

void append_close(std::string& out, uint16_t code, std::string_view reason) {
  std::string payload{static_cast<char>(code >> 8), static_cast<char>(code & 0xff)};
  payload += reason.substr(0, kControlPayloadMax - 2);
  append_frame(out, Opcode::close, payload);
}

auto FrameReader::broken(uint16_t code) -> Step {
  close_code_ = code;
  return Step::broken;
}

auto FrameReader::next(std::string_view bytes, size_t& used) -> Step {
  used = 0;
  if (message_done_) {
    release(message_);
    message_done_ = false;
  }
  while (true) {
    if (!in_payload_) {
      if (!take_head(bytes, used)) return Step::more;
      if (const auto refused = begin_frame()) return *refused;
    }
    take_payload(bytes, used);
    if (left_ > 0) return Step::more;
    const Step step = end_frame();
    if (step != Step::more) return step;
  }
}

// True once the head is whole: two bytes, the longer size, the mask.
bool FrameReader::take_head(std::string_view bytes, size_t& used) {
  const auto whole = [this] {
    const uint8_t size = head_[1] & 0x7f;
    return head_size_ < 2 ? size_t{2} : size_t{2} + (size == 126 ? 2 : size == 127 ? 8 : 0) + (head_[1] & 0x80 ? 4 : 0);
  };
  while (head_size_ < whole()) {
    if (used == bytes.size()) return false;
    head_[head_size_++] = static_cast<uint8_t>(bytes[used++]);
  }
  return true;
}

auto FrameReader::begin_frame() -> std::optional<Step> {
  final_ = head_[0] & 0x80;
  const uint8_t code = head_[0] & 0x0f;
  const bool masked = head_[1] & 0x80;
  if ((head_[0] & 0x70) != 0 || !masked || (code > 2 && code < 8) || code > 10) return broken(kProtocolError);
  opcode_ = static_cast<Opcode>(code);
  left_ = head_[1] & 0x7f;
  size_t at = 2;
  if (const size_t size_bytes = left_ == 126 ? 2 : left_ == 127 ? 8 : 0; size_bytes > 0) {
    left_ = 0;
    for (size_t i = 0; i < size_bytes; ++i) left_ = left_ << 8 | head_[at++];
  }
  std::copy_n(head_ + at, 4, mask_);
  head_size_ = mask_at_ = 0;
  in_payload_ = true;
  in_control_ = is_control(opcode_);
  if (in_control_) {
    control_.clear();
    return final_ && left_ <= kControlPayloadMax ? std::nullopt : std::optional(broken(kProtocolError));
  }
  if ((opcode_ == Opcode::continuation) != gathering_) return broken(kProtocolError);
  if (!gathering_) is_text_ = opcode_ == Opcode::text;
  gathering_ = true;
  // Before anything is kept: the size is the client's word.
  if (left_ > message_max_ || message_.size() + left_ > message_max_) return broken(kTooLarge);
  return std::nullopt;
}

void FrameReader::take_payload(std::string_view bytes, size_t& used) {
  const size_t size = static_cast<size_t>(std::min<uint64_t>(left_, bytes.size() - used));
  std::string& to = payload();
  const size_t start = to.size();
  to.append(bytes, used, size);
  for (size_t i = start; i < to.size(); ++i) to[i] = static_cast<char>(to[i] ^ mask_[mask_at_++ & 3]);
  used += size;
  left_ -= size;
}

auto FrameReader::end_frame() -> Step {
  in_payload_ = false;
  switch (opcode_) {
    case Opcode::ping: return Step::ping;
    case Opcode::pong: return Step::pong;
    case Opcode::close: return end_close();
    default: break;
  }
  if (!final_) return Step::more;
  gathering_ = false;
  message_done_ = true;
  return is_text_ && !is_utf8(message_) ? broken(kNotUtf8) : Step::message;
}

auto FrameReader::end_close() -> Step {
  close_code_ = kNormal;
  if (control_.empty()) return Step::close;
  if (control_.size() == 1) return broken(kProtocolError);
  const auto code = static_cast<uint16_t>(static_cast<uint8_t>(control_[0]) << 8 | static_cast<uint8_t>(control_[1]));
  if (!may_be_sent(code)) return broken(kProtocolError);
  if (!is_utf8(std::string_view(control_).substr(2))) return broken(kNotUtf8);
  close_code_ = code;
  return Step::close;
}

}  // namespace berth::wire::websocket
