#include "taskdir/owner.h"

#include "taskdir/codec.h"
#include "taskdir/crc32.h"

namespace berth::taskdir {

std::string encode_owner(const Owner& owner) {
  std::string body;
  Encoder e(body);
  e(kVersion);
  e.structure(owner);
  std::string out;
  Encoder{out}(crc32(body));
  return out + body;
}

std::optional<Owner> decode_owner(std::string_view bytes) {
  if (bytes.size() < 8) return std::nullopt;
  uint32_t crc = 0, version = 0;
  Decoder{bytes.substr(0, 4)}(crc);
  bytes.remove_prefix(4);
  if (crc != crc32(bytes)) return std::nullopt;
  Decoder d(bytes);
  d(version);
  if (version != kVersion) return std::nullopt;
  Owner owner;
  owner.fields(d);
  if (!d.ok() || owner.boot_id.empty() || owner.pid < 2 || owner.start_ticks == 0) return std::nullopt;
  return owner;
}

std::optional<uint64_t> start_ticks_of_stat(std::string_view stat) {
  size_t at = stat.rfind(')');
  if (at == std::string_view::npos) return std::nullopt;
  for (int field = 2; field < 22; ++field) {  // `at` stands on the last byte before the blank that ends `field`
    at = stat.find(' ', at + 1);
    if (at == std::string_view::npos) return std::nullopt;
  }
  uint64_t ticks = 0;
  size_t digits = 0;
  for (++at; at < stat.size() && stat[at] >= '0' && stat[at] <= '9' && digits < 19; ++at, ++digits) {
    ticks = ticks * 10 + static_cast<uint64_t>(stat[at] - '0');
  }
  if (digits == 0) return std::nullopt;
  return ticks;
}

}  // namespace berth::taskdir
