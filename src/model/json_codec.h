// Structs to JSON and back, by their tables. The JSON protocols of wire/ and whoever keeps API shapes in records use it;
// nothing here builds a tree.
//
// Reading is as strict as AWS's own: a value of the wrong JSON type is an error, unknown members are skipped, null means
// absent. Any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"
#include "base/result.h"
#include "model/descriptor.h"

namespace berth::model {

// Where a value stands in a request: a member, then perhaps an element's index or a map's key.
struct PathStep {
  const Member* member = nullptr;  // null: an element or an entry of what came before
  size_t index = 0;                // lists
  std::string key = {};            // maps
  bool operator==(const PathStep&) const = default;
};
using Path = std::vector<PathStep>;

std::string to_string(const Path& path);  // containerDefinitions[0].name

struct ReadProblem {
  std::string message;  // fit for a SerializationException
};

// Fills `object` (default-constructed, of the shape's type). `missing` gets the required members that the text leaves
// out; whether that is an error is the caller's to say. An empty text reads as {}. `elements_max` of all lists and
// maps: text of our own may have more than a request, because answers have lists beside those that were asked.
tl::expected<void, ReadProblem> read_json(std::string_view text, const Shape& shape, void* object,
                                          std::vector<Path>* missing, int depth_max = limits::kJsonDepthMax,
                                          size_t elements_max = limits::kRequestElementsMax);

// For text that an older or a newer version of the model wrote: what the shape does not know, and values of another type
// than it says, are left out. Returns how many those were; text that is no JSON counts as one and leaves what was read.
size_t read_json_that_fits(std::string_view text, const Shape& shape, void* object);

// Appends the object. Timestamps are seconds; bytes that are not UTF-8 come out as U+FFFD.
void append_json(std::string& out, const Shape& shape, const void* object);

template <class T>
std::string to_json(const T& object) {
  std::string out;
  append_json(out, T::kShape, &object);
  return out;
}
// For text that we wrote ourselves: a missing required member is an error too.
template <class T>
Result<T> from_json(std::string_view text) {
  T object;
  std::vector<Path> missing;
  if (auto read = read_json(text, T::kShape, &object, &missing); !read) return fail(std::move(read.error().message));
  if (!missing.empty()) return fail("JSON: " + to_string(missing.front()) + " is missing");
  return object;
}

}  // namespace berth::model
