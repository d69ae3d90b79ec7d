// Requests against the model: required members, lengths, ranges, patterns, enumerations, and what the manifest refuses. The
// words of the answer are the service's (Service::validation_style). Any thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/descriptor.h"
#include "model/json_codec.h"

namespace berth::model {

// `missing` is what reading the request found absent though required. No error: the request may go to its handler.
std::optional<ApiError> validate(const Operation& operation, const void* input, const std::vector<Path>& missing);

// What a stored object asks for that is not served at run time ("secrets are not served: …"), each sentence once, in
// the object's order. Empty: a task may start. The agent's or control's to call, with a task definition or overrides.
std::vector<std::string> refused_at_run(const Shape& shape, const void* object);
template <class T>
std::vector<std::string> refused_at_run(const T& object) {
  return refused_at_run(T::kShape, &object);
}

}  // namespace berth::model
