// application/x-www-form-urlencoded bodies to structs, for the two query protocols: "Filter.1.Value.2=x".
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "model/descriptor.h"
#include "model/json_codec.h"

namespace berth::wire {

class Form {
 public:
  // Percent and plus decoded. Error: more than limits::kQueryParametersMax parameters.
  static ApiResult<Form> parse(std::string_view body);

  const std::string* find(std::string_view key) const;  // of equal keys the last
  // The numbers N of keys that are `prefix`N or begin with `prefix`N., ascending; anything else there is passed over.
  std::vector<uint32_t> indices(std::string_view prefix) const;
  bool has_prefix(std::string_view prefix) const;

 private:
  std::vector<std::pair<std::string, std::string>> parameters_;  // by key
};

// Fills a structure from the keys below `prefix` ("" or "Filter.1."). MalformedInput-class errors where a value is not
// what its shape asks.
ApiResult<void> read_form(const Form& form, const model::Shape& shape, void* object, std::vector<model::Path>& missing);

}  // namespace berth::wire
