// The plan of a task: read by a supervisor from a directory that anything may have been left in.
#include <cstdlib>

#include "taskdir/codec.h"
#include "taskdir/crc32.h"
#include "taskdir/plan.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace berth::taskdir;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  decode_plan(bytes);
  // Chance does not find a checksum: give the bytes a right head, and what is behind it is reached.
  std::string whole = "BERTHPLN";
  Encoder head(whole);
  head(kVersion, crc32(bytes));
  whole += bytes;
  const auto plan = decode_plan(whole);
  if (plan && decode_plan(encode_plan(*plan)) != plan) abort();
  return 0;
}
