// What records keep in API shape (`kept`, a task definition's `document`): JSON of a struct's present members.
#pragma once

#include <atomic>
#include <string>
#include <string_view>

#include "base/log.h"
#include "model/json_codec.h"

namespace berth::services::common {

template <class T>
std::string to_kept(const T& value) {
  return model::to_json(value);
}
// An empty text is an empty struct. An older or newer Berth, with another version of AWS's model, may have written the
// text: members that this one does not have, or has with another type, are left out, and the log says so once a shape. A
// member that has become required since stays empty.
template <class T>
T from_kept(std::string_view json) {
  static std::atomic_flag told;
  T value;
  const size_t dropped = model::read_json_that_fits(json, T::kShape, &value);
  if (dropped > 0 && !told.test_and_set()) {
    log_warning("stored {}: {} members do not fit this version's model of AWS and are left out; so may be others",
                T::kShape.name, dropped);
  }
  return value;
}

}  // namespace berth::services::common
