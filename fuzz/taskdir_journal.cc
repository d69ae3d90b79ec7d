// Journals, owners and messages: any bytes are read without harm, and what was read writes and reads back the same.
#include <cstdlib>

#include "taskdir/journal.h"
#include "taskdir/message.h"
#include "taskdir/owner.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace berth::taskdir;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  std::string_view rest = bytes;
  Fact fact;
  while (read_fact(rest, &fact) == ReadFact::fact) {
    if (fact.reason.size() > kReasonBytesMax) continue;  // a writer cuts it
    std::string again;
    append_fact(again, fact);
    std::string_view view = again;
    Fact read;
    if (read_fact(view, &read) != ReadFact::fact || !(read == fact)) abort();
  }
  if (const auto command = decode_command(bytes); command && decode_command(encode_command(*command)) != command) abort();
  if (const auto reply = decode_reply(bytes);
      reply && reply->output.size() <= kExecuteOutputBytesMax && decode_reply(encode_reply(*reply)) != reply) {
    abort();
  }
  if (const auto owner = decode_owner(bytes); owner && decode_owner(encode_owner(*owner)) != owner) abort();
  start_ticks_of_stat(bytes);
  return 0;
}
