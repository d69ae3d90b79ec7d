#include "model/descriptor.h"

#include <algorithm>

namespace berth::model {

std::span<const ForeignService> foreign_services();  // generated, by signing name

bool matches(const Pattern& pattern, std::string_view text) {
  uint32_t state = 1;
  for (const char c : text) {
    state = pattern.next[state * pattern.classes + pattern.byte_class[static_cast<uint8_t>(c)]];
    if (state == 0) return false;
  }
  return pattern.accepting[state] != 0;
}

const Service* find_service(std::string_view signing_name) {
  for (const Service* service : services()) {
    if (service->signing_name == signing_name) return service;
  }
  return nullptr;
}

const ForeignService* find_foreign_service(std::string_view signing_name) {
  const auto all = foreign_services();
  const auto found = std::ranges::lower_bound(all, signing_name, {}, &ForeignService::signing_name);
  return found != all.end() && found->signing_name == signing_name ? &*found : nullptr;
}

const Operation* find_operation(const Service& service, std::string_view name) {
  const auto found = std::ranges::lower_bound(service.operations, name, {}, [](const Operation* o) { return o->name; });
  return found != service.operations.end() && (*found)->name == name ? *found : nullptr;
}

const ErrorShape* find_error(const Operation& operation, std::string_view name) {
  const auto found = std::ranges::find(operation.errors, name, &ErrorShape::name);
  return found == operation.errors.end() ? nullptr : &*found;
}

const Member* find_member(const Shape& structure, std::string_view name, size_t& next) {
  const auto members = structure.members;
  for (size_t i = 0; i < members.size(); ++i) {
    const size_t at = next + i < members.size() ? next + i : next + i - members.size();
    if (json_name(members[at]) != name) continue;
    next = at + 1;
    return &members[at];
  }
  return nullptr;
}

bool is_known_but_not_served(const Service& service, std::string_view operation) {
  return std::ranges::binary_search(service.not_served, operation);
}

}  // namespace berth::model
