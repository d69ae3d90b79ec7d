// The plan of a task: read by a supervisor from a directory that anything may have been left in.
#include <cstdlib>

#include "taskdir/plan.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto plan = berth::taskdir::decode_plan({reinterpret_cast<const char*>(data), size});
  if (plan && berth::taskdir::decode_plan(berth::taskdir::encode_plan(*plan)) != plan) abort();
  return 0;
}
