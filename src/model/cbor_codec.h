// Structs to CBOR (RFC 8949, as Smithy's RPC v2 uses it) and back, by their tables: the same interface as json_codec.h.
//
// Reading takes definite and indefinite lengths, floats of each width, and whole floats for integers. A value of the
// wrong type is an error, unknown members are skipped, null means absent. A length that the bytes do not hold is an
// error before anything is allocated for it. Any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "model/json_codec.h"

namespace berth::model {

// As read_json. No bytes read as an empty map.
tl::expected<void, ReadProblem> read_cbor(std::string_view bytes, const Shape& shape, void* object,
                                          std::vector<Path>* missing, int depth_max = limits::kJsonDepthMax,
                                          size_t elements_max = limits::kRequestElementsMax);

// Appends the object with definite lengths. Timestamps are tag 1; text that is not UTF-8 comes out with U+FFFD. Members
// that came ready-made as JSON are not there: the generator refuses them for services that speak CBOR.
void append_cbor(std::string& out, const Shape& shape, const void* object);

template <class T>
std::string to_cbor(const T& object) {
  std::string out;
  append_cbor(out, T::kShape, &object);
  return out;
}
template <class T>
Result<T> from_cbor(std::string_view bytes) {
  T object;
  std::vector<Path> missing;
  if (auto read = read_cbor(bytes, T::kShape, &object, &missing); !read) return fail(std::move(read.error().message));
  if (!missing.empty()) return fail("CBOR: " + to_string(missing.front()) + " is missing");
  return object;
}

}  // namespace berth::model
