#include "taskdir/journal.h"

#include "taskdir/codec.h"
#include "taskdir/crc32.h"

namespace berth::taskdir {

void append_fact(std::string& out, const Fact& fact) {
  std::string body;
  Encoder e(body);
  e.u8(static_cast<uint8_t>(fact.kind));
  e.i64(fact.time_ms);
  e.u32(fact.container);
  e.u32(fact.pid);
  e.u32(fact.attempt);
  e.u32(fact.exit_code);
  e.u32(fact.signal);
  e.boolean(fact.oom);
  e.u64(fact.count);
  e.text(std::string_view(fact.reason).substr(0, kReasonBytesMax));
  Encoder head(out);
  head.u32(static_cast<uint32_t>(body.size()));
  head.u32(crc32(body));
  out += body;
}

ReadFact read_fact(std::string_view& bytes, Fact* fact) {
  if (bytes.size() < 8) return ReadFact::end;
  Decoder head(bytes.substr(0, 8));
  const uint32_t size = head.u32();
  const uint32_t crc = head.u32();
  if (size == 0 || size > kFactBytesMax) return ReadFact::corrupt;
  if (bytes.size() - 8 < size) return ReadFact::end;
  const std::string_view body = bytes.substr(8, size);
  if (crc32(body) != crc) return ReadFact::corrupt;

  Decoder d(body);
  Fact read;
  read.kind = static_cast<FactKind>(d.u8());
  read.time_ms = d.i64();
  read.container = d.u32();
  read.pid = d.u32();
  read.attempt = d.u32();
  read.exit_code = d.u32();
  read.signal = d.u32();
  read.oom = d.boolean();
  read.count = d.u64();
  read.reason = d.text();
  if (!d.ok()) return ReadFact::corrupt;
  *fact = std::move(read);
  bytes.remove_prefix(8 + size);
  return ReadFact::fact;
}

}  // namespace berth::taskdir
