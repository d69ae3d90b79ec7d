// Fills every member that is not refused with values that pass validation, for tests that must leave no member out: round
// trips, "what was registered is what Describe returns", fuzz corpora. Any thread.
#pragma once

#include <functional>
#include <string>

#include "base/random.h"
#include "model/descriptor.h"

namespace berth::model {

struct FillOptions {
  size_t list_length = 2;    // within the shape's own bounds
  bool refused_too = false;  // also what the manifest refuses
  // Leaves a member out where it says so (members that exclude each other).
  std::function<bool(const Shape& structure, const Member& member)> skip = {};
};

void fill(const Shape& shape, void* object, Random& random, const FillOptions& options = {});
template <class T>
T filled(Random& random, const FillOptions& options = {}) {
  T object;
  fill(T::kShape, &object, random, options);
  return object;
}

// A text that the pattern accepts, of at least `min` and at most `max` bytes where the pattern allows.
std::string text_for(const Pattern& pattern, size_t min, size_t max, Random& random);

}  // namespace berth::model
