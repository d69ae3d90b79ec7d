// What records keep in API shape (`kept`, a task definition's `document`): JSON of a struct's present members.
#pragma once

#include <string>
#include <string_view>

#include "base/assert.h"
#include "base/limits.h"
#include "model/json_codec.h"

namespace berth::services::ecs {

template <class T>
std::string to_kept(const T& value) {
  return model::to_json(value);
}
// An empty text is an empty struct. The text must be ours: one that cannot be read is a broken invariant.
template <class T>
T from_kept(std::string_view json) {
  T value;
  if (json.empty()) return value;
  // A member that has become required since the text was written stays empty.
  std::vector<model::Path> missing;
  BERTH_ASSERT(model::read_json(json, T::kShape, &value, &missing, limits::kJsonDepthMax, SIZE_MAX).has_value());
  return value;
}

}  // namespace berth::services::ecs
