// A form for an operation of the query protocols (the first byte picks it); what is read must validate and render.
#include "model/validate.h"
#include "wire/query/form.h"
#include "wire/query/xml.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace berth;
  // JSON's operations as well: their inputs have the structures, maps and numbers that EC2's do not.
  static const std::vector<const model::Operation*> operations = [] {
    std::vector<const model::Operation*> all;
    for (const model::Service* service : model::services()) {
      all.insert(all.end(), service->operations.begin(), service->operations.end());
    }
    return all;
  }();
  if (size == 0) return 0;
  const model::Operation& operation = *operations[data[0] % operations.size()];
  const auto form = wire::Form::parse({reinterpret_cast<const char*>(data) + 1, size - 1});
  if (!form) return 0;
  const auto input = operation.make_input();
  std::vector<model::Path> missing;
  if (!wire::read_form(*form, *operation.input, input.get(), missing)) return 0;
  model::validate(operation, input.get(), missing);
  std::string out;
  wire::append_xml_members(out, *operation.input, input.get(), data[0] & 1);
  return 0;
}
