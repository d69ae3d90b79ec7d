// Who supervises the task: a process is the same one only if boot id, pid and start time all agree. After a reboot, or
// when the pid has gone to somebody else, nothing is adopted by accident.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace berth::taskdir {

struct Owner {
  std::string boot_id;  // /proc/sys/kernel/random/boot_id
  uint32_t pid = 0;
  uint64_t start_ticks = 0;  // field 22 of /proc/<pid>/stat: clock ticks since boot
  bool operator==(const Owner&) const = default;

  template <class Archive>
  void fields(Archive& a) {
    a(boot_id, pid, start_ticks);
  }
};

std::string encode_owner(const Owner& owner);
std::optional<Owner> decode_owner(std::string_view bytes);

// Field 22 of the text of /proc/<pid>/stat; the second field, the program's name, may hold blanks and brackets.
std::optional<uint64_t> start_ticks_of_stat(std::string_view stat);

}  // namespace berth::taskdir
