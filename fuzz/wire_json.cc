// A body for an operation (the first byte picks it): what is read must render, read again and render the same; what the
// model accepts is validated. What of a stored text fits the shape can be read again strictly.
#include <cstdlib>

#include "base/limits.h"
#include "model/json_codec.h"
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
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto stored = operation.make_input();
  read_json_that_fits(text, *operation.input, stored.get());
  std::string fitting;
  append_json(fitting, *operation.input, stored.get());
  const auto strict = operation.make_input();
  if (!read_json(fitting, *operation.input, strict.get(), nullptr, berth::limits::kJsonDepthMax, SIZE_MAX)) std::abort();
  const auto first = operation.make_input();
  std::vector<Path> missing;
  if (!read_json(text, *operation.input, first.get(), &missing)) return 0;
  validate(operation, first.get(), missing);
  refused_at_run(*operation.input, first.get());
  std::string rendered;
  append_json(rendered, *operation.input, first.get());
  const auto second = operation.make_input();
  std::vector<Path> missing_again;
  if (!read_json(rendered, *operation.input, second.get(), &missing_again)) std::abort();
  std::string again;
  append_json(again, *operation.input, second.get());
  if (again != rendered) std::abort();
  return 0;
}
