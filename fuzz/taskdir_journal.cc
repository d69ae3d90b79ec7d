// Journals, owners and messages: any bytes are read without harm, and what was read writes and reads back the same.
#include <cstdlib>

#include "taskdir/codec.h"
#include "taskdir/crc32.h"
#include "taskdir/journal.h"
#include "taskdir/message.h"
#include "taskdir/owner.h"

namespace {

using namespace berth::taskdir;

void read_journal(std::string_view rest) {
  Fact fact;
  while (read_fact(rest, &fact) == ReadFact::fact) {
    if (fact.reason.size() > kReasonBytesMax) continue;  // a writer cuts it
    std::string again;
    append_fact(again, fact);
    std::string_view view = again;
    Fact read;
    if (read_fact(view, &read) != ReadFact::fact || !(read == fact)) abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  read_journal(bytes);
  // Chance does not find a checksum: the same bytes as the body of a record, and behind an owner's.
  std::string record;
  Encoder head(record);
  head(static_cast<uint32_t>(size), crc32(bytes));
  record += bytes;
  read_journal(record);
  std::string owned;
  Encoder{owned}(crc32(bytes));
  owned += bytes;
  if (const auto owner = decode_owner(owned); owner && decode_owner(encode_owner(*owner)) != owner) abort();
  if (const auto command = decode_command(bytes); command && decode_command(encode_command(*command)) != command)
    abort();
  if (const auto reply = decode_reply(bytes);
      reply && reply->output.size() <= kExecuteOutputBytesMax && decode_reply(encode_reply(*reply)) != reply) {
    abort();
  }
  start_ticks_of_stat(bytes);
  return 0;
}
