// A CBOR body for an operation (the first byte picks it): what is read must render, read again and render the same, and say
// the same as JSON; what the model accepts is validated.
#include <cstdlib>

#include "model/cbor_codec.h"
#include "model/validate.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace berth::model;
  static const std::vector<const Operation*> operations = [] {
    std::vector<const Operation*> all;
    for (const Service* service : services())
      all.insert(all.end(), service->operations.begin(), service->operations.end());
    return all;
  }();
  if (size == 0) return 0;
  const Operation& operation = *operations[data[0] % operations.size()];
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto first = operation.make_input();
  std::vector<Path> missing;
  if (!read_cbor(body, *operation.input, first.get(), &missing)) return 0;
  validate(operation, first.get(), missing);
  std::string rendered;
  append_cbor(rendered, *operation.input, first.get());
  const auto second = operation.make_input();
  std::vector<Path> missing_again;
  if (!read_cbor(rendered, *operation.input, second.get(), &missing_again)) std::abort();
  std::string again;
  append_cbor(again, *operation.input, second.get());
  if (again != rendered) std::abort();
  std::string json, json_again;
  append_json(json, *operation.input, first.get());
  append_json(json_again, *operation.input, second.get());
  if (json != json_again) std::abort();
  return 0;
}
