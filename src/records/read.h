// Typed reads. A stored value is decoded once and shared after that: decoded objects are immutable. State thread only
// for these functions; what they return may travel.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "records/codec.h"
#include "state/store.h"

namespace berth::records {

template <class T>
inline constexpr char kTypeTag = 0;  // its address names T

template <class T>
std::shared_ptr<const T> decoded(const state::ValuePtr& value) {
  if (const auto& kept = value->decoded(&kTypeTag<T>)) return std::static_pointer_cast<const T>(kept);
  auto object = std::make_shared<const T>(decode<T>(value->bytes()));
  value->keep_decoded(&kTypeTag<T>, object);
  return object;
}

// Null when absent.
template <class T>
std::shared_ptr<const T> get(const state::Store& store, std::string_view key) {
  const auto entry = store.get(key);
  return entry ? decoded<T>(entry->value) : nullptr;
}

template <class T>
std::vector<std::pair<std::string, std::shared_ptr<const T>>> range(const state::Store& store, std::string_view prefix,
                                                                    std::string_view after = {},
                                                                    size_t limit = SIZE_MAX) {
  std::vector<std::pair<std::string, std::shared_ptr<const T>>> out;
  for (auto& entry : store.range(prefix, after, limit)) out.emplace_back(std::move(entry.key), decoded<T>(entry.value));
  return out;
}

// For what is read again at once, as by an index: the reader finds it decoded.
template <class T>
void put_decoded(state::Transaction& transaction, std::string key, T object) {
  auto value = std::make_shared<const state::Value>(encode(object));
  value->keep_decoded(&kTypeTag<T>, std::make_shared<const T>(std::move(object)));
  transaction.writes.push_back({std::move(key), std::move(value)});
}

template <class T>
// NOLINTNEXTLINE(performance-unnecessary-value-param): it is moved, which clang-tidy 14 does not see in a template
void put(state::Transaction& transaction, std::string key, const T& object) {
  transaction.put(std::move(key), encode(object));
}

}  // namespace berth::records
