#include "taskdir/message.h"

#include "taskdir/codec.h"

namespace berth::taskdir {

std::string encode_command(const Command& command) {
  std::string out;
  Encoder e(out);
  e.u8(static_cast<uint8_t>(command.kind));
  e.u32(command.container);
  e.u32(command.signal);
  e.u32(command.timeout_ms);
  e.u64(command.id);
  e.texts(command.arguments);
  e.text(command.text);
  return out;
}

std::optional<Command> decode_command(std::string_view bytes) {
  if (bytes.empty() || bytes.size() > kMessageBytesMax) return std::nullopt;
  Decoder d(bytes);
  Command command;
  command.kind = static_cast<CommandKind>(d.u8());
  command.container = d.u32();
  command.signal = d.u32();
  command.timeout_ms = d.u32();
  command.id = d.u64();
  command.arguments = d.texts();
  command.text = d.text();
  if (!d.ok() || command.signal > 64) return std::nullopt;
  return command;
}

std::string encode_reply(const Reply& reply) {
  std::string out;
  Encoder e(out);
  e.u8(static_cast<uint8_t>(reply.kind));
  e.u64(reply.journal_bytes);
  e.u64(reply.id);
  e.u32(reply.exit_code);
  e.text(std::string_view(reply.output).substr(0, kExecuteOutputBytesMax));
  return out;
}

std::optional<Reply> decode_reply(std::string_view bytes) {
  if (bytes.empty() || bytes.size() > kMessageBytesMax) return std::nullopt;
  Decoder d(bytes);
  Reply reply;
  reply.kind = static_cast<ReplyKind>(d.u8());
  reply.journal_bytes = d.u64();
  reply.id = d.u64();
  reply.exit_code = d.u32();
  reply.output = d.text();
  if (!d.ok()) return std::nullopt;
  return reply;
}

}  // namespace berth::taskdir
