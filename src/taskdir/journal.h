// What the supervisor saw, in the order in which it saw it. Append-only; survives the daemon, and is read from its beginning by
// the next one.
//
//   record:  u32 length of body | u32 CRC-32C of body | body
//   body:    u8 kind | i64 time_ms | u32 container | members of the kind, see Fact
//
// A record that is cut short at the end of the file is not there yet (or never will be: the machine lost power). One
// whose checksum is wrong ends the journal: what follows cannot be trusted to be aligned.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace berth::taskdir {

inline constexpr uint32_t kNoContainer = UINT32_MAX;
inline constexpr size_t kFactBytesMax = 64 * 1024;
inline constexpr size_t kReasonBytesMax = 1024;  // as ECS keeps of a container's reason

enum class FactKind : uint8_t {
  supervising = 1,        // the supervisor stands: cgroups made, commands are read. pid
  container_started = 2,  // its first process has been executed. pid, attempt
  start_failed = 3,       // reason; the container counts as stopped
  container_exited = 4,   // exit_code, signal, oom, attempt. Its output is in the log before this is written
  lines_dropped = 5,      // count: lines of a non-blocking log since the last such fact
  stop_begun = 6,         // of the task; container: whose exit caused it, kNoContainer: a command
  stop_signalled = 7,     // one container: signal
  finished = 8,           // nothing of the task runs any more; the last fact
};

struct Fact {
  FactKind kind = FactKind::supervising;
  int64_t time_ms = 0;                // wall clock, Unix epoch
  uint32_t container = kNoContainer;  // index in the plan
  uint32_t pid = 0;                   // in the host's PID namespace
  uint32_t attempt = 0;               // of the container, from 1
  uint32_t exit_code = 0;             // as a shell tells it: 128 + signal where a signal ended it
  uint32_t signal = 0;                // 0: it ended by itself
  bool oom = false;                   // the kernel killed it, or a process in it, for memory
  uint64_t count = 0;
  std::string reason;  // fit for a person, at most kReasonBytesMax
  bool operator==(const Fact&) const = default;

  template <class Archive>
  void fields(Archive& a) {
    a(kind, time_ms, container, pid, attempt, exit_code, signal, oom, count, reason);
  }
};

void append_fact(std::string& out, const Fact& fact);

enum class ReadFact : uint8_t {
  fact,     // *fact is filled and `bytes` moved behind it
  end,      // nothing, or only the beginning of a record, is left
  corrupt,  // the journal ends here for ever
};
// Reads one record off the front. A kind that this version does not know is still `fact`: callers ignore it.
ReadFact read_fact(std::string_view& bytes, Fact* fact);

}  // namespace berth::taskdir
