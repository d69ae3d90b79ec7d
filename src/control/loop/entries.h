// What controllers do with keys and entries again and again.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "records/keys.h"
#include "records/read.h"
#include "records/task_definition.h"
#include "state/store.h"

namespace berth::control {

// An object's path is what its keys have after the kind.
inline std::string path_of(const std::string& key, std::string_view kind) { return key.substr(kind.size()); }
inline std::string key_of(std::string_view kind, const std::string& path) { return std::string(kind) + path; }

inline state::Read read_of(std::string key, const std::optional<state::Entry>& entry) {
  return {std::move(key), false, entry ? entry->mod_revision : 0};
}

template <class T>
std::shared_ptr<const T> value_of(const std::optional<state::Entry>& entry) {
  return entry ? records::decoded<T>(entry->value) : nullptr;
}

inline std::shared_ptr<const records::TaskDefinition> definition_of(const state::Store& store,
                                                                    const records::Scope& scope,
                                                                    const std::string& family, int64_t revision) {
  return records::get<records::TaskDefinition>(store, records::keys::task_definition(scope, family, revision));
}

}  // namespace berth::control
