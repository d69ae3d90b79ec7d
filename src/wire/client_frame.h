// For tests: WebSocket frames as clients send them, masked.
#pragma once

#include <string>
#include <string_view>

#include "wire/websocket.h"

namespace berth::wire::websocket {

inline std::string client_frame(Opcode opcode, std::string_view payload, bool final = true) {
  std::string out;
  out += static_cast<char>((final ? 0x80 : 0) | static_cast<uint8_t>(opcode));
  const size_t size = payload.size();
  const int size_bytes = size <= 125 ? 0 : size <= 0xffff ? 2 : 8;
  out += static_cast<char>(0x80 | (size_bytes == 0 ? size : size_bytes == 2 ? 126 : 127));
  for (int shift = 8 * (size_bytes - 1); shift >= 0; shift -= 8) out += static_cast<char>(size >> shift & 0xff);
  constexpr std::string_view kMask = "\x11\x22\x33\x44";
  out += kMask;
  for (size_t i = 0; i < size; ++i) out += static_cast<char>(payload[i] ^ kMask[i & 3]);
  return out;
}

}  // namespace berth::wire::websocket
