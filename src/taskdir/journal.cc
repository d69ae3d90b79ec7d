#include "taskdir/journal.h"

#include "taskdir/codec.h"
#include "taskdir/crc32.h"

namespace berth::taskdir {

void append_fact(std::string& out, const Fact& fact) {
  if (fact.reason.size() > kReasonBytesMax) {
    Fact cut = fact;
    cut.reason.resize(kReasonBytesMax);
    return append_fact(out, cut);
  }
  std::string body;
  Encoder(body).structure(fact);
  Encoder head(out);
  head(static_cast<uint32_t>(body.size()), crc32(body));
  out += body;
}

ReadFact read_fact(std::string_view& bytes, Fact* fact) {
  if (bytes.size() < 8) return ReadFact::end;
  uint32_t size = 0, crc = 0;
  Decoder head(bytes.substr(0, 8));
  head(size, crc);
  if (size == 0 || size > kFactBytesMax) return ReadFact::corrupt;
  if (bytes.size() - 8 < size) return ReadFact::end;
  const std::string_view body = bytes.substr(8, size);
  if (crc32(body) != crc) return ReadFact::corrupt;

  Decoder d(body);
  Fact read;
  read.fields(d);
  if (!d.ok()) return ReadFact::corrupt;
  *fact = std::move(read);
  bytes.remove_prefix(8 + size);
  return ReadFact::fact;
}

}  // namespace berth::taskdir
