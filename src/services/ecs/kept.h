// API structs ↔ JSON text, for what records keep in API shape (`kept`, a task definition's `document`). An interpreter of
// the model's tables, of the same form as AWS JSON 1.1: absent members are not written, moments are seconds.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "model/descriptor.h"

namespace berth::services::ecs {

std::string shape_to_json(const model::Shape& shape, const void* value);
// Members that the shape does not have are left out. The text must be JSON: only we write it.
void shape_from_json(const model::Shape& shape, void* value, std::string_view json);

template <class T>
std::string to_kept(const T& value) {
  return shape_to_json(T::kShape, &value);
}
// An empty text is an empty struct.
template <class T>
T from_kept(std::string_view json) {
  T value;
  if (!json.empty()) shape_from_json(T::kShape, &value, json);
  return value;
}

}  // namespace berth::services::ecs
