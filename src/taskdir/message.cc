#include "taskdir/message.h"

#include "taskdir/codec.h"

namespace berth::taskdir {
namespace {

template <class Message>
std::string encode(const Message& message) {
  std::string out;
  Encoder(out).structure(message);
  return out;
}

template <class Message>
std::optional<Message> decode(std::string_view bytes) {
  if (bytes.empty() || bytes.size() > kMessageBytesMax) return std::nullopt;
  Decoder d(bytes);
  Message message;
  message.fields(d);
  if (!d.ok()) return std::nullopt;
  return message;
}

}  // namespace

std::string encode_command(const Command& command) { return encode(command); }

std::optional<Command> decode_command(std::string_view bytes) {
  auto command = decode<Command>(bytes);
  if (command && command->signal > 64) return std::nullopt;
  return command;
}

std::string encode_reply(const Reply& reply) {
  if (reply.output.size() <= kExecuteOutputBytesMax) return encode(reply);
  Reply cut = reply;
  cut.output.resize(kExecuteOutputBytesMax);
  return encode(cut);
}

std::optional<Reply> decode_reply(std::string_view bytes) { return decode<Reply>(bytes); }

}  // namespace berth::taskdir
