// JSON as the admin socket's callers and images bring it: what is read is written, read again and the same.
#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/json.h"

namespace {

using namespace berth;

// Boost reads the last digits of a fraction not quite as they stand, and what no double holds is written as null.
bool same(const json::Value& a, const json::Value& b) {
  if (const double* left = a.if_double()) {
    const double* right = b.if_double();
    if (!std::isfinite(*left)) return b.is_null();
    return right && (*left == *right || std::abs(*left - *right) <= 1e-14 * std::abs(*left));
  }
  if (const json::Array* left = a.if_array()) {
    const json::Array* right = b.if_array();
    return right && std::equal(left->begin(), left->end(), right->begin(), right->end(), same);
  }
  if (const json::Object* left = a.if_object()) {
    const json::Object* right = b.if_object();
    return right &&
           std::equal(left->begin(), left->end(), right->begin(), right->end(),
                      [](const auto& x, const auto& y) { return x.first == y.first && same(x.second, y.second); });
  }
  return a == b;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto value = json::parse({reinterpret_cast<const char*>(data), size});
  if (!value) return 0;
  for (const std::string& text : {json::to_string(*value), json::to_pretty_string(*value)}) {
    const auto again = json::parse(text);
    if (!again || !same(*value, *again)) std::abort();
  }
  return 0;
}
