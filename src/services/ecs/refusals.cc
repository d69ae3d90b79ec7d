#include "services/ecs/refusals.h"

#include <algorithm>
#include <string_view>

namespace berth::services::ecs {
namespace {

using model::Kind;

bool asks_nothing(const model::Member& member, const void* value) {
  auto allowed = [&](std::string_view text) {
    return std::find(member.allowed.begin(), member.allowed.end(), text) != member.allowed.end();
  };
  switch (member.shape->kind) {
    case Kind::list: return member.shape->vector->size(value) == 0;
    case Kind::map: return static_cast<const model::StringMap*>(value)->empty();
    case Kind::string: return allowed(*static_cast<const std::string*>(value));
    case Kind::boolean: return allowed(*static_cast<const bool*>(value) ? "true" : "false");
    case Kind::integer: return allowed(std::to_string(*static_cast<const int32_t*>(value)));
    default: return false;
  }
}

}  // namespace

std::string first_refusal_at_run(const model::Shape& shape, const void* value) {
  if (shape.kind == Kind::list) {
    const char* at = static_cast<const char*>(shape.vector->data(value));
    for (size_t i = 0; i < shape.vector->size(value); ++i, at += shape.vector->stride)
      if (std::string found = first_refusal_at_run(*shape.element, at); !found.empty()) return found;
    return "";
  }
  if (shape.kind != Kind::structure) return "";
  for (const auto& member : shape.members) {
    const void* at = static_cast<const char*>(value) + member.offset;
    if (member.presence != nullptr) at = member.presence->get(at);
    if (at == nullptr) continue;
    if (member.member_class == model::MemberClass::refused_at_run && !asks_nothing(member, at))
      return std::string(member.refusal);
    if (std::string found = first_refusal_at_run(*member.shape, at); !found.empty()) return found;
  }
  return "";
}

}  // namespace berth::services::ecs
