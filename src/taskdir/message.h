// One message a packet on the supervisor's socket, both ways. The daemon sends commands; the supervisor answers those
// that ask (execute, query) and rings when the journal has grown. The journal alone says what happened: a ring that is
// lost costs nothing, since the next one, or a query, tells the size again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace berth::taskdir {

inline constexpr size_t kMessageBytesMax = 96 * 1024;
inline constexpr size_t kExecuteOutputBytesMax = 4096;
inline constexpr uint32_t kExecuteTimedOut = UINT32_MAX;  // as exit_code
inline constexpr uint32_t kExecuteImpossible = UINT32_MAX - 1;

enum class CommandKind : uint8_t {
  start = 1,           // container, id: the attempt, from 1; one that was made already is not repeated (0: always the next)
  stop_task = 2,       // text: why, for the journal. Each container by its plan's signal and timeout
  stop_container = 3,  // container, signal (0: the plan's), timeout_ms (UINT32_MAX: the plan's); SIGKILL afterwards
  signal = 4,          // container, signal
  execute = 5,         // container, id, arguments, timeout_ms: a command beside the container's own
  query = 6,           // answered by `grown`
};

struct Command {
  CommandKind kind = CommandKind::query;
  uint32_t container = 0;
  uint32_t signal = 0;
  uint32_t timeout_ms = UINT32_MAX;
  uint64_t id = 0;
  std::vector<std::string> arguments;
  std::string text;
  bool operator==(const Command&) const = default;

  template <class Archive>
  void fields(Archive& a) {
    a(kind, container, signal, timeout_ms, id, arguments, text);
  }
};

enum class ReplyKind : uint8_t {
  grown = 1,     // journal_bytes
  executed = 2,  // id, exit_code, output
};

struct Reply {
  ReplyKind kind = ReplyKind::grown;
  uint64_t journal_bytes = 0;
  uint64_t id = 0;
  uint32_t exit_code = 0;  // or kExecuteTimedOut, kExecuteImpossible (then `output` says why)
  std::string output;      // standard output and error, the first kExecuteOutputBytesMax
  bool operator==(const Reply&) const = default;

  template <class Archive>
  void fields(Archive& a) {
    a(kind, journal_bytes, id, exit_code, output);
  }
};

std::string encode_command(const Command& command);
std::optional<Command> decode_command(std::string_view bytes);
std::string encode_reply(const Reply& reply);
std::optional<Reply> decode_reply(std::string_view bytes);

}  // namespace berth::taskdir
