#include "wire/websocket.h"

#include <gtest/gtest.h>

#include "wire/client_frame.h"

namespace berth::wire::websocket {
namespace {

using Step = FrameReader::Step;

// Every step that the bytes bring: "text hello", "ping x", "close 1000", "broken 1002".
std::vector<std::string> steps(std::string_view bytes, size_t piece = SIZE_MAX, size_t message_max = 1000) {
  FrameReader reader(message_max);
  std::vector<std::string> out;
  for (size_t at = 0; at < bytes.size();) {
    size_t used = 0;
    const Step step = reader.next(bytes.substr(at, piece), used);
    at += used;
    switch (step) {
      case Step::more: break;
      case Step::message: out.push_back((reader.is_text() ? "text " : "binary ") + reader.payload()); break;
      case Step::ping: out.push_back("ping " + reader.payload()); break;
      case Step::pong: out.push_back("pong " + reader.payload()); break;
      case Step::close: out.push_back("close " + std::to_string(reader.close_code())); return out;
      case Step::broken: out.push_back("broken " + std::to_string(reader.close_code())); return out;
    }
  }
  return out;
}
using Steps = std::vector<std::string>;

TEST(WebSocket, HandshakeOfTheRfc) {
  std::vector<sigv4::Header> headers{{"Upgrade", "WebSocket"},
                                     {"Connection", "keep-alive, Upgrade"},
                                     {"Sec-WebSocket-Version", "13"},
                                     {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}};
  HttpRequest request;
  request.method = "GET";
  request.headers = headers;
  EXPECT_EQ(accept_key(request), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  request.method = "POST";
  EXPECT_EQ(accept_key(request), std::nullopt);
  request.method = "GET";
  for (size_t i = 0; i < headers.size(); ++i) {
    const sigv4::Header kept = headers[i];
    headers[i].value = "8";
    EXPECT_EQ(accept_key(request), std::nullopt) << kept.name;
    headers[i] = kept;
  }
}

TEST(WebSocket, MessagesInAnyPieces) {
  const std::string long_text(700, 'l');
  const std::string all = client_frame(Opcode::text, "hello") + client_frame(Opcode::text, "one ", false) +
                          client_frame(Opcode::ping, "p") + client_frame(Opcode::continuation, "two") +
                          client_frame(Opcode::binary, long_text) + client_frame(Opcode::pong, "") +
                          client_frame(Opcode::text, "") + client_frame(Opcode::close, "\x0b\xb9 bye");
  const Steps expected{"text hello", "ping p", "text one two", "binary " + long_text, "pong ", "text ", "close 3001"};
  for (const size_t piece : {SIZE_MAX, size_t{1}, size_t{3}, size_t{100}}) EXPECT_EQ(steps(all, piece), expected);
}

TEST(WebSocket, WhatBreaksTheProtocol) {
  std::string unmasked;
  append_frame(unmasked, Opcode::text, "x");
  EXPECT_EQ(steps(unmasked), Steps{"broken 1002"});
  EXPECT_EQ(steps(client_frame(Opcode::continuation, "x")), Steps{"broken 1002"});
  EXPECT_EQ(steps(client_frame(Opcode::text, "x", false) + client_frame(Opcode::text, "y")), Steps{"broken 1002"});
  EXPECT_EQ(steps(client_frame(Opcode::ping, std::string(126, 'p'))), Steps{"broken 1002"});
  EXPECT_EQ(steps(client_frame(Opcode::ping, "p", false)), Steps{"broken 1002"});
  EXPECT_EQ(steps(client_frame(static_cast<Opcode>(3), "x")), Steps{"broken 1002"});
  EXPECT_EQ(steps(client_frame(static_cast<Opcode>(0x41), "x")), Steps{"broken 1002"});  // a reserved bit
  EXPECT_EQ(steps(client_frame(Opcode::close, "x")), Steps{"broken 1002"});
  EXPECT_EQ(steps(client_frame(Opcode::close, "\x03\xed")), Steps{"broken 1002"});  // 1005
  EXPECT_EQ(steps(client_frame(Opcode::text, "\xff")), Steps{"broken 1007"});
  EXPECT_EQ(steps(client_frame(Opcode::close, "")), Steps{"close 1000"});
}

TEST(WebSocket, MessagesHaveALimit) {
  EXPECT_EQ(steps(client_frame(Opcode::binary, std::string(1000, 'x'))).front().size(), 7u + 1000u);
  EXPECT_EQ(steps(client_frame(Opcode::binary, std::string(1001, 'x')).substr(0, 10)), Steps{"broken 1009"});
  EXPECT_EQ(steps(client_frame(Opcode::binary, std::string(600, 'x'), false) +
                  client_frame(Opcode::continuation, std::string(401, 'x'))),
            Steps{"broken 1009"});
  const std::string huge("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0", 14);  // 2^63 - 1 bytes
  EXPECT_EQ(steps(huge), Steps{"broken 1009"});
}

TEST(WebSocket, FramesOfEverySize) {
  for (const size_t size : {0, 125, 126, 65535, 65536}) {
    std::string out;
    append_frame(out, Opcode::binary, std::string(size, 'x'));
    EXPECT_EQ(out.size(), size + (size <= 125 ? 2 : size <= 65535 ? 4 : 10));
  }
  std::string close;
  append_close(close, kGoingAway, std::string(500, 'r'));
  EXPECT_EQ(close.size(), 2u + kControlPayloadMax);
}

}  // namespace
}  // namespace berth::wire::websocket
